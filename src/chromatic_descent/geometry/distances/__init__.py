"""Squared distances between members, and everything that defines one."""
