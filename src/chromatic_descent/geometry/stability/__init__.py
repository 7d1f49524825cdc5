"""Would another set of probe images have drawn the same map?"""
