"""Tell whose configuration a text is, and read it.

Parsers and dialects are imported where they are needed: an adapter is read without the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lorascope.core.errors import NoLoraError, RecipeError, UnknownFormatError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats.dialect import Dialect
from lorascope.formats.node import Node, Syntax

_SIGNS: Mapping[Tool, str] = {
    Tool.PEFT: "JSON with peft_type, base_model_name_or_path or target_modules",
    Tool.AXOLOTL: "base_model with adapter",
    Tool.LLAMAFACTORY: "finetuning_type, or model_name_or_path with template or stage, or a"
    " `llamafactory-cli` command",
    Tool.MS_SWIFT: "model with LoRA settings, or a `swift` command",
    Tool.TRL: "model_name_or_path with lora_ keys or use_peft, or a `trl` command",
    Tool.TORCHTUNE: "model with _component_",
    Tool.MLX_LM: "lora_parameters",
}
"""What each tool's files are known by, for messages."""

MOST_COMMANDS = 30
"""Training commands of one script, each of which is checked by itself."""

_SHELL_NAMES = (".sh", ".bash")
_YAML_NAMES = (".yaml", ".yml")
_ADAPTER_CONFIG = "adapter_config.json"
_COMMAND = re.compile(
    r"^[^#\n:]{0,200}?\b(?:(?:trl|swift) +(?:sft|dpo|grpo|kto|pt|rlhf)|llamafactory-cli +train)\b",
    re.M,
)
_SIGN = re.compile(
    rb'"(?:peft_type|finetuning_type|use_peft|adapter|tuner_type|train_type|sft_type|lora_\w{1,40})"'
    rb"\s{0,20}:"
)
_PYTHON = re.compile(r"^(?:from +[\w.]{1,99} +import |import +[\w.]{1,99})", re.M)
_QUOTES = ("'", '"')
_OUTSIDE = re.compile(r"[\ufeff \t\r\n]*")


def looks_like(name: str) -> bool:
    """Whether a file of a directory deserves to be read, by its name alone."""
    return is_adapter_config(name) or name.lower().endswith((*_SHELL_NAMES, *_YAML_NAMES))


def has_signs(beginning: bytes) -> bool:
    """Whether a JSON file of a directory deserves to be read, by the keys at its beginning.

    Few JSON files are configurations of LoRA; those that are have one of these keys. Zero bytes,
    as UTF-16 has them, are passed over, so that such a file is told of and not left out.
    """
    return _SIGN.search(beginning.replace(b"\0", b"")) is not None


def is_adapter_config(name: str) -> bool:
    """Whether a file is called as PEFT calls an adapter's configuration."""
    return re.split(r"[/\\]", name)[-1].lower() == _ADAPTER_CONFIG


def syntax_of(text: str, origin: str) -> Syntax:
    """Return how a text is written, by its name, its beginning, and the commands in it."""
    name = origin.lower()
    start = text[_end_of_blanks(text) :][:2]
    if name.endswith(_SHELL_NAMES) or start == "#!":
        return Syntax.SHELL
    if name.endswith(_YAML_NAMES):
        return Syntax.YAML
    if start.startswith("{") or name.endswith(".json"):
        return Syntax.JSON
    return Syntax.SHELL if _COMMAND.search(text) else Syntax.YAML


def _end_of_blanks(text: str) -> int:
    found = _OUTSIDE.match(text)
    return 0 if found is None else found.end()


def parse(text: str, origin: str, syntax: Syntax) -> tuple[Node, ...]:
    """Parse a text: one node, or one for each command of a script.

    Raises:
        RecipeError: It is not written in that syntax.
    """
    match syntax:
        case Syntax.JSON:
            from lorascope.formats.json_document import parse_json

            return (parse_json(text, origin),)
        case Syntax.YAML:
            from lorascope.formats.yaml_document import parse_yaml

            return (parse_yaml(text, origin),)
        case Syntax.SHELL:
            from lorascope.formats.shell_document import parse_shell

            return parse_shell(text, origin)


def read_recipes(text: str, origin: str, tool: Tool | None = None) -> tuple[Recipe, ...]:
    """Read every LoRA configuration of a text.

    Args:
        text: Of the file, or what was given in its place.
        origin: What messages call it; the end of a file name also tells the syntax.
        tool: Whose it is; None to tell by its keys.

    Returns:
        At least one; several only of a script. The order is that of the text.

    Raises:
        UnknownFormatError: It is of no tool that is known.
        NoLoraError: It is of a known tool, and trains no LoRA.
        RecipeError: It cannot be read; the message says where and why.
    """
    syntax = syntax_of(text, origin)
    if syntax is Syntax.YAML and origin.lower().endswith(".py"):
        raise _python(origin)
    nodes = parse(text, origin, syntax)
    if syntax is Syntax.SHELL:
        return _of_commands(nodes, origin, tool)
    root = nodes[0]
    if not isinstance(root.value, dict) and _PYTHON.search(text):
        raise _python(origin)
    if not isinstance(root.value, dict):
        raise UnknownFormatError(
            f"{origin} holds {_words(root.value)}; expected keys and values.", _HINT
        )
    dialect = _dialect(root, syntax, origin, tool)
    return (_with_true_places(dialect.read(root, origin), text),)


def _python(origin: str) -> UnknownFormatError:
    return UnknownFormatError(
        f"{origin} is Python, which is not read: what it trains shows only when it is run.",
        "Name the adapter_config.json of an adapter that it trained.",
    )


def tools_of(text: str, origin: str) -> tuple[Tool, ...]:
    """Return the tools that a text is known by; none if it cannot be parsed."""
    if is_adapter_config(origin):
        return (Tool.PEFT,)
    from lorascope.formats.dialects import DIALECTS

    syntax = syntax_of(text, origin)
    try:
        nodes = [node for node in parse(text, origin, syntax) if isinstance(node.value, dict)]
    except RecipeError:
        return ()
    return tuple(
        dialect.tool
        for dialect in DIALECTS
        if any(dialect.recognizes(node, syntax) for node in nodes)
    )


def _with_true_places(recipe: Recipe, text: str) -> Recipe:
    """Leave out places of entries that do not stand there as they are read.

    A reader counts names with commas between them from the beginning of their text, which is off
    where that goes on over several lines.
    """
    places = {
        (field, entry): spot
        for (field, entry), spot in recipe.spots.items()
        if entry is None
        or text[spot.start : spot.start + 1] in _QUOTES
        or entry in text[spot.start : spot.end]
    }
    return replace(recipe, spots=places)


def _of_commands(nodes: Sequence[Node], origin: str, tool: Tool | None) -> tuple[Recipe, ...]:
    """Read the commands that train LoRA; those that train something else are left out."""
    if not nodes:
        raise UnknownFormatError(f"{origin} holds no training command that is known.", _HINT)
    if len(nodes) > MOST_COMMANDS:
        raise RecipeError(
            f"{origin} holds {len(nodes):,} training commands; expected at most {MOST_COMMANDS}.",
            "Split it into several scripts.",
        )
    recipes: list[Recipe] = []
    without: NoLoraError | None = None
    for node in nodes:
        dialect = _dialect(node, Syntax.SHELL, origin, tool)
        try:
            recipe = dialect.read(node, origin)
        except NoLoraError as error:
            without = without or error
            continue
        recipes.append(replace(recipe, name=recipe.name or f"line {node.spot.line}"))
    if not recipes and without is not None:
        raise without
    return (replace(recipes[0], name=""),) if len(recipes) == 1 else tuple(recipes)


def _dialect(root: Node, syntax: Syntax, origin: str, tool: Tool | None) -> Dialect:
    if tool is None and is_adapter_config(origin):
        tool = Tool.PEFT
    if tool is not None:
        return _of_tool(tool, syntax, origin)
    from lorascope.formats.dialects import DIALECTS

    found = [dialect for dialect in DIALECTS if dialect.recognizes(root, syntax)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(dialect.tool.value for dialect in found)
        raise UnknownFormatError(f"{origin} has keys of {names}.", _HINT)
    signs = "; ".join(f"{each.tool}: {_SIGNS[each.tool]}" for each in DIALECTS)
    raise UnknownFormatError(f"{origin} is of no tool that is known. Looked for {signs}.", _HINT)


_HINT = f"Say whose it is with --format, one of {', '.join(tool.value for tool in Tool)}."


def _of_tool(tool: Tool, syntax: Syntax, origin: str) -> Dialect:
    dialect = dialect_of(tool)
    if syntax not in dialect.syntaxes:
        expected = " or ".join(each.value.upper() for each in dialect.syntaxes)
        raise RecipeError(
            f"{origin} is read as {syntax.value.upper()}; {tool} takes {expected}.",
            "Name another file or another --format.",
        )
    return dialect


def dialect_of(tool: Tool) -> Dialect:
    """Return what is known of one tool."""
    if tool is Tool.PEFT:
        from lorascope.formats import peft

        return peft.DIALECT
    from lorascope.formats.dialects import DIALECTS

    return next(dialect for dialect in DIALECTS if dialect.tool is tool)


def hand(recipe: Recipe, inventory: Inventory) -> Mapping[str, Any]:
    """Return the fields that the recipe's tool hands to PEFT on one model.

    Raises:
        SpecificationError: The tool itself would refuse the recipe on this model.
    """
    return dialect_of(recipe.tool).hand(recipe, inventory)


def _words(value: object) -> str:
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else "one value"
