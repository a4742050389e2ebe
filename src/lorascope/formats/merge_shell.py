"""Set, replace and take out options of the one training command of a shell script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Tool
from lorascope.formats.edit_lines import Change, UnfixableError, changed, line_break, line_start
from lorascope.formats.merged import Merge
from lorascope.formats.node import Node, Syntax
from lorascope.formats.recognize import dialect_of
from lorascope.formats.shell_options import option_words

_BLANKS_BEFORE = re.compile(r"(?:[ \t]|\\\r?\n)+\Z")
_LONGEST_BLANKS = 1000
_CONTINUED = re.compile(r"\\\r?\n([ \t]*)")


def merge_shell(text: str, origin: str, tool: Tool, nodes: Sequence[Node], change: Merge) -> str:
    """Return the text of a script with options changed.

    Args:
        text: Of the script.
        origin: What messages call it.
        tool: Whose command it is.
        nodes: All training commands of the script.
        change: What to do.

    Raises:
        RecipeError: It holds several commands, or one that takes its settings from a file.
        UnfixableError: It is written in a way that is not changed automatically.
    """
    command = _only(nodes, origin, tool)
    config = command.fields.get("config")
    if config is not None:
        raise RecipeError(
            f"{origin}, line {command.spot.line}: the command takes its settings from"
            f" {config.value}; expected them to stand in the script.",
            f"Name {config.value} instead.",
        )
    return changed(text, tuple(_changes(text, command, change)))


def _only(nodes: Sequence[Node], origin: str, tool: Tool) -> Node:
    dialect = dialect_of(tool)
    found = [node for node in nodes if dialect.recognizes(node, Syntax.SHELL)]
    if len(nodes) != 1 or len(found) != 1:
        lines = ", ".join(str(node.spot.line) for node in nodes)
        raise RecipeError(
            f"{origin} holds {len(nodes)} training commands (lines {lines}); expected one.",
            "Put the one that is meant into a script of its own.",
        )
    return found[0]


def _changes(text: str, command: Node, change: Merge) -> Iterator[Change]:
    last = -1
    added: dict[str, Any] = {}
    for name, value in change.values.items():
        node = command.fields.get(name)
        if node is None:
            added[name] = value
            continue
        start, end = _place(text, command, name)
        last = max(last, end)
        if not change.keeps(name, node.value) and not _says(node, value):
            yield Change(start, end, " ".join(option_words(name, value)))
    for name in sorted(change.owned & command.keys.keys() - change.values.keys()):
        start, end = _place(text, command, name)
        blanks = _BLANKS_BEFORE.search(text[max(0, start - _LONGEST_BLANKS) : start])
        yield Change(start - (len(blanks[0]) if blanks else 0), end, "")
    if added:
        end = last if last >= 0 else command.spot.end
        between = _between(text, command)
        flags = (" ".join(option_words(*each)) for each in added.items())
        yield Change(end, end, "".join(f"{between}{flag}" for flag in flags))


def _place(text: str, command: Node, name: str) -> tuple[int, int]:
    """Return where an option and its values stand.

    Raises:
        UnfixableError: It comes from a variable.
    """
    key, node = command.keys[name], command.fields[name]
    if not text[key.start : key.end].strip("'\"").startswith("--"):
        raise UnfixableError(f"--{name} comes from a variable, at line {key.line}")
    if node.spot.start < key.start:
        raise UnfixableError(f"the value of --{name} comes from a variable, at line {key.line}")
    return key.start, max(key.end, node.spot.end)


def _says(node: Node, value: Any) -> bool:
    """Whether an option says a value already."""
    said = node.value if isinstance(node.value, list) else [node.value]
    asked = value if isinstance(value, list) else [value]
    return [str(each).lower() for each in said] == [str(each).lower() for each in asked] and (
        [str(each) for each in said] == [str(each) for each in asked]
        or all(isinstance(each, bool) for each in asked)
    )


def _between(text: str, command: Node) -> str:
    """Return what stands between options: a line break if the command goes over several lines."""
    written = text[command.spot.start : command.spot.end]
    continued = _CONTINUED.search(written)
    if continued is None:
        return " "
    newline = line_break(text, line_start(text, command.spot.start))
    return f" \\{newline}{continued[1]}"
