"""Every command, snippet and option in README.md and docs/ works.

`chromatic-train` is composed for each job of its sweep, so that every override is valid; the other
commands run on tiny studies. `ELSEWHERE` lists the commands that other files run.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, ListConfig, OmegaConf

import chromatic_descent.launch  # noqa: F401 - registers the functions that configs call
from chromatic_descent import config, probe_logits
from chromatic_descent.study import Member, Study
from chromatic_descent.training.repulsion import from_config
from tests import documented
from tests.documented import OURS, ROOT, Command
from tests.makers import make_member

# Options that keep an analysis short: those that a command may override, and those it may not.
FEW = ("distances=[logit_mse,hellinger]", "maps=[logit_mse]", "combiners=[mean_probability]")
QUICK = ("bootstrap=3", "permutations=9", "draws=2", "splits=1", "subsets=2", "tsne=0", "umap=0")
QUICK += ("figures=[]", "open=false")

DONE = set()  # commands composed or run so far, without names and seeds: none is repeated

CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

# A command that is not run here: the file that runs or defines it, and words in that file.
ELSEWHERE = {
    "source .venv/bin/activate": (".ci/run", ".venv/bin/python"),  # the same folder, by its path
    "tensorboard --logdir": (
        "tests/training/test_loggers.py",
        "EventMultiplexer",
    ),  # what they would open
    "mlflow ui": ("tests/training/test_loggers.py", "mlflow"),
    "wandb sync": ("tests/training/test_loggers.py", "wandb"),
    "if [ $? -eq 143 ]": ("tests/launch/test_stopping.py", "143"),
    "python benchmarks/run.py": (".ci/run", "benchmarks/run.py --quick"),
    "python benchmarks/size_and_power.py": ("docs/size_and_power.md", "in 10 minutes"),  # by hand
    "make setup": (".ci/run", "make lint"),  # which makes the environment first
    "make test-faults": ("tests/test_faults.py", "CHROMATIC_FAULTS_SEED"),  # takes too long
    "make test-lowest": ("Makefile", "--resolution lowest-direct"),  # before a release, as the next
    "make test-newest": ("Makefile", "build/newest"),
    "make test-fuzz": ("tests/test_fuzz.py", "CHROMATIC_FUZZ"),
    "make bench": (".ci/run", "benchmarks/run.py --quick"),
    "make house": ("tests/test_house.py", "house.py"),
    "make help": ("Makefile", "show this"),
    "make notebook": ("tests/report/test_notebook.py", "NotebookClient"),
}


def parameters():
    """Each command; the two hours of sweeps only with `make test-slow`."""
    for command in documented.all_commands():
        slow = command.text.startswith("make trial")
        yield pytest.param(command, id=command.where, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("command", list(parameters()))
def test_it_can_be_typed(command, command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(command, command_line, tmp_path)


def check(command, command_line, folder):
    words = command.words
    if words[0] in ("srun", "eval"):
        words = shlex.split(words[1].strip("$()")) if words[0] == "eval" else words[1:]
    if words[:2] == ["python", "-m"] and words[2].startswith("chromatic_descent."):
        words = [f"chromatic-{words[2].split('.')[1].removesuffix('_members')}", *words[3:]]
    words = words[: words.index("|")] if "|" in words else words
    program, arguments = words[0], words[1:]
    if program.removeprefix("chromatic-") in OURS:
        name = program.removeprefix("chromatic-")
        (check_train if name == "train" else check_other)(name, arguments, command_line, folder)
    elif program == "make":
        check_make(command, arguments, command_line, folder)
    elif program == "pip":
        check_pip(arguments)
    else:
        assert is_elsewhere(command), f"{command.text!r} is neither run here nor in ELSEWHERE"


def is_elsewhere(command):
    """Whether a command is in `ELSEWHERE`, and the file there has the words."""
    listed = [where for text, where in ELSEWHERE.items() if command.text.startswith(text)]
    return bool(listed) and is_in(*listed[0])


def is_in(file, words):
    return words in (ROOT / file).read_text(encoding="utf-8")


def check_train(name, arguments, command_line, folder):
    """Compose every job; run only `--help` and the like."""
    if set(arguments) & {"--help", "--cfg"} or "-sc" in arguments:
        code, printed = command_line("train", *arguments)
        assert code == 0, printed
        assert printed.strip()
        return
    write_files(folder)
    overrides, flags = [a for a in arguments if not a.startswith("-")], set(arguments)
    for flag in [a for a in arguments if a.startswith("--config-dir=")]:
        overrides.append(f"hydra.searchpath=[file://{folder / flag.partition('=')[2]}]")
    parsed = OverridesParser.create().parse_overrides(have_launcher(overrides))
    swept = [o for o in parsed if o.is_sweep_override()]
    assert not swept or "-m" in flags, f"{swept[0].input_line} needs -m"
    (jobs,) = BasicSweeper.split_arguments(parsed, None)
    for job in enough(jobs):
        if is_done(job):
            continue
        cfg = composed("train", job)
        assert OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
        assert config.seeds(cfg)
        if not (cfg.repulsion.get("term") or {}).get("_target_", "").startswith("mine."):
            from_config(cfg.repulsion)  # mine: tests/training/repulsion/test_sequential.py


def enough(jobs):
    """Jobs of a sweep that together have each of its overrides; any seed will do."""
    seen, kept = set(), []
    for job in jobs:
        new = {word for word in job if not word.startswith("seed=")} - seen
        if new or not kept:
            kept.append(job)
            seen |= new
    return kept


def is_done(words):
    """Whether this was done before under another name, in this process; marks it as done."""
    alike = tuple(re.sub(r"^(seed=|study=|studies=).*", r"\1", word) for word in words)
    was_there = alike in DONE
    DONE.add(alike)
    return was_there


def have_launcher(overrides):
    """Leave out launchers that are extras and not installed: their own tests need them."""
    Plugins.instance()  # registers the installed ones
    known = {name.removesuffix(".yaml") for name in ConfigStore.instance().list("hydra/launcher")}
    requested = {o.partition("=")[2] for o in overrides if re.match(r"(hydra/)?launcher=", o)}
    if requested <= known:
        return overrides
    return [o for o in overrides if not re.match(r"(hydra/)?launcher=|hydra\.launcher\.", o)]


def check_other(name, arguments, command_line, folder):
    """Compose the command as it is written; run it quickly, on tiny studies."""
    cfg = composed(name, arguments)
    assert OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if name == "import" and cfg.checkpoint is not None:
        assert is_in("tests/test_import_members.py", "checkpoint=")  # needs networks and images
        return
    studies = [*(cfg.get("studies") or [])]
    studies += [cfg.study] if cfg.study and name != "import" else []
    for study in studies or ["some"]:
        make_study(folder / "multirun" / study)
    write_files(folder)
    rng = np.random.default_rng(0)
    np.save(folder / "logits.npy", rng.normal(size=(5, 30, 3)))
    np.save(folder / "labels.npy", rng.integers(3, size=30))
    np.save(folder / "images.npy", rng.integers(255, size=(30, 8, 8, 3), dtype=np.uint8))
    extras = (
        "logger=tensorboard",
        "logger=wandb",
        "logger=mlflow",
    )  # tests/training/test_loggers.py
    arguments = [a for a in arguments if a not in extras]
    if name == "analyze":
        if is_done(arguments):
            return
        arguments = [*FEW, *arguments, *QUICK]
    module = "import_members" if name == "import" else name
    code, printed = command_line(module, *arguments)
    assert code == 0, printed


def make_study(path):
    study = Study(path)
    for seed in range(5):
        member = f"SEED_{seed:04d}"
        probe_logits.save(Member(study, member).artefact, make_member(member, seed, images=30))


def composed(name, overrides):
    with initialize_config_dir(config.configs_folder(), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def check_make(command, arguments, command_line, folder):
    """The target exists; CI runs it, or it consists of commands that are checked here."""
    line = ["make", "--dry-run", *arguments]
    dry = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr
    if is_elsewhere(command) or re.search(rf"^make {arguments[0]}(?![\w-])", CI, re.M):
        return
    shown = dry.stdout.replace("\\\n", "")
    lines = re.findall(r"^\S+/python (-m chromatic_descent.*)$", shown, re.M)
    assert lines, f"make {arguments[0]} is neither in CI nor in ELSEWHERE"
    for line in lines:
        check(Command(command.where, f"python {line}"), command_line, folder)


def check_pip(arguments):
    """The installed package is this one, with extras that it has."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert arguments[0] == "install"
    for package in arguments[1:]:
        name, *named = re.findall(r"[\w.-]+", package)
        assert name in (extras["name"], "."), package
        assert set(named) <= set(extras["optional-dependencies"]), package


def write_files(folder):
    """Write the user's files that pages show: a block below `NAME:`, or one that begins # NAME."""
    for path in documented.PAGES:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)^```", text, re.S | re.M)
        for name, content in named + re.findall(
            r"^```python\n# (\w+\.py)\n(.*?)^```", text, re.S | re.M
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    "block", documented.all_blocks("python"), ids=lambda b: f"{b.page}:{b.line}"
)
def test_a_snippet_runs(block, tmp_path, monkeypatch):
    import matplotlib as mpl

    mpl.use("agg")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("logits.npy", rng.normal(size=(5, 40, 3)))
    np.save("labels.npy", rng.integers(3, size=40))
    exec(compile(block.text, block.page, "exec"), {"__name__": "snippet"})


@pytest.mark.parametrize("block", documented.all_blocks("bash"), ids=lambda b: f"{b.page}:{b.line}")
def test_a_script_is_one(block):
    checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("block", documented.all_blocks("yaml"), ids=lambda b: f"{b.page}:{b.line}")
def test_a_config_is_yaml(block):
    assert isinstance(yaml.safe_load(block.text), dict)


def test_every_block_has_a_language_that_is_looked_at():
    known = {"", "python", "yaml", "text", "toml", *documented.SHELLS}
    for path in documented.PAGES:
        for block in documented.blocks(path)[0]:
            assert block.language in known, f"{block.page}:{block.line}: {block.language}"


@pytest.fixture(scope="module")
def keys():
    """Every key that a command's config may have, by its path."""
    known = set()
    for name in OURS:
        known |= set(paths(composed(name, ())))
    for file in (ROOT / "configs").glob("*/**/*.yaml"):
        group = file.relative_to(ROOT / "configs").parts[0]
        known |= set(paths(OmegaConf.load(file), f"{group}."))
    return known


def paths(node, prefix=""):
    for key in node if isinstance(node, DictConfig) else ():
        yield prefix + str(key)
        child = None if OmegaConf.is_missing(node, key) else node._get_node(key)
        if isinstance(child, (DictConfig, ListConfig)) and child._is_none() is False:
            yield from paths(child, f"{prefix}{key}.")


@pytest.mark.parametrize("path", documented.PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_option_that_is_named_exists(path, keys):
    groups = {folder.name for folder in (ROOT / "configs").iterdir() if folder.is_dir()}
    groups |= {"probe"}
    for span in documented.spans(documented.blocks(path)[1]):
        if span.split(" ")[0] in documented.PROGRAMS or re.match(r"[\w.]+\(", span):
            continue  # a command, see above, or a call in Python
        for word in span.split():
            key, equals, value = word.partition("=")
            if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key):
                continue  # not an option of this project, or one with + in front
            root = key.split(".")[0]
            if not (equals or ("." in key and root in groups and span == word)):
                continue
            if root == "hydra" or value in ("True", "False"):  # Python's are of functions
                continue
            assert key in keys | groups, f"`{span}` names {key}, which no config has"
            if equals and key in groups and re.fullmatch(r"[a-z][a-z_0-9]*", value):
                assert (ROOT / "configs" / key / f"{value}.yaml").exists(), span


@pytest.mark.parametrize("path", documented.PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    """To a file; within docs/ for pages of the site. `make docs` checks anchors."""
    home = ROOT if path.parent == ROOT else ROOT / "docs"
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", documented.blocks(path)[1]):
        if not target.startswith("https://"):
            file = (path.parent / target).resolve()
            assert file.is_file(), target
            assert file.is_relative_to(home), target


@pytest.mark.slow
def test_the_quickstart_from_start_to_end(tmp_path):
    """Every command of this package in it that needs no download, in order, as it is written."""
    lines = [command.text for command in documented.commands(ROOT / "docs" / "quickstart.md")]
    ours = [line for line in lines if line.startswith("chromatic-") and "standard" not in line]
    assert len(ours) >= 10
    script = "\n".join(["set -eux", *ours])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    members = {p.stem for p in (tmp_path / "multirun" / "first" / "artifacts" / "probes").iterdir()}
    assert members == {f"SEED_{seed:04d}" for seed in range(12)}
    assert (tmp_path / "multirun/first/artifacts/reports/report.html").is_file()
    assert (tmp_path / "outputs/first+hard/artifacts/reports/report.html").is_file()
