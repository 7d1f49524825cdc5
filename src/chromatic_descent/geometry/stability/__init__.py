"""Whether another set of probe images would give the same map."""
