"""Commands, snippets and option names that README.md and docs/ give to a reader."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("bash", "sh", "shell", "console")

# The first words by which code within a line counts as a command.
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
    """A command and where it stands."""

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
    fenced, prose, page = [], [], str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").splitlines()
    index = 0
    while index < len(lines):
        fence = re.match(r"^(`{3,})(\w*)", lines[index])
        blank_before = index == 0 or not lines[index - 1].strip()
        if fence:
            end = next(k for k in range(index + 1, len(lines)) if lines[k].startswith(fence[1]))
            fenced.append(Block(page, index + 2, fence[2], tuple(lines[index + 1 : end])))
            index = end + 1
        elif lines[index].startswith("    ") and blank_before:
            end = index
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            inside = [line[4:] for line in lines[index:end]]
            while not inside[-1].strip():
                inside.pop()
            fenced.append(Block(page, index + 1, "", tuple(inside)))
            index = end
        else:
            prose.append(lines[index])
            index += 1
    return fenced, "\n".join(prose)


def is_shell(block):
    """Whether a block holds commands: by its language, or by a first word that is a program."""
    line = next((line for line in block.lines if line.split("#")[0].strip()), "")
    first = line.split()[0]
    plain = line.isascii() and re.fullmatch(r"[a-z][a-z0-9_.-]*", first) is not None
    return block.language in SHELLS or (not block.language and (first in PROGRAMS or plain))


def commands(path):
    """Every command of a page: of its blocks, and those in a line of text that have arguments."""
    collected, (fenced, prose) = [], blocks(path)
    for block in filter(is_shell, fenced):
        text, start = "", block.line
        for number, line in enumerate(block.lines, block.line):
            text, start = (text + line, start) if text else (line, number)
            if text.endswith("\\"):
                text = text[:-1]
                continue
            if text.strip() and not text.lstrip().startswith("#"):
                collected.append(Command(f"{block.page}:{start}", text.strip()))
            text = ""
    for span in spans(prose):
        if span.split(" ")[0] in PROGRAMS and " " in span:
            collected.append(Command(f"{path.relative_to(ROOT)} `{span}`", span))
    return collected


def spans(prose):
    """The texts between backticks, each on one line."""
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def all_commands():
    """The commands of all pages, each once."""
    by_text = {}
    for path in PAGES:
        for command in commands(path):
            by_text.setdefault(command.text, command)
    return list(by_text.values())


def all_blocks(language):
    """The blocks of all pages in one language."""
    return [block for path in PAGES for block in blocks(path)[0] if block.language == language]
