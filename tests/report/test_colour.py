import json
from dataclasses import replace

import numpy as np
import pytest
from coloraide import Color
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from chromatic_descent import analysis
from chromatic_descent.analysis.groups import group_members
from chromatic_descent.errors import UserError
from chromatic_descent.geometry import classical_mds
from chromatic_descent.report import colour
from chromatic_descent.report.colour import colour_places, coloured, colours_at, colours_of
from tests.analysis.test_groups import make_trial
from tests.makers import QUICK, make_population


def squares(points):
    return squareform(pdist(points, "sqeuclidean"))


def names(count):
    return [f"member {k}" for k in range(count)]


def make_colours(points, earlier=None):
    squared = squares(points)
    places, kept, misfit = colour_places(squared, names(len(points)), earlier)
    return colours_at(places, kept.reach, "toy", squared), kept, misfit


def delta_e(first, second):
    return Color(first).delta_e(Color(second), method="ok")


@pytest.mark.parametrize("members", [4, 12, 24, 300])
@pytest.mark.parametrize("stretch", [(1, 1, 1), (5, 2, 1), (1e-8, 1e-8, 1e-8)])
def test_colours_follow_a_planted_structure(members, stretch):
    points = np.random.default_rng(members).normal(size=(members, 3)) * stretch
    colours, _, _ = make_colours(points)
    pairs = [delta_e(a, b) for k, a in enumerate(colours.hex) for b in colours.hex[k + 1 :]]
    correlation = spearmanr(pairs, pdist(points)).statistic
    assert correlation >= 0.95
    assert colours.correlation == pytest.approx(correlation, abs=0.02)  # hex has 8 bits
    assert colours.stress < 0.2
    assert all(Color(h).in_gamut("srgb") for h in colours.hex)


@given(
    st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 40), st.sampled_from([1e-6, 1.0, 1e6])
)
def test_every_colour_is_in_gamut_and_seen(seed, members, dimensions, unit):
    points = unit * np.random.default_rng(seed).standard_t(2, size=(members, dimensions))
    colours, _, _ = make_colours(points)
    assert np.isfinite(colours.oklab).all()
    low, high = colour.LIGHTNESS
    assert (colours.oklab[:, 0] >= low - 0.01).all()
    assert (colours.oklab[:, 0] <= high + 0.01).all()
    for shown, text in zip(colours.oklab, colours.hex, strict=True):
        exact = Color("oklab", shown)
        assert exact.in_gamut("srgb", tolerance=1e-6)
        assert exact.delta_e(Color(text), method="ok") < 0.005
    outside = (~colour.in_gamut(colour_places(squares(points), names(members))[0])).sum()
    assert outside <= members // 20 + 1  # one lies on the edge


@given(st.tuples(*[st.floats(0.0, 1.0), st.floats(-0.35, 0.35), st.floats(-0.35, 0.35)]))
def test_the_gamut_is_coloraides(place):
    linear = np.array(Color("oklab", place).convert("srgb-linear").coords())
    if (np.abs(linear) < 1e-6).any() or (np.abs(linear - 1) < 1e-6).any():
        return
    seen = colour.LIGHTNESS[0] <= place[0] <= colour.LIGHTNESS[1]
    assert colour.in_gamut(place) == (seen and ((linear > 0) & (linear < 1)).all())


def test_colours_use_the_room_there_is():
    colours, _, _ = make_colours(np.random.default_rng(0).normal(size=(12, 40)))
    assert pdist(colours.oklab).mean() > 0.12
    chroma = np.linalg.norm(colours.oklab[:, 1:], axis=1)
    assert chroma.max() > 0.1


@pytest.mark.parametrize(
    "points", [np.zeros((1, 2)), np.zeros((5, 2)), [[0.0], [1.0]], [[0.0], [1.0], [3.0]]]
)
def test_few_or_identical_members(points):
    points = np.asarray(points, dtype=float)
    colours, kept, _ = make_colours(points)
    again, _, misfit = make_colours(points, kept)
    assert again.hex == colours.hex
    assert misfit == pytest.approx(0, abs=1e-9)
    distinct = len(np.unique(points, axis=0))
    assert len(set(colours.hex)) == distinct
    assert (colours.correlation is None) == (distinct < 3)
    assert (colours.stress is None) == (distinct == 1)
    if distinct == 1:
        assert set(colours.markers) == {colour.MARKERS[0]}


@given(st.integers(0, 10**6), st.integers(6, 12), st.integers(0, 6), st.integers(1, 20))
def test_members_keep_their_colours_when_others_come_and_go(seed, known, more, dimensions):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(known + more, dimensions))
    first, kept, _ = make_colours(points[:known])
    order = rng.permutation(known + more)
    squared = squares(points[order])
    who = [names(known + more)[k] for k in order]
    places, later, misfit = colour_places(squared, who, kept)
    back = np.argsort(order)
    second = colours_at(places[back], later.reach, "toy", squares(points))
    assert second.hex[:known] == first.hex
    assert second.safe[:known] == first.safe
    assert second.markers[:known] == first.markers
    assert later.places.keys() == set(names(known + more))
    if dimensions <= 3:
        assert misfit == pytest.approx(0, abs=1e-6)
        assert second.stress < 1e-6 or not colour.in_gamut(places).all()


def test_new_members_lie_where_the_structure_says():
    points = np.random.default_rng(1).normal(size=(20, 3))
    points[12:] /= 3
    _, kept, _ = make_colours(points[:12])
    colours, _, misfit = make_colours(points, kept)
    assert misfit < 1e-9
    assert colours.correlation > 0.9999


def test_a_map_of_too_few_known_members_starts_anew():
    points = np.random.default_rng(2).normal(size=(9, 5))
    for known, more in ((3, 1), (4, 5)):  # fewer than four, fewer than half
        some = points[: known + more]
        fresh, _, _ = make_colours(some)
        later, _, misfit = make_colours(some, make_colours(points[:known])[1])
        assert misfit is None
        assert later.hex == fresh.hex
    _, same, _ = make_colours(np.zeros((5, 2)))  # nor is there a frame in a point
    assert make_colours(points, same)[0].hex == make_colours(points)[0].hex


@pytest.mark.parametrize("vision", ["protan", "deutan", "tritan"])
def test_safe_colours_tell_axis_1_to_every_eye(vision):
    points = np.random.default_rng(3).normal(size=(30, 3)) * (3, 1, 1)
    colours, _, _ = make_colours(points)
    seen = [Color(text).filter(vision).convert("oklab").coords() for text in colours.safe]
    along = pdist(classical_mds(squares(points), 1).coordinates)
    assert spearmanr(pdist(seen), along).statistic > 0.97
    assert spearmanr(pdist(np.array(seen)[:, :1]), along).statistic > 0.97  # in grey as well
    assert set(colours.markers) == set(colours.shapes)


@pytest.mark.parametrize("seed", range(8))
def test_shapes_say_which_side_of_grey_a_colour_is_on(seed):
    squared = squares(np.random.default_rng(seed).normal(size=(12, 3)))
    places, kept, _ = colour_places(squared, names(12))
    colours = colours_at(places, kept.reach, "toy", squared)
    for (lightness, _, b), marker in zip(places, colours.markers, strict=True):
        told = colours.shapes[marker]
        assert ("yellower" in told) == (b > 0)
        assert ("lighter" in told) == (lightness > colour.CENTRE[0])


def test_a_kept_map_is_read_back_and_a_broken_one_is_not(tmp_path):
    path = tmp_path / "colours-toy.json"
    assert colour.load_map(path) is None
    _, kept, _ = make_colours(np.random.default_rng(4).normal(size=(5, 3)))
    colour.save_map(path, kept)
    assert colour.load_map(path) == kept
    whole = json.loads(path.read_text())
    for broken in (
        *("", "[]", "{}", '{"schema_version": 1}', path.read_text()[:-20]),
        *(json.dumps({**whole, "schema_version": 2}), json.dumps({**whole, "scale": None})),
        json.dumps({**whole, "places": {"x": [1, 2]}}),
        path.read_text().replace("0.7", "NaN"),
    ):
        path.write_text(broken)
        assert colour.load_map(path) is None


def analysed(members, **options):
    population = make_population(9)
    records = population.records[:members]
    part = replace(population, logits=population.logits[:members], records=records)
    return analysis.analyse(part, **{**QUICK, **options})


def test_an_analysis_is_coloured_and_keeps_its_map(tmp_path):
    five = coloured(analysed(5), kept=tmp_path)
    nine = coloured(analysed(9), kept=tmp_path)
    found = nine.results["colours"]
    assert (found["distance"], found["known"]) == ("hellinger", 5)
    assert found["misfit"] > 0
    table = found["table"]
    assert table["member"].tolist() == nine.population.names
    assert table["hex"].tolist()[:5] == five.results["colours"]["table"]["hex"].tolist()
    kept = colours_of(nine)
    assert kept.hex == table["hex"].tolist()
    assert kept.correlation == found["correlation"]
    retrained = analysed(9)
    retrained.population.logits[2] += np.random.default_rng(0).normal(size=(60, 4))
    assert coloured(retrained, kept=tmp_path).results["colours"]["known"] == 8
    assert [p.name for p in tmp_path.iterdir()] == ["colours-hellinger.json"]


def test_which_map_colours_are_of(tmp_path):
    four = analysed(4, maps=["logit_mse"], distances=["logit_mse"])
    assert coloured(four).results["colours"]["distance"] == "logit_mse"
    assert colours_of(four).distance == "logit_mse"
    assert coloured(analysed(4), "logit_mse").results["colours"]["distance"] == "logit_mse"
    with pytest.raises(UserError, match="colours=hellinger: expected one of maps, logit_mse"):
        coloured(four, "hellinger")
    assert len(colours_of(analysed(1)).hex) == 1


def test_shapes_tell_configurations_apart():
    population = make_trial(3)
    found = colours_of(analysis.analyse(population, **QUICK))
    groups = group_members(population)
    assert list(found.shapes.values()) == list(groups)
    for shape, name in found.shapes.items():
        assert [k for k, m in enumerate(found.markers) if m == shape] == groups[name]
