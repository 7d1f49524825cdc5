"""Commands, snippets and names of options in README.md, CONTRIBUTING.md and docs/."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("bash", "sh", "shell", "console")

# Code within a line that begins with one of these is a command.
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
    """A block of code: its page, its first line, its language (empty if indented), its lines."""

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
        """The words that a shell would see, without comments and environment variables."""
        words = shlex.split(self.text, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        return words


def blocks(path):
    """Every fenced and every indented block of a page, and the prose between them."""
    code, prose, page = [], [], str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").splitlines()
    start = 0
    while start < len(lines):
        fence = re.match(r"^(`{3,})(\w*)", lines[start])
        blank_before = start == 0 or not lines[start - 1].strip()
        if fence:
            end = next(k for k in range(start + 1, len(lines)) if lines[k].startswith(fence[1]))
            code.append(Block(page, start + 2, fence[2], tuple(lines[start + 1 : end])))
            start = end + 1
        elif lines[start].startswith("    ") and blank_before:
            end = start
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            inside = [line[4:] for line in lines[start:end]]
            while not inside[-1].strip():
                inside.pop()
            code.append(Block(page, start + 1, "", tuple(inside)))
            start = end
        else:
            prose.append(lines[start])
            start += 1
    return code, "\n".join(prose)


def is_shell(block):
    """Whether a block holds commands: by its language, or because it begins like one."""
    line = next((line for line in block.lines if line.split("#")[0].strip()), "")
    first = line.split()[0]
    plain = line.isascii() and re.fullmatch(r"[a-z][a-z0-9_.-]*", first) is not None
    return block.language in SHELLS or (not block.language and (first in PROGRAMS or plain))


def commands(path):
    """Every command of a page: of its blocks, and those with arguments in its prose."""
    result, (code, prose) = [], blocks(path)
    for block in filter(is_shell, code):
        text, start = "", block.line
        for number, line in enumerate(block.lines, block.line):
            text, start = (text + line, start) if text else (line, number)
            if text.endswith("\\"):
                text = text[:-1]
                continue
            if text.strip() and not text.lstrip().startswith("#"):
                result.append(Command(f"{block.page}:{start}", text.strip()))
            text = ""
    for span in spans(prose):
        if span.split(" ")[0] in PROGRAMS and " " in span:
            result.append(Command(f"{path.relative_to(ROOT)} `{span}`", span))
    return result


def spans(prose):
    """The code between backticks in prose, each on one line."""
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def all_commands():
    """The commands of all pages, each once."""
    first = {}
    for path in PAGES:
        for command in commands(path):
            first.setdefault(command.text, command)
    return list(first.values())


def all_blocks(language):
    """The blocks of all pages in one language."""
    return [block for path in PAGES for block in blocks(path)[0] if block.language == language]
