"""The report as one self-contained HTML page."""

from chromatic_descent.report.page.images import shown_images
from chromatic_descent.report.page.pictures import Pictures
from chromatic_descent.report.page.pictures import from_dataset as pictures_from_dataset
from chromatic_descent.report.page.pictures import from_file as pictures_from_file
from chromatic_descent.report.page.provenance import training_commands
from chromatic_descent.report.page.render import render

__all__ = [
    "Pictures",
    "pictures_from_dataset",
    "pictures_from_file",
    "render",
    "shown_images",
    "training_commands",
]
