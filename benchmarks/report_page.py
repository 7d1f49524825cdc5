"""Claim: a report responds within 2 s of being opened, with 12 members and with 300.

Pages as `chromatic-analyze` writes them, of simulated logits, opened from their files in headless
Chromium without a GPU. Timed from the request for the page until the choice of another distance has
changed the note beside the map, and until the map is drawn; alternating with an empty page, so that
the browser's own time is known. Sizes are reported.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measure import claim, spread, timed

CLASSES = 10


def measure(quick: bool) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    repeats, sizes = (1, {4: 100}) if quick else (9, {12: 10_000, 300: 500})
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        raise RuntimeError(f"needs one of {', '.join(names)}")
    claims, absolute = [], {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        empty = Path(folder) / "empty.html"
        empty.write_text("<!doctype html><title>nothing</title>", encoding="utf-8")
        for members, images in sizes.items():
            path = _written(Path(folder), members, images)
            _times(browser, path)  # not counted
            timings = [(*_times(browser, path), _blank(browser, empty)) for _ in range(repeats)]
            responses, drawn, blank = (list(each) for each in zip(*timings, strict=True))
            of = f"a report of {members} members"
            claims += [
                claim(f"{of}, until it answers", responses, "<= 2", unit="s"),
                claim(
                    f"{of}, until it answers / an empty page",
                    [a / b for a, b in zip(responses, blank, strict=True)],
                ),
            ]
            absolute[f"{of}, MB"] = path.stat().st_size / 1e6
            absolute[f"{of}, until the map is drawn, s"] = spread(drawn)
        browser.close()
    return {"claims": claims, "absolute": absolute}


def _written(folder: Path, members: int, images: int) -> Path:
    """The report of members that differ equally in every direction."""
    rng = np.random.default_rng(members)
    labels = rng.integers(CLASSES, size=images)
    noise = rng.normal(size=(members, images, CLASSES), scale=0.5)
    logits = (2 * np.eye(CLASSES)[labels] + rng.normal(size=(images, CLASSES)) + noise).astype("f4")
    np.save(folder / f"{members}.npy", logits)
    np.save(folder / "labels.npy", labels)
    timed(
        [
            *(sys.executable, "-m", "chromatic_descent.analyze", f"logits={folder}/{members}.npy"),
            *(f"labels={folder}/labels.npy", f"paths.outputs={folder}", "figures=[]"),
            *("maps=[logit_mse,hellinger]", "bootstrap=20", "draws=19", "splits=5", "subsets=10"),
        ]
    )
    return folder / str(members) / "artifacts" / "reports" / "report.html"


def _times(browser: Any, path: Path) -> tuple[float, float]:
    """Seconds from the request for the page until a switch responds, and until the map is drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_function("document.querySelector('[data-set=distance]')?.value")
    note = page.locator("#map-note").text_content()
    page.locator("[data-set=distance]").first.select_option("logit_mse")
    page.wait_for_function(
        "before => document.querySelector('#map-note').textContent !== before", arg=note
    )
    answered = time.perf_counter() - began
    page.locator("[data-figure=map]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-figure=map] .main-svg")
    drawn = time.perf_counter() - began
    page.close()
    return answered, drawn


def _blank(browser: Any, path: Path) -> float:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(path.as_uri())
    seconds = time.perf_counter() - began
    page.close()
    return seconds
