"""Every section of the report, in the order of the page."""

from chromatic_descent.report.summary import configurations, function_space, members, structure
from chromatic_descent.report.summary.blocks import Section

SECTIONS = (
    Section("verdicts", "In short"),
    function_space.MAP,
    function_space.TRAJECTORIES,
    function_space.DISTANCES,
    structure.NULLS,
    structure.DIMENSION,
    structure.DRIVERS,
    structure.FACTORS,
    members.ENSEMBLES,
    configurations.SECTION,
    members.MEMBERS,
    Section("images", "Images"),
    members.PROVENANCE,
)
"""To add a section, write its file and list it here."""


def on_the_page() -> list[Section]:
    """The sections of the page, in its order."""
    return [section for section in SECTIONS if section.on_the_page]
