"""Commands, snippets and names of options in README.md, CONTRIBUTING.md and docs/."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("bash", "sh", "shell", "console")

# What code within a line must begin with to be taken for a command.
OURS = ("train", "analyze", "studies", "import")
PROGRAMS = (
    *(f"chromatic-{name}" for name in OURS),
    *(
        "make",
        "pip",
        "python",
        "tensorboard",
        "mlflow",
        "wandb",
        "srun",
        "sbatch",
        "ray",
        "eval",
        "source",
        "export",
        "cd",
    ),
)


@dataclass(frozen=True)
class Block:
    """A block of code: its page, the line it begins on, its language (none: indented), its lines."""

    page: str
    line: int
    language: str
    lines: tuple[str, ...]

    @property
    def text(self):
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Command:
    """A command and where it is told."""

    where: str
    text: str

    @property
    def words(self):
        """As a shell would see them, without comments and settings of the environment."""
        words = shlex.split(self.text, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        return words


def blocks(path):
    """Every fenced and every indented block of a page, and the prose between them."""
    found, prose, page = [], [], str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").splitlines()
    place = 0
    while place < len(lines):
        fence = re.match(r"^(`{3,})(\w*)", lines[place])
        blank_before = place == 0 or not lines[place - 1].strip()
        if fence:
            end = next(k for k in range(place + 1, len(lines)) if lines[k].startswith(fence[1]))
            found.append(Block(page, place + 2, fence[2], tuple(lines[place + 1 : end])))
            place = end + 1
        elif lines[place].startswith("    ") and blank_before:
            end = place
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            inside = [line[4:] for line in lines[place:end]]
            while not inside[-1].strip():
                inside.pop()
            found.append(Block(page, place + 1, "", tuple(inside)))
            place = end
        else:
            prose.append(lines[place])
            place += 1
    return found, "\n".join(prose)


def is_shell(block):
    """Whether a block is commands: it says so, or begins with plain words, the first a program's."""
    line = next((line for line in block.lines if line.split("#")[0].strip()), "")
    first = line.split()[0]
    plain = line.isascii() and re.fullmatch(r"[a-z][a-z0-9_.-]*", first) is not None
    return block.language in SHELLS or (not block.language and (first in PROGRAMS or plain))


def commands(path):
    """Every command of a page: of its blocks, and those in a line of text that have arguments."""
    found, told = [], blocks(path)
    for block in filter(is_shell, told[0]):
        text, start = "", block.line
        for number, line in enumerate(block.lines, block.line):
            text, start = (text + line, start) if text else (line, number)
            if text.endswith("\\"):
                text = text[:-1]
                continue
            if text.strip() and not text.lstrip().startswith("#"):
                found.append(Command(f"{block.page}:{start}", text.strip()))
            text = ""
    for span in spans(told[1]):
        if span.split(" ")[0] in PROGRAMS and " " in span:
            found.append(Command(f"{path.relative_to(ROOT)} `{span}`", span))
    return found


def spans(prose):
    """What stands between backticks, each on one line."""
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def all_commands():
    """The commands of all pages, each once."""
    found = {}
    for path in PAGES:
        for command in commands(path):
            found.setdefault(command.text, command)
    return list(found.values())


def all_blocks(language):
    """The blocks of all pages in one language."""
    return [block for path in PAGES for block in blocks(path)[0] if block.language == language]
