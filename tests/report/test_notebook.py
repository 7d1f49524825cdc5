from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "from_logits.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_as_it_was_run(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 3
    assert NOTEBOOK.stat().st_size < 500_000


@pytest.mark.slow
def test_it_runs(notebook, tmp_path):
    from nbclient import NotebookClient

    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises if a cell does
    printed = [o["text"] for cell in notebook.cells for o in cell.get("outputs", []) if "text" in o]
    assert "p = 0.01" in "".join(printed)
