"""Put a LoRA configuration into a file that has another one, or none; all else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lorascope.core.errors import RecipeError, UnknownFormatError
from lorascope.core.recipe import Tool
from lorascope.formats.dialects import DIALECTS
from lorascope.formats.edit_lines import UnfixableError
from lorascope.formats.merge_keys import merge_keys
from lorascope.formats.merge_shell import merge_shell
from lorascope.formats.merged import Merge
from lorascope.formats.node import Node, Syntax
from lorascope.formats.recognize import dialect_of, is_adapter_config, parse, syntax_of

__all__ = ["Merge", "merge", "merge_yaml"]


def merge(text: str, origin: str, tool: Tool, change: Merge) -> str:
    """Return the text with keys set, replaced and taken out.

    Comments, order and all other lines stay. What is returned can be read again; whether it says
    what was meant is for the caller to check.

    Args:
        text: A file of the tool's, or a script with one command of it.
        origin: What messages call it; the end of a file name also tells the syntax.
        tool: Whose it is.
        change: What to do.

    Raises:
        UnknownFormatError: It is another tool's.
        RecipeError: It cannot be read, holds several commands, or is written in a way that is not
            changed automatically.
    """
    syntax = syntax_of(text, origin)
    _check_syntax(syntax, tool, origin)
    nodes = parse(text, origin, syntax)
    _check_tool(nodes, syntax, tool, origin, change)
    try:
        if syntax is Syntax.SHELL:
            return merge_shell(text, origin, tool, nodes, change)
        return merge_keys(text, origin, tool, syntax, change)
    except UnfixableError as error:
        raise _unchanged(origin, str(error)) from None


def merge_yaml(text: str, origin: str, name: str, change: Merge) -> tuple[str, Mapping[str, Any]]:
    """Do as `merge` with the YAML of a tool that is not read; what it says is checked.

    Args:
        text: The file.
        origin: What messages call it.
        name: Of the tool, for messages.
        change: What to do.

    Returns:
        The text, and what it holds.

    Raises:
        UnknownFormatError: It is no YAML, or lacks the key that names the base model.
        RecipeError: As `merge`.
    """
    syntax = syntax_of(text, origin)
    if syntax is not Syntax.YAML:
        raise UnknownFormatError(
            f"{origin} is read as {syntax.value.upper()}; {name} takes YAML.",
            "Name a file of that tool.",
        )
    if not _has(parse(text, origin, syntax)[0].value, change.model_key):
        raise UnknownFormatError(
            f"{origin} is no file of {name}: expected the key {change.model_key}.",
            "Name another file, or write a new one with -o.",
        )
    try:
        result = merge_keys(text, origin, None, syntax, change)
        document = parse(result, origin, syntax)[0].value
    except (UnfixableError, RecipeError) as error:
        raise _unchanged(origin, getattr(error, "what", str(error))) from None
    if not _holds(document, change.values, change, ""):
        raise _unchanged(origin, "it would state something else afterwards")
    return result, document


def _has(document: Any, key: str) -> bool:
    """Whether a document has a key, `section.key` inside of a section."""
    for name in key.split("."):
        if not isinstance(document, Mapping) or name not in document:
            return False
        document = document[name]
    return True


def _holds(document: Any, values: Mapping[str, Any], change: Merge, before: str) -> bool:
    """Whether a document has all values that were to be set, and none of the keys to be out."""
    if not isinstance(document, Mapping):
        return False
    owned = change.owned_in(before[:-1]) if before else change.owned
    if any(name in document and name not in values for name in owned):
        return False
    return all(
        _holds(document.get(name), value, change, f"{name}.")
        if isinstance(value, Mapping)
        else change.keeps(before + name, document.get(name)) or document.get(name) == value
        for name, value in values.items()
    )


def _unchanged(origin: str, why: str) -> RecipeError:
    return RecipeError(
        f"{origin} is not changed automatically: {why}.",
        "Write the configuration to a file of its own with -o, and copy from it.",
    )


def _check_syntax(syntax: Syntax, tool: Tool, origin: str) -> None:
    syntaxes = dialect_of(tool).syntaxes
    if syntax not in syntaxes:
        expected = " or ".join(each.value.upper() for each in syntaxes)
        raise UnknownFormatError(
            f"{origin} is read as {syntax.value.upper()}; {tool.own_name} takes {expected}.",
            "Name a file of that tool.",
        )


def _check_tool(
    nodes: Sequence[Node], syntax: Syntax, tool: Tool, origin: str, change: Merge
) -> None:
    """Make sure that a text is not another tool's, and looks like one of this tool's.

    Raises:
        UnknownFormatError: It is, or does not.
    """
    whose = {
        dialect.tool for node in nodes for dialect in DIALECTS if dialect.recognizes(node, syntax)
    }
    if tool in whose or (tool is Tool.PEFT and is_adapter_config(origin)):
        return
    if whose:
        names = " and ".join(each.own_name for each in Tool if each in whose)
        raise UnknownFormatError(
            f"{origin} is a file of {names}; expected one of {tool.own_name}.",
            "Name another file, or another tool with --to.",
        )
    if syntax is Syntax.SHELL or not any(change.model_key in node.fields for node in nodes):
        raise UnknownFormatError(
            f"{origin} is no file of {tool.own_name}: expected {_sign(syntax, change)}.",
            "Name another file, or write a new one with -o.",
        )


def _sign(syntax: Syntax, change: Merge) -> str:
    return "a training command" if syntax is Syntax.SHELL else f"the key {change.model_key}"
