"""Is the structure real? Populations drawn from null hypotheses."""
