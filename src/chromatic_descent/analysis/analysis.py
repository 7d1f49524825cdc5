"""The list of sections, and the run through them."""

# ruff: noqa: RUF009  (a section is a field, not a default)

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.analysis import storage
from chromatic_descent.analysis.colours import Colours, choose_colours
from chromatic_descent.analysis.dimension import Dimensions, estimate_dimension
from chromatic_descent.analysis.distances import Distances, measure_distances
from chromatic_descent.analysis.drivers import Drivers, correlate_drivers
from chromatic_descent.analysis.ensembles import Ensembles, score_ensembles
from chromatic_descent.analysis.factors import Factors, compare_factors
from chromatic_descent.analysis.groups import Groups, compare_groups
from chromatic_descent.analysis.inpca import InPCA, lay_out_by_inpca
from chromatic_descent.analysis.maps import Maps, lay_out_maps
from chromatic_descent.analysis.members import Members, Provenance, provenance, score_members
from chromatic_descent.analysis.nulls import Nulls, run_null_tests
from chromatic_descent.analysis.per_class import PerClass, score_classes
from chromatic_descent.analysis.per_image import PerImage, pick_images
from chromatic_descent.analysis.results import NotComputed
from chromatic_descent.analysis.sections import check_options, section, sections_of
from chromatic_descent.analysis.trajectories import Trajectories, follow_trajectories
from chromatic_descent.files.hashing import content_hash
from chromatic_descent.own_code import is_own, source
from chromatic_descent.probe_logits import Population


@dataclass(frozen=True, eq=False)
class Analysis:
    """The results of each section on a population, in the order in which they are computed.

    To add a section, write its file and list it here.
    """

    population: Population
    members: Members = section(score_members)
    distances: Distances = section(measure_distances)
    maps: Maps = section(lay_out_maps)
    inpca: InPCA | NotComputed = section(lay_out_by_inpca)
    nulls: Nulls = section(run_null_tests)
    dimension: Dimensions = section(estimate_dimension)
    drivers: Drivers = section(correlate_drivers)
    factors: Factors | NotComputed = section(compare_factors)
    ensembles: Ensembles = section(score_ensembles)
    per_class: PerClass = section(score_classes)
    per_image: PerImage = section(pick_images)
    groups: Groups | NotComputed = section(compare_groups)
    trajectories: Trajectories | NotComputed = section(follow_trajectories)
    colours: Colours = section(choose_colours)

    @property
    def provenance(self) -> Provenance:
        """The data, recipe and machine that the members were trained with."""
        return provenance(self.population)

    @property
    def results(self) -> dict[str, Any]:
        """The result of each section, by name."""
        return {name: getattr(self, name) for name in SECTIONS}


SECTIONS = sections_of(Analysis)
"""Every section by name, in the order in which they are computed."""

OPTIONS = {key: value for part in SECTIONS.values() for key, value in part.options.items()}
"""Every option by name, with its default."""


def analyse(
    population: Population,
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Analysis:
    """Compute every section.

    Args:
        population: S members on one probe.
        cache: a folder for results, which are read again until logits, options or code change.
        progress: called with each section's name before it is computed.
        options: by name, see `configs/analyze.yaml`; the others take their defaults.

    Raises:
        UserError: an option is unknown or out of range.
    """
    check_options(options, OPTIONS)
    results: dict[str, Any] = {}
    keys: dict[str, str] = {}
    inputs = "" if cache is None else _inputs_hash(population, options)
    for name, part in SECTIONS.items():
        chosen = {option: options.get(option, default) for option, default in part.options.items()}
        if cache is not None:
            earlier = (keys[other] for other in part.needs)
            keys[name] = content_hash(inputs, name, repr(sorted(chosen.items())), *earlier)
            results[name] = storage.load(cache / f"{name}.npz", keys[name], part.result)
        if results.get(name) is not None:
            continue
        if progress is not None:
            progress(name)
        results[name] = part.compute(population, *(results[n] for n in part.needs), **chosen)
        if cache is not None:
            storage.save(cache / f"{name}.npz", results[name], keys[name])
    return Analysis(population, **results)


def _inputs_hash(population: Population, options: Mapping[str, Any]) -> str:
    """Hash what every section depends on: the members, and the code, the user's own included."""
    arrays: list[NDArray[Any]] = [population.logits, population.labels]
    if population.trajectories is not None and population.epochs is not None:
        arrays += [population.trajectories, population.epochs]
    for name, part in sorted(population.slices.items()):
        arrays += [np.array(name), part.logits, part.labels]
    keys = ("member", "seed", "config", "wall_time")
    members = [[record.get(key) for key in keys] for record in population.records]
    named = [name for key in ("distances", "combiners") for name in options.get(key, ())]
    own = [source(name) for name in named if is_own(name)]
    return content_hash(repr(members), *arrays, *own, _code_hash())


@once
def _code_hash() -> str:
    """Hash all code that results depend on: an edit invalidates what was computed before."""
    package = Path(__file__).parents[1]
    rooms = (package / room for room in ("geometry", "ensemble", "analysis"))
    return content_hash(*(p.read_bytes() for room in rooms for p in sorted(room.rglob("*.py"))))
