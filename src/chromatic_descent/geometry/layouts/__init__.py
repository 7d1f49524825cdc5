"""Layouts of members in a few dimensions, how they are compared, and how stable they are."""
