"""The package as people get it: built, installed with its real dependencies, used from elsewhere."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from chromatic_descent.analysis import read_numbers

pytestmark = pytest.mark.package

ROOT = Path(__file__).parents[1]
WITHOUT_FRAMEWORKS = """
import sys
import chromatic_descent.analysis, chromatic_descent.ensemble, chromatic_descent.geometry
found = {"lightning", "pytorch_lightning", "hydra", "omegaconf"} & sys.modules.keys()
sys.exit(f"imported: {found}" if found else 0)
"""


def run(*command, cwd=ROOT):
    """What the command printed; it must succeed, and find no source tree but by its own doing."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "CHROMATIC"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def uv(*arguments):
    return run(sys.executable, "-m", "uv", *arguments)


def interpreter(version):
    """A Python of that version, on the path or pyenv's, whose stand-ins on the path may not run."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for found in [
        shutil.which(f"python{version}"),
        *pyenv.glob(f"versions/{version}.*/bin/python"),
    ]:
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    pytest.skip(f"there is no Python {version} on this machine")


def tracked(folder=""):
    """What git tracks below a folder of the repository, or would if it were added."""
    command = "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", f"./{folder}"
    return {name for name in run(*command).split("\0") if name and (ROOT / name).exists()}


def content(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path_factory.mktemp("sdist"), filter="data")
        return tmp_path_factory.getbasetemp() / "sdist0" / sdist.name.removesuffix(".tar.gz")


def test_the_sdist_is_the_repository(unpacked):
    files = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    assert files == tracked() | {"PKG-INFO"}


def test_the_sdists_tests_run(unpacked):
    quick = ("tests/test_config.py", "tests/probe_logits/test_record.py", "tests/test_versions.py")
    printed = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *quick, cwd=unpacked
    )
    assert " passed" in printed


def test_the_wheel_is_the_same_from_the_sdist_and_from_the_repository(built, tmp_path):
    uv("build", "--quiet", "--wheel", "--out-dir", tmp_path)
    ((one,), (other,)) = built.glob("*.whl"), tmp_path.glob("*.whl")
    assert content(one) == content(other)


def test_the_wheel_is_the_code_and_its_configs(built):
    (wheel,) = built.glob("*.whl")
    code = {name.removeprefix("src/") for name in tracked("src")}
    configs = {f"chromatic_descent/{name}" for name in tracked("configs")}
    assert {name for name in content(wheel) if ".dist-info/" not in name} == code | configs


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_wheel_works_in_an_environment_of_its_own(built, version, tmp_path):
    (wheel,) = built.glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        uv("venv", "--quiet", "--python", interpreter(version), folder)
        pinned = ROOT / "constraints.txt"
        uv("pip", "install", "--quiet", "--python", folder, "--constraint", pinned, wheel)
        uv("pip", "check", "--python", folder)
        commands = Path(folder) / "bin"

        def here(command, *arguments):
            return run(commands / command, *arguments, cwd=tmp_path)

        where = here("python", "-c", "import chromatic_descent as c; print(c.__file__)")
        assert where.startswith(folder)
        here("python", "-c", WITHOUT_FRAMEWORKS)
        study = ("-m", "seed=range(2)", "experiment=demo", "debug=quick", "study=wheel")
        here("chromatic-train", *study)
        assert "SEED_0001 is complete, skipped" in here(
            "python", "-m", "chromatic_descent.train", *study
        )
        here("chromatic-analyze")
        assert "wheel\t2" in here("chromatic-studies")
    reports = tmp_path / "multirun/wheel/artifacts/reports"
    assert len(read_numbers(reports / "analysis.json")["members"]["table"]) == 2
    assert "<html" in (reports / "report.html").read_text(encoding="utf-8")
