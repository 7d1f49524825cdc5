"""Ways to alter files, for tests that read them afterwards."""

import itertools
import json
import os
from pathlib import Path

import numpy as np

VALUES = [
    None, True, False, 0, -1, 1e308, 10**30, "", "x", "../../x", "<script>", "\x1b[2J", "\ud800", "\n",
    [], {}, [[]], ["a", "b", "c"], {"_target_": "os.abort"}, "${oc.env:HOME}", "NaN", [None] * 3,
]  # fmt: skip
TEXTS = [
    "",
    "null",
    "[]",
    "{",
    "NaN",
    '{"a": NaN}',
    "[" * 10**5,
    '{"a":' * 10**5,
    "9" * 5000,
    "1e999",
    "\x00",
]


def altered_bytes(dice, content):
    """One to three of: a byte changed, a piece removed, doubled or replaced, the end cut off."""
    content = bytearray(content)
    for _ in range(dice.randint(1, 3)):
        a, b = sorted(dice.randrange(len(content) + 1) for _ in range(2))
        b = min(b, a + 50)
        how = dice.randrange(5)
        if how == 0 and a < len(content):
            content[a] ^= dice.randint(1, 255)
        elif how == 1:
            del content[a:b]
        elif how == 2:
            content[a:a] = content[a:b]
        elif how == 3:
            content[a:b] = dice.randbytes(b - a)
        elif content:
            del content[a:]
    return bytes(content)


def altered_json(dice, tree):
    """A value anywhere in the tree replaced, removed or added."""
    tree = json.loads(json.dumps(tree))
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys or dice.random() < 0.2:
            break
        key = dice.choice(keys)
        if isinstance(node[key], (dict, list)) and node[key] and dice.random() < 0.7:
            node = node[key]
            continue
        if dice.random() < 0.3:
            del node[key]
        else:
            node[key] = dice.choice(VALUES)
        return tree
    if isinstance(node, dict):
        node[dice.choice(["a", "_target_", "seed", "__class__"])] = dice.choice(VALUES)
    else:
        node.append(dice.choice(VALUES))
    return tree


def altered_array(dice, array):
    """Another type, shape or value."""
    if array.dtype.kind not in "fiu" or array.size == 0:
        return array[None]
    how = dice.randrange(6)
    if how == 0:
        return array.astype(dice.choice(["f8", "i4", "U3", "c8", "f2", "?"]))
    if how == 1:
        return array[: dice.randrange(len(array) + 1)]
    if how == 2:
        return array[None]
    if how == 3:
        return np.array(
            dice.choice([0, np.nan, -1]), dtype=array.dtype if array.dtype.kind == "f" else "f4"
        )
    array = array.copy()
    extremes = [np.nan, np.inf, 3e38] if array.dtype.kind == "f" else [-1, 2**62, -(2**62)]
    array.flat[dice.randrange(array.size)] = dice.choice(extremes)
    return array


YAMLS = [
    "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghijklmnopqrstuvwxyz")),
    "- &a [x]\n" + "".join(f"- &{b} [*{a}, *{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghijklmnopqrstuvwxyz")),
    "&a [*a]",
    "[" * 10**4,
    "- " * 10**4,
    "!!python/object/apply:os.abort []",
    "- seed=" + "9" * 5000,
    "- seed=" + "9" * 15,
    '- "seed=\\u0663"',
    '- "\\uD800"',
    '- "model.widths=[1]\\e[2J"',
    "- '<script>alert(1)</script>'",
    "- seed=1\n- seed=2\n- 3\n- null\n- {a: b}",
    "- study=../../x\n- '\"; rm -rf ~ #'",
    "a: 1",
    "text",
    "- 2026-13-45",
    "%YAML 9.9\n---\n- a",
]  # fmt: skip


def altered_text(dice, content, whole):
    """The bytes altered, or one of `whole` in their place."""
    return dice.choice(whole).encode() if dice.random() < 0.4 else altered_bytes(dice, content)


def put_in_place_of_a_file(dice, path, elsewhere):
    """A folder, a pipe, or a link to nothing, to itself, out of the study or to a device."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    how = dice.randrange(6)
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    else:
        path.symlink_to([path.parent / "nothing", path, elsewhere, Path("/dev/zero")][how - 2])
