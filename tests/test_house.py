"""The picture of the house in docs/contributing.md is made from the code."""

import runpy

from tests.documented import ROOT
from tests.test_architecture import ORDER


def test_every_room_is_in_the_picture_above_its_imports():
    house = runpy.run_path(str(ROOT / "docs" / "house.py"))
    needs, files = house["plan"]()
    assert all(files.values())
    floor = {room: f for f, rooms in enumerate(house["floors"](needs)) for room in rooms}
    assert all(floor[room] > floor[other] for room, others in needs.items() for other in others)
    (axes,) = house["draw"](needs, files).axes
    names = {text.get_text().removesuffix("/").removesuffix(".py") for text in axes.texts}
    assert {room for row in ORDER for room in row} <= names
