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
from chromatic_descent.analysis import colour_space
from chromatic_descent.analysis.colours import (
    MARKERS,
    colour_members,
    load_map,
    map_of,
    member_hashes,
    save_map,
    with_kept_colours,
)
from chromatic_descent.analysis.configurations import group_members
from chromatic_descent.errors import UserError
from chromatic_descent.geometry import classical_mds
from tests.makers import QUICK, make_population, make_trial


def squares(points):
    return squareform(pdist(points, "sqeuclidean"))


def make_colours(points, earlier=None, members=None):
    """Colours of the points as members of one configuration, and the map to keep."""
    population = make_population(len(points) if members is None else max(members) + 1, images=2)
    if members is not None:
        records = [population.records[k] for k in members]
        population = replace(population, logits=population.logits[members], records=records)
    hashes = member_hashes(population)
    colours = colour_members(population, "toy", squares(points), earlier, hashes)
    return colours, map_of(colours, hashes, earlier)


def delta_e(first, second):
    return Color(first).delta_e(Color(second), method="ok")


@pytest.mark.parametrize("members", [4, 12, 24, 300])
@pytest.mark.parametrize("stretch", [(1, 1, 1), (5, 2, 1), (1e-8, 1e-8, 1e-8)])
def test_colours_follow_a_planted_structure(members, stretch):
    points = np.random.default_rng(members).normal(size=(members, 3)) * stretch
    colours, _ = make_colours(points)
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
    colours, _ = make_colours(points)
    assert np.isfinite(colours.oklab).all()
    low, high = colour_space.LIGHTNESS
    assert (colours.oklab[:, 0] >= low - 0.01).all()
    assert (colours.oklab[:, 0] <= high + 0.01).all()
    for shown, text in zip(colours.oklab, colours.hex, strict=True):
        exact = Color("oklab", shown)
        assert exact.in_gamut("srgb", tolerance=1e-6)
        assert exact.delta_e(Color(text), method="ok") < 0.005
    outside = (~colour_space.in_gamut(colours.places)).sum()
    assert outside <= members // 20 + 1  # one lies on the edge


@given(st.tuples(*[st.floats(0.0, 1.0), st.floats(-0.35, 0.35), st.floats(-0.35, 0.35)]))
def test_the_gamut_is_coloraides(place):
    linear = np.array(Color("oklab", place).convert("srgb-linear").coords())
    if (np.abs(linear) < 1e-6).any() or (np.abs(linear - 1) < 1e-6).any():
        return
    seen = colour_space.LIGHTNESS[0] <= place[0] <= colour_space.LIGHTNESS[1]
    assert colour_space.in_gamut(place) == (seen and ((linear > 0) & (linear < 1)).all())


def test_colours_use_the_room_there_is():
    colours, _ = make_colours(np.random.default_rng(0).normal(size=(12, 40)))
    assert pdist(colours.oklab).mean() > 0.12
    chroma = np.linalg.norm(colours.oklab[:, 1:], axis=1)
    assert chroma.max() > 0.1


@pytest.mark.parametrize(
    "points", [np.zeros((1, 2)), np.zeros((5, 2)), [[0.0], [1.0]], [[0.0], [1.0], [3.0]]]
)
def test_few_or_identical_members(points):
    points = np.asarray(points, dtype=float)
    colours, kept = make_colours(points)
    again, _ = make_colours(points, kept)
    assert again.hex == colours.hex
    assert again.misfit == pytest.approx(0, abs=1e-9)
    distinct = len(np.unique(points, axis=0))
    assert len(set(colours.hex)) == distinct
    assert np.isnan(colours.correlation) == (distinct < 3)
    assert np.isnan(colours.stress) == (distinct == 1)
    if distinct == 1:
        assert set(colours.markers) == {MARKERS[0]}


@given(st.integers(0, 10**6), st.integers(6, 12), st.integers(0, 6), st.integers(1, 20))
def test_members_keep_their_colours_when_others_come_and_go(seed, known, more, dimensions):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(known + more, dimensions))
    first, kept = make_colours(points[:known])
    order = rng.permutation(known + more)
    second, later = make_colours(points[order], kept, members=order)
    shown = second.table.iloc[np.argsort(order)[:known]]
    for column in ("hex", "safe", "marker"):
        assert shown[column].tolist() == first.table[column].tolist()
    assert later.places.keys() == set(member_hashes(make_population(known + more, images=2)))
    if dimensions <= 3:
        assert second.misfit == pytest.approx(0, abs=1e-6)
        assert second.stress < 1e-6 or not colour_space.in_gamut(second.places).all()


def test_new_members_lie_where_the_structure_says():
    points = np.random.default_rng(1).normal(size=(20, 3))
    points[12:] /= 3
    _, kept = make_colours(points[:12], members=range(12))
    colours, _ = make_colours(points, kept)
    assert colours.misfit < 1e-9
    assert colours.correlation > 0.9999


def test_a_map_of_too_few_known_members_starts_anew():
    points = np.random.default_rng(2).normal(size=(9, 5))
    for known, more in ((3, 1), (4, 5)):  # fewer than four, fewer than half
        some = points[: known + more]
        fresh, _ = make_colours(some)
        later, _ = make_colours(some, make_colours(points[:known])[1])
        assert np.isnan(later.misfit)
        assert later.known == 0
        assert later.hex == fresh.hex
    _, same = make_colours(np.zeros((5, 2)))  # nor is there a frame in a point
    assert make_colours(points, same)[0].hex == make_colours(points)[0].hex


@pytest.mark.parametrize("vision", ["protan", "deutan", "tritan"])
def test_safe_colours_tell_axis_1_to_every_eye(vision):
    points = np.random.default_rng(3).normal(size=(30, 3)) * (3, 1, 1)
    colours, _ = make_colours(points)
    seen = [Color(text).filter(vision).convert("oklab").coords() for text in colours.safe]
    along = pdist(classical_mds(squares(points), 1).coordinates)
    assert spearmanr(pdist(seen), along).statistic > 0.97
    assert spearmanr(pdist(np.array(seen)[:, :1]), along).statistic > 0.97  # in grey as well
    assert set(colours.markers) == set(colours.shapes)


@pytest.mark.parametrize("seed", range(8))
def test_shapes_say_which_side_of_grey_a_colour_is_on(seed):
    colours, _ = make_colours(np.random.default_rng(seed).normal(size=(12, 3)))
    for (lightness, _, b), marker in zip(colours.places, colours.markers, strict=True):
        tint = colours.shapes[marker]
        assert ("yellower" in tint) == (b > 0)
        assert ("lighter" in tint) == (lightness > colour_space.CENTRE[0])


def test_a_kept_map_is_read_back_and_a_broken_one_is_not(tmp_path):
    path = tmp_path / "colours-toy.json"
    assert load_map(path) is None
    _, kept = make_colours(np.random.default_rng(4).normal(size=(5, 3)))
    save_map(path, kept)
    assert load_map(path) == kept
    whole = json.loads(path.read_text())
    for broken in (
        *("", "[]", "{}", '{"schema_version": 1}', path.read_text()[:-20]),
        *(json.dumps({**whole, "schema_version": 2}), json.dumps({**whole, "scale": None})),
        json.dumps({**whole, "places": {"x": [1, 2]}}),
        path.read_text().replace("0.7", "NaN"),
    ):
        path.write_text(broken)
        assert load_map(path) is None


def analysed(members, **options):
    population = make_population(9)
    records = population.records[:members]
    part = replace(population, logits=population.logits[:members], records=records)
    return analysis.analyse(part, **{**QUICK, **options})


def coloured(result, folder):
    return with_kept_colours(result.population, result.distances, result.colours, folder)


def test_an_analysis_is_coloured_and_keeps_its_map(tmp_path):
    five = coloured(analysed(5), tmp_path)
    nine = analysed(9)
    colours = coloured(nine, tmp_path)
    assert (colours.distance, colours.known) == ("hellinger", 5)
    assert colours.misfit > 0
    assert colours.table["member"].tolist() == nine.population.names
    assert colours.hex[:5] == five.hex
    retrained = analysed(9)
    retrained.population.logits[2] += np.random.default_rng(0).normal(size=(60, 4))
    assert coloured(retrained, tmp_path).known == 8
    assert [p.name for p in tmp_path.iterdir()] == ["colours-hellinger.json"]


def test_what_is_drawn_of_colours_is_there():
    colours = analysed(5).colours
    squared = squares(colours.coordinates)
    pairs = np.triu_indices(5, 1)
    assert (colours.pairs[:, 0] >= np.sqrt(squared[pairs]) - 1e-9).all()  # three of four axes
    np.testing.assert_allclose(
        colours.pairs[:, 1], np.sqrt(squares(colours.oklab))[pairs], atol=1e-12
    )
    assert spearmanr(*colours.pairs.T).statistic == pytest.approx(colours.correlation)
    assert len(colours.shares) == 3
    assert 0 < sum(colours.shares) < 1


def test_which_map_colours_are_of():
    only = {"maps": ["logit_mse"], "distances": ["logit_mse"]}
    assert analysed(4, **only).colours.distance == "logit_mse"
    assert analysed(4, colours="logit_mse").colours.distance == "logit_mse"
    with pytest.raises(UserError, match="colours=hellinger: expected one of maps, logit_mse"):
        analysed(4, **only, colours="hellinger")
    assert len(analysed(1).colours.hex) == 1


def test_shapes_distinguish_configurations():
    population = make_trial(3)
    colours = analysis.analyse(population, **QUICK).colours
    groups = group_members(population)
    assert list(colours.shapes.values()) == list(groups)
    for shape, name in colours.shapes.items():
        assert [k for k, m in enumerate(colours.markers) if m == shape] == groups[name]
