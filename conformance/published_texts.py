"""Texts of published projects that may hold a LoRA configuration: files, and blocks of pages."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lorascope.formats import looks_like

_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,})[ \t]*(?P<language>[\w+-]*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_ENDINGS = {
    "": ".sh",
    "bash": ".sh",
    "console": ".sh",
    "json": ".json",
    "sh": ".sh",
    "shell": ".sh",
    "yaml": ".yaml",
    "yml": ".yaml",
}
"""Language of a block → how the name of such a file ends."""
_PAGES = (".md", ".py")
"""Files whose blocks are looked at: pages, and scripts that say how they are called."""


@dataclass(frozen=True, slots=True)
class Text:
    """One file, or one block of a page."""

    path: str
    """Below the checkout; of a block with the line that it begins after: `README.md:12`."""
    name: str
    """What to call it for a reader, who tells the syntax by its end."""
    text: str

    @property
    def speaks_of_lora(self) -> bool:
        """Whether the word stands anywhere in it."""
        return "lora" in self.text.casefold()


def texts(checkout: Path) -> Iterator[Text]:
    """Return what a checkout holds, sorted by path."""
    for path in sorted(checkout.rglob("*")):
        below = path.relative_to(checkout)
        if ".git" in below.parts or not path.is_file():
            continue
        if looks_like(path.name):
            yield Text(str(below), str(below), path.read_text("utf-8", "replace"))
        elif path.suffix in _PAGES:
            yield from blocks(str(below), path.read_text("utf-8", "replace"))


def blocks(path: str, page: str) -> Iterator[Text]:
    """Return the fenced blocks of a page that may be commands or files."""
    for found in _FENCE.finditer(page):
        ending = _ENDINGS.get(found["language"].casefold())
        if ending is None:
            continue
        here = f"{path}:{page.count(chr(10), 0, found.start()) + 1}"
        text = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Text(here, f"{here}{ending}", text)


def commit_of(checkout: Path) -> str:
    """Return the commit and its day, or a dash if it is no git checkout."""
    if not (checkout / ".git").exists():
        return "–"  # git would look above it
    command = ["git", "-C", str(checkout), "log", "-1", "--format=%h of %cs", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or "–"
