"""The report as one self-contained HTML page."""

from chromatic_descent.report.page.images import (
    Pictures,
    pictures_from_dataset,
    pictures_from_file,
    shown_images,
)
from chromatic_descent.report.page.render import render
from chromatic_descent.report.page.words import training_commands

__all__ = ["Pictures", "pictures_from_dataset", "pictures_from_file", "shown_images"]
__all__ += ["render", "training_commands"]
