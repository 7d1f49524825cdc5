"""Figures, summaries and tables of an analysis."""
