"""The report as one self-contained HTML page."""

from chromatic_descent.report.page.render import render as render
