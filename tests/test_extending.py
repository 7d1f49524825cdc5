"""The examples of docs/extending.md: each file, by itself in a folder, and the commands below it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chromatic_descent import analysis, probe_logits
from chromatic_descent.errors import UserError
from chromatic_descent.study import Member, Study

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
QUICK = ("bootstrap=5", "splits=3", "draws=9", "permutations=19", "tsne=0", "subsets=3")
QUICK += ("figures=[]",)
FEW = ("distances=[hellinger]", "maps=[hellinger]", "combiners=[mean_logit]")


def examples():
    """(file name, its code, the commands below it) by section."""
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        code = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", section, flags=re.DOTALL)
        commands = re.findall(r"^    (chromatic-\w+ .+)$", section, flags=re.MULTILINE)
        if commands:
            (name, text), *_ = code or [("none", "")]
            yield pytest.param(f"{name}.py", text, commands, id=name)


@pytest.fixture
def alone(monkeypatch, own_modules):
    """Without the current folder on Python's path, as a console script is."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])


def run(command_line, command, *further):
    """A command of the page, with options of its own unless it gives them itself."""
    program, *arguments = shlex.split(command)
    given = {argument.partition("=")[0] for argument in arguments}
    added = [option for option in further if option.partition("=")[0] not in given]
    code, printed = command_line(program.removeprefix("chromatic-"), *arguments, *added)
    assert code == 0, printed


def studied(tmp_path):
    (study,) = (Study(path) for path in (tmp_path / "multirun").iterdir())
    assert study.members()
    assert {member.status for member in study.members()} == {"complete"}
    return study


@pytest.mark.parametrize(("file", "code", "commands"), list(examples()))
def test_each_example_runs(file, code, commands, command_line, tmp_path, alone):
    """In short: as many members as an analysis needs, and little training."""
    (tmp_path / file).write_text(code)
    members = "range(4)" if file == "soft.py" else "range(2)"
    for command in commands:
        short = re.sub(r"range\(\d\)", members, command)
        short = re.sub(r"max_epochs=\d+", "max_epochs=1", short)
        further = (*QUICK, *FEW) if "analyze" in command else ("threads=1", "trainer.max_epochs=1")
        if "data=digits" in command:
            further += ("data.train_size=200", "probe.size=100")
        run(command_line, short, *further)
    study = studied(tmp_path)
    if any("analyze" in command for command in commands):
        check_analysis(study, file)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "code", "commands"), list(examples()))
def test_each_example_learns_as_it_stands(file, code, commands, command_line, tmp_path, alone):
    (tmp_path / file).write_text(code)
    for command in commands:
        run(command_line, command)
    study = studied(tmp_path)
    for member in study.members():
        record = probe_logits.read_record(member.artefact)
        assert record["accuracy"] > 1.5 / len(record["dataset"]["classes"])
    if any("analyze" in command for command in commands):
        check_analysis(study, file)


def check_analysis(study, file):
    numbers = json.loads((study.reports / "analysis.json").read_text())
    page = (study.reports / "report.html").read_text()
    if file == "soft.py":
        assert numbers["maps"]["soft.softened"]["top_2_share"] > 0
        for part in ("nulls", "dimension"):
            assert "not_computed" not in numbers[part]["soft.softened"]
        if len(numbers["members"]["table"]) >= 6:
            assert "not_computed" not in numbers["drivers"]["soft.softened"]
        for null in numbers["nulls"]["soft.softened"].values():
            assert 0 < null["p_value"] <= 1
        assert numbers["distances"]["mantel"]["names"] == [
            *("hellinger", "soft.softened", "soft.correlation")
        ]
        assert numbers["colours"]["distance"] == "soft.softened"
        assert 'value="soft.softened"' in page
    if file == "middle.py":
        assert {row["combiner"] for row in numbers["ensembles"]["curves"]} == {
            *("mean_probability", "middle.median", "oracle")
        }
        assert "middle.median" in page


@pytest.mark.slow
def test_a_console_script_finds_the_file_too(tmp_path):
    """`python -P` leaves the current folder out, as a console script does."""
    (_, code, commands), *_ = (p.values for p in examples() if p.id == "nets")
    (tmp_path / "nets.py").write_text(code)
    _, *arguments = shlex.split(commands[0].replace("range(4)", "0,1"))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "chromatic_descent.train", *arguments, "threads=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(Study(tmp_path / "multirun" / "nets").members()) == 2


def test_a_users_data_module_continues_as_if_nothing_had_happened(command_line, tmp_path, alone):
    """The contract's word on the order of batches, on the page's own example."""
    (file, code, commands), *_ = (p.values for p in examples() if p.id == "signals")
    (tmp_path / file).write_text(code)
    _, *arguments = shlex.split(commands[0])
    arguments = [a for a in arguments if a not in ("-m", "seed=range(4)", "study=signals")]
    once = command_line("train", *arguments, "study=once", "threads=1", "trainer.max_epochs=3")
    assert once[0] == 0, once[1]
    (tmp_path / "stopping.py").write_text(STOPPING)
    stop = ("study=twice", "threads=1", "trainer.max_epochs=3")
    code, printed = command_line(
        "train", *arguments, *stop, "+callbacks.stop._target_=stopping.Stop"
    )
    assert code == 1, printed
    assert command_line("train", *arguments, *stop)[0] == 0
    loaded = [
        probe_logits.load(Member(Study(tmp_path / "multirun" / study), "SEED_0000").artefact)
        for study in ("once", "twice")
    ]
    assert loaded[1].record["continued"]
    assert np.array_equal(loaded[0].logits, loaded[1].logits)


STOPPING = """
import lightning


class Stop(lightning.Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 2:
            raise OSError("stopped on purpose")
"""


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        ("", {"distances": ["hellinger", "mine.gone"]}, "mine.gone cannot be imported"),
        ("def f(x): return x[0]", {"distances": ["hellinger", "mine.f"]}, "returns ["),
        ("def f(x): return x.sum()", {"distances": ["hellinger", "mine.f"]}, "expected features"),
        ("def f(x): return x / 0", {"distances": ["hellinger", "mine.f"]}, "NaN or infinite"),
        (
            "import numpy as np\ndef f(x): return np.triu(np.ones((len(x), len(x))), 1)",
            {"distances": ["hellinger", "mine.f"]},
            "mine.f: squared distances must be symmetric",
        ),
        (
            "import numpy as np\ndef f(x): return 1 - np.eye(len(x))",
            {"distances": ["hellinger", "mine.f"], "maps": ["mine.f"]},
            "maps=['mine.f']: expected names from",
        ),
        ("def f(x): return x[0]", {"combiners": ["mine.f"]}, "do not sum to 1"),
        ("def f(x): return x", {"combiners": ["mine.f"]}, "expected log-probabilities"),
    ],
)
def test_each_mistake_in_a_users_function_is_one_message(
    tmp_path, monkeypatch, alone, code, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(code)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "logits.npy", rng.normal(size=(5, 40, 3)))
    np.save(tmp_path / "labels.npy", rng.integers(3, size=40))
    population = probe_logits.from_arrays(tmp_path / "logits.npy", tmp_path / "labels.npy")
    with (
        np.errstate(divide="ignore", invalid="ignore"),
        pytest.raises(UserError, match=re.escape(message)),
    ):
        analysis.analyse(population, **{"maps": ["hellinger"], "tsne": 0, **arguments})


def test_an_edited_distance_is_computed_again(tmp_path, monkeypatch, alone):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "logits.npy", rng.normal(size=(5, 40, 3)))
    np.save(tmp_path / "labels.npy", rng.integers(3, size=40))
    population = probe_logits.from_arrays(tmp_path / "logits.npy", tmp_path / "labels.npy")
    few = {"maps": ["hellinger"], "combiners": ["mean_logit"], "tsne": 0, "bootstrap": 5}
    few |= {"draws": 9, "splits": 2, "permutations": 9, "distances": ["hellinger", "mine.f"]}

    def asked(code):
        (tmp_path / "mine.py").write_text(code)
        sections = []
        analysis.analyse(population, cache=tmp_path / "cache", progress=sections.append, **few)
        return sections

    assert "distances" in asked("def f(x): return x")
    assert asked("def f(x): return x") == []
    assert "distances" in asked("def f(x): return 2 * x")


def test_the_missing_parts_of_a_data_module_are_named(command_line, tmp_path, alone):
    code = "import lightning\nclass D(lightning.LightningDataModule):\n def __init__(self, **k): super().__init__()\n"
    (tmp_path / "mine.py").write_text(code)
    exit_code, printed = command_line(
        "train", "data=own", "~data.source", "data._target_=mine.D", "study=s"
    )
    assert exit_code == 1
    assert "data._target_=mine.D lacks images, channels, image_size, batch_size" in printed
    exit_code, printed = command_line(
        *("train", "data=own", "~data.source", "data._target_=mine.D", "study=j"),
        *("population=joint", "population.members=2"),
    )
    assert exit_code == 1
    assert "data._target_=mine.D: population=joint works with this project's own" in printed
