import io

from omegaconf import OmegaConf
from rich.console import Console

from chromatic_descent.launch.job_record import config_tree


def test_the_tree_shows_lists_and_brackets_as_they_are():
    text = io.StringIO()
    cfg = OmegaConf.create({"model": {"widths": [16, 64], "name": "[bold]x"}})
    Console(file=text, width=80).print(config_tree(cfg))
    assert "widths: [16, 64]" in text.getvalue()
    assert '"[bold]x"' in text.getvalue()
