import os
import signal
import subprocess
import sys
import textwrap

import pytest

from chromatic_descent.files.atomic import atomic_path, remove_leftovers, write_text


def test_written_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "before")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file_and_can_be_swept_up(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "before")
    code = f"""
        import os, pathlib, signal
        from chromatic_descent.files.atomic import atomic_path
        with atomic_path(pathlib.Path({str(path)!r})) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(path)
    assert list(tmp_path.iterdir()) == [path]


def test_only_leftovers_of_the_file_itself_are_swept_up(tmp_path):
    """A sweep has members x_0 and x_0.1, and another process may be writing the other one."""
    left = tmp_path / ".x_0.77.tmp.npz"
    others = [tmp_path / name for name in (".x_0.1.77.tmp.npz", ".x.77.tmp.npz", ".x_0.77.tmp.txt")]
    for path in (left, *others):
        path.touch()
    remove_leftovers(tmp_path / "x_0.npz")
    assert sorted(tmp_path.iterdir()) == sorted(others)
    (tmp_path / "x_0.npz").touch()
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "x_0.npz"]
