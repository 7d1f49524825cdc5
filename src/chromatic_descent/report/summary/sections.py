"""Every section of the report, in the order of the page."""

from chromatic_descent.report.summary import (
    configurations,
    ensembles,
    function_space,
    members,
    provenance,
    structure,
    trajectories,
)
from chromatic_descent.report.summary.blocks import Section

SECTIONS = (
    Section("verdicts", "In short", "In short"),
    function_space.MAP,
    trajectories.SECTION,
    function_space.DISTANCES,
    structure.NULLS,
    structure.DIMENSION,
    structure.DRIVERS,
    structure.FACTORS,
    ensembles.SECTION,
    configurations.SECTION,
    members.SECTION,
    Section("images", "Images", "Images"),
    provenance.SECTION,
)
"""To add a section, write its file and list it here."""


def in_summary() -> list[Section]:
    """The sections of the summary, in its order."""
    return sorted((s for s in SECTIONS if s.blocks is not None), key=lambda s: s.rank)


def on_the_page() -> list[Section]:
    """The sections of the page, in its order."""
    return [section for section in SECTIONS if section.short]
