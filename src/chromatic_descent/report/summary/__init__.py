"""The report in words and tables: Markdown for a file, a short table for the terminal."""

from chromatic_descent.report.summary.markdown import markdown
from chromatic_descent.report.summary.terminal import chromatic_map, shows_colours, table

__all__ = ["chromatic_map", "markdown", "shows_colours", "table"]
