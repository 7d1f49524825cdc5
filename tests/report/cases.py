"""Populations to make reports of, from small to hostile, and their analyses."""

import sys
import types

import numpy as np
from matplotlib.figure import Figure

from chromatic_descent import analysis, report
from chromatic_descent.analysis.output import Run
from chromatic_descent.probe_logits import Population
from chromatic_descent.report import figures, page
from chromatic_descent.report.figures.kind import FigureKind
from tests.makers import QUICK, make_population, make_trial

HOSTILE = "</script><script>window.broken = 1</script><b onmouseover='x'>\"quoted\" & 'so' 🎨 %{x} {{ 7 * 7 }}"


def planted(members, images=200, classes=10, axes=3, seed=0):
    """Members that differ along a few axes of function space, and by a little noise."""
    rng = np.random.default_rng(seed)
    population = make_population(members, images=images, classes=4, seed=seed)
    labels = rng.integers(classes, size=images)
    directions = rng.normal(size=(axes, images, classes))
    scores = rng.normal(size=(members, axes)) * (2.0, 1.4, 1.0)[:axes]
    noise = 0.4 * rng.normal(size=(members, images, classes))
    logits = 2 * np.eye(classes)[labels] + np.tensordot(scores, directions, 1) + noise
    return Population(
        logits=logits.astype(np.float32),
        labels=labels,
        indices=np.arange(images),
        records=[
            {**r, "dataset": {**r["dataset"], "classes": [str(c) for c in range(classes)]}}
            for r in population.records
        ],
    )


def recipes(seeds=4):
    """Twenty-four members or so: two factors, and seeds."""
    configs = [
        {"lr_scale": lr, "label_smoothing": smooth, "model": {"_target_": "package.Net"}}
        for lr in (0.5, 1.0, 2.0)
        for smooth in (0.0, 0.2)
        for _ in range(seeds)
    ]
    population = make_population(len(configs), configs=configs, images=200)
    for index, config in enumerate(configs):
        population.logits[index] *= 1 + config["label_smoothing"]
    return population


def studies(seeds=6):
    """Two studies of the same seeds in one map, as `studies=[plain,repelled]` has them."""
    strengths = {"plain": 0.0, "repelled": 1.0}
    configs = [
        {"study": study, "repulsion": {"strength": strength}}
        for study, strength in strengths.items()
        for _ in range(seeds)
    ]
    population = make_population(len(configs), images=200, configs=configs)
    population.logits[seeds:] += np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    for index, record in enumerate(population.records):
        record["seed"] = index % seeds
        record["member"] = f"SEED_{index % seeds:04d}-{record['config']['study']}"
    return population


def hostile(members=6):
    """Names, classes and config values that would run if they were not text."""
    population = make_population(members, images=60, epochs=3)
    for index, record in enumerate(population.records):
        record["member"] = f"{index} {HOSTILE}"
        record["dataset"] = {
            "name": HOSTILE,
            "fingerprint": "f",
            "classes": [HOSTILE, "<i>", '"', "&amp;"],
        }
        record["config"] = {HOSTILE: HOSTILE, "level": [HOSTILE, index % 2]}
        record["versions"] = {HOSTILE: HOSTILE}
    return population


CASES = {
    "one": lambda: make_population(1),
    "two": lambda: make_population(2, epochs=3),
    "three": lambda: make_population(3),
    "identical": lambda: same(5),
    "paths": lambda: make_population(12, images=200, epochs=5),
    "planted": lambda: planted(12),
    "gaussian": lambda: make_population(12, images=400),
    "recipes": recipes,
    "trial": lambda: make_trial(5),
    "studies": studies,
    "hostile": hostile,
}


def same(members):
    population = make_population(members)
    population.logits[:] = population.logits[0]
    return population


def make_run(name="toy", missing=(), config=None):
    return Run(
        study=name,
        created="2026-01-01T00:00:00+00:00",
        version="0",
        command=f"chromatic-analyze study={name}",
        config=config or {},
        missing=list(missing),
    )


def analysed(population, name="toy", **options):
    """The analysis, and the run that would have made it."""
    options = {**QUICK, "draws": 39, "bootstrap": 20, "splits": 10, **options}
    return analysis.analyse(population, **options), make_run(name, config=options)


def html(population, name="toy", pictures=None, **options):
    result, run = analysed(population, name, **options)
    return page.render(result, run, pictures or page.Pictures(reason="a toy has none"))


def quickly_analysed(members, **options):
    """The analysis of members that were recorded along training."""
    return analysis.analyse(make_population(members, epochs=3), **{**QUICK, **options})


def draw_planted(analysis):
    figure = Figure()
    figure.subplots().plot([0, 1])
    return figure


def as_plotly(analysis):
    return {
        "data": [{"type": "bar", "x": [HOSTILE], "y": [0.25]}],
        "layout": {"yaxis": {"title": {"text": "planted"}}},
    }


def plant_figure(monkeypatch, counterpart):
    """List a figure `planted`, in the section `dimension`, with this counterpart on the page."""
    planted = types.ModuleType("chromatic_descent.report.figures.planted")
    planted.planted = draw_planted
    planted.KIND = FigureKind(
        name="planted",
        section="dimension",
        title="A planted figure",
        caption="It shows that one file is enough.",
        needs=lambda analysis: analysis.maps,
        draw=draw_planted,
        page=counterpart,
    )
    monkeypatch.setitem(sys.modules, planted.__name__, planted)
    monkeypatch.setattr(figures, "FIGURES", {**figures.FIGURES, "planted": ("planted",)})
    monkeypatch.setattr(report, "FIGURES", figures.FIGURES)


def of_digits(fingerprint=None):
    from chromatic_descent.data.sources import digits

    images = digits()
    population = make_population(3, images=50)
    population.indices[:] = np.arange(50) * 2
    for record in population.records:
        record["dataset"] |= {"name": "digits", "fingerprint": fingerprint or images.fingerprint}
    return population, images.test_images.numpy()
