"""Put a LoRA configuration into a file that has another one, or none; all else stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from lorascope.core.errors import RecipeError, UnknownFormatError
from lorascope.core.recipe import Tool
from lorascope.formats.dialects import DIALECTS
from lorascope.formats.edit_lines import UnfixableError
from lorascope.formats.merge_keys import merge_keys
from lorascope.formats.merge_shell import merge_shell
from lorascope.formats.merged import Merge
from lorascope.formats.node import Node, Syntax
from lorascope.formats.recognize import dialect_of, is_adapter_config, parse, syntax_of

__all__ = ["Merge", "merge"]


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
        raise RecipeError(
            f"{origin} is not changed automatically: {error}.",
            "Write the configuration to a file of its own with -o, and copy from it.",
        ) from None


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
