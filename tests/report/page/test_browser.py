"""The report in Chromium: controls, errors, the network, accessibility and size."""

import shutil

import pytest

from chromatic_descent.report import page as report
from tests.report.cases import (
    CASES,
    HOSTILE,
    as_plotly,
    html,
    make_run,
    plant_figure,
    planted,
    quickly_analysed,
)

pytestmark = pytest.mark.browser

WIDE, NARROW = (1280, 900), (390, 844)
DRAWN = "document.querySelectorAll('[data-figure] .main-svg').length"


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    with playwright.sync_playwright() as driver:
        software = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # WebGL without GPU
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", *software])
        yield started
        started.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The path of each case's page, made once."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def write(case):
        if case not in made:
            made[case] = folder / f"{case}.html"
            many = {"bootstrap": 3, "draws": 9, "splits": 2} if case == "300" else {"tsne": 2}
            population = planted(300) if case == "300" else CASES[case]()
            text = html(population, case, maps=["logit_mse", "hellinger"], **many)
            made[case].write_text(text, encoding="utf-8")
        return made[case]

    return write


@pytest.fixture
def opened(browser, written):
    """Open a case's page; afterwards there was no error and no request but for the file."""
    contexts, complaints, requests = [], [], []

    def open_page(case, size=WIDE, scheme="light"):
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        url = written(case).as_uri()

        def serve(route):
            if route.request.url == url:
                return route.continue_()
            requests.append(route.request.url)
            return route.abort()

        page.route("**/*", serve)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.wait_for_function("typeof Plotly !== 'undefined'")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [r for r in requests if not r.startswith("data:")] == []


def draw_all(page):
    page.evaluate("drawAll()")
    page.wait_for_timeout(100)


def points(page, figure, trace=-1):
    """The coordinates of a trace of a figure, as drawn."""
    return page.evaluate(
        "([figure, trace]) => { const d = document.querySelector(`[data-figure=${figure}]`).data.at(trace);"
        "return [d.x, d.y, d.type, d.marker && d.marker.color]; }",
        [figure, trace],
    )


@pytest.mark.parametrize("case", [*CASES, "300"])
def test_every_figure_of_every_case_is_drawn(opened, case):
    page = opened(case)
    draw_all(page)
    figures = page.locator("[data-figure]").count()
    assert page.locator("[data-figure].js-plotly-plot").count() == figures
    assert figures >= 6
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDE[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("case", ["paths", "recipes", "hostile", "two", "300"])
def test_a_narrow_page_does_not_scroll_sideways(opened, case, scheme):
    page = opened(case, NARROW, scheme)
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def test_figures_are_drawn_when_they_come_near(opened):
    page = opened("planted")
    page.wait_for_timeout(300)
    before = page.evaluate(DRAWN)
    page.locator("#images").scroll_into_view_if_needed()
    page.locator("[data-figure=classes]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-figure=classes] .main-svg")
    assert page.evaluate(DRAWN) > before


def test_the_maps_switches(opened):
    page = opened("recipes")
    page.locator("#map").scroll_into_view_if_needed()
    page.wait_for_selector("[data-figure=map] .main-svg")
    first = points(page, "map")
    note = page.locator("#map-note").text_content()
    selects = page.locator("[data-set=distance]")
    assert selects.count() >= 4

    selects.first.select_option("logit_mse")
    second = points(page, "map")
    assert second[0] != first[0]
    assert page.locator("#map-note").text_content() != note
    values = [selects.nth(k).input_value() for k in range(selects.count())]
    assert set(values) == {"logit_mse"}  # all of them say what is shown

    options = page.locator("#layout option").evaluate_all("all => all.map((o) => o.value)")
    assert options[0] == "mds"
    assert {"smacof", "tsne 0", "tsne 1", "inpca"} <= set(options)
    for option in options[1:]:
        page.locator("#layout").select_option(option)
        assert points(page, "map")[0] != second[0]
        assert page.locator("#map-note").text_content()
    assert "not a share of variance" in page.locator("#map-note").text_content()

    page.locator("#layout").select_option("tsne 0")
    page.get_by_label("3-D").check()
    assert points(page, "map")[2] == "scatter3d"
    assert page.locator("#layout").input_value() == "mds"  # a t-SNE has no third axis
    assert page.locator("#layout option[value=smacof]").is_disabled()
    page.get_by_label("2-D").check()
    assert points(page, "map")[2] in (None, "scatter")

    traces = "document.querySelector('[data-figure=map]').data.length"
    with_ellipses = page.evaluate(traces)
    page.get_by_label("Ellipses").uncheck()
    assert page.evaluate(traces) == with_ellipses - 24

    own = points(page, "map")[3]
    swatch = "getComputedStyle(document.querySelector('.strip .m3')).backgroundColor"
    before = page.evaluate(swatch)
    page.get_by_label("Colour-blind-safe").check()
    assert points(page, "map")[3] != own
    assert page.evaluate(swatch) != before
    symbols = "new Set(document.querySelector('[data-figure=map]').data.at(-1).marker.symbol).size"
    assert page.evaluate(symbols) > 1


def test_hovering_tells_who_a_member_is(opened):
    page = opened("recipes")
    page.locator("[data-figure=map]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-figure=map] .main-svg")
    texts = page.evaluate("document.querySelector('[data-figure=map]').data.at(-1).hovertext")
    assert len(texts) == 24
    for part in ("SEED_0003", "accuracy", "temperature", "lr_scale 0.5, label_smoothing 0.0"):
        assert part in texts[3]


def test_the_epoch_slider(opened):
    page = opened("paths")
    slider = page.locator("#epoch")
    slider.scroll_into_view_if_needed()
    page.wait_for_selector("[data-figure=paths] .main-svg")
    at_the_end = points(page, "paths")
    slider.focus()
    page.keyboard.press("Home")
    assert page.locator("#epoch-now").text_content() == "0"
    assert points(page, "paths")[0] != at_the_end[0]
    page.keyboard.press("ArrowRight")
    assert page.locator("#epoch-now").text_content() == "1"
    assert slider.get_attribute("aria-valuetext") == "epoch 1"
    assert len(points(page, "paths", 0)[0]) == 2  # the path so far
    page.keyboard.press("End")
    assert points(page, "paths")[0] == at_the_end[0]


def column(page, k):
    cells = page.locator(f"table.sortable tbody tr:not([hidden]) > :nth-child({k})")
    return [text.strip() for text in cells.all_text_contents()]


def test_the_members_table_sorts_and_filters_by_keyboard(opened):
    page = opened("recipes")
    heads = page.locator("table.sortable thead button")
    names = heads.all_text_contents()
    assert names[:3] == ["member", "seed", "accuracy"]
    assert names[-2:] == ["lr_scale", "label_smoothing"]
    heads.nth(2).focus()
    page.keyboard.press("Enter")
    accuracy = [float(text) for text in column(page, 3)]
    assert accuracy == sorted(accuracy)
    assert heads.nth(2).locator("..").get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert [float(text) for text in column(page, 3)] == sorted(accuracy, reverse=True)
    heads.nth(0).click()
    assert column(page, 1) == sorted(column(page, 1))
    assert page.locator("th[aria-sort]").count() == 1

    page.locator("#filter").fill("seed_001 2.0")
    shown = column(page, 1)
    assert shown == [f"SEED_00{k}" for k in range(16, 20)]
    assert page.locator("#count").text_content() == "4 of 24 members"
    page.locator("#filter").fill("nobody")
    assert column(page, 1) == []
    page.locator("#filter").fill("")
    assert len(column(page, 1)) == 24


def test_every_control_is_reached_by_keyboard(opened):
    page = opened("paths")
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        name = page.evaluate("(e => e.dataset.set || e.id || e.tagName)(document.activeElement)")
        reached.add(name)
    assert {
        "distance",
        "layout",
        "space",
        "ellipses",
        "safe",
        "epoch",
        "filter",
        "BUTTON",
    } <= reached


def test_what_a_study_says_is_text_in_the_figures_too(opened):
    page = opened("hostile")
    draw_all(page)
    page.wait_for_timeout(300)
    assert page.evaluate("window.broken") is None
    assert page.locator("[onmouseover]").count() == 0
    assert page.locator("[data-figure] script").count() == 0
    assert page.locator("table.sortable tbody th").first.text_content().strip() == f"0 {HOSTILE}"
    page.locator("[data-figure=map]").scroll_into_view_if_needed()
    point = page.locator("[data-figure=map] .points path").first
    point.hover(force=True)
    page.wait_for_selector("[data-figure=map] .hoverlayer .hovertext")
    shown = page.locator("[data-figure=map] .hoverlayer").text_content()
    assert "</script><script>window.broken = 1</script>" in shown
    assert "%{x}" in shown
    ticks = page.locator("[data-figure=classes] .xtick").all_text_contents()
    assert ticks[1:] == ["<i>", '"', "&amp;"]
    assert page.evaluate("window.broken") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("case", ["paths", "trial", "studies", "two"])
def test_axe_finds_nothing_serious(opened, case, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(case, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    draw_all(page)
    violations = axe.run(page).response["violations"]
    serious = [
        (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"])
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_figures_follow_the_theme_and_print(opened):
    page = opened("planted")
    page.locator("[data-figure=map]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-figure=map] .main-svg")
    ink = "document.querySelector('[data-figure=map]').layout.font.color"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} !== '{light}'")
    page.emulate_media(media="print", color_scheme="light")
    assert not page.locator("nav").is_visible()
    assert len(page.pdf()) > 50_000


def test_without_javascript_the_tables_are_there(browser, written):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written("planted").as_uri())
    assert page.locator("table.sortable tbody tr").count() == 12
    assert page.locator(".verdict").count() == 7
    assert "Figures need JavaScript" in page.content()
    context.close()


def test_pictures_are_shown(browser, tmp_path):
    from tests.report.cases import analysed, of_digits

    population, _ = of_digits()
    result, run = analysed(population)
    pictures = report.pictures_from_dataset(population, "", report.shown_images(result))
    path = tmp_path / "digits.html"
    path.write_text(report.render(result, run, pictures), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    widths = page.locator(".card img").evaluate_all("all => all.map((i) => i.naturalWidth)")
    assert len(widths) >= 24
    assert set(widths) == {8}
    page.close()


def test_a_figure_that_python_describes_is_drawn(browser, tmp_path, monkeypatch):
    plant_figure(monkeypatch, as_plotly)
    path = tmp_path / "planted.html"
    path.write_text(report.render(quickly_analysed(3), make_run(), report.Pictures()), "utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_function("typeof Plotly !== 'undefined'")
    draw_all(page)
    figure = page.locator("[data-figure=planted]")
    assert figure.locator(".barlayer .point").count() == 1
    assert figure.locator(".xtick").text_content() == HOSTILE
    assert figure.locator(".ytitle").text_content() == "planted"
    assert page.evaluate("window.broken") is None
    page.close()


@pytest.mark.parametrize(("case", "megabytes"), [("paths", 8), ("300", 15)])
def test_a_page_is_small_enough_to_send(written, case, megabytes):
    assert written(case).stat().st_size <= megabytes * 1e6
