"""The commands of a shell script that start a training, each a mapping of its options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from lorascope.core.recipe import Spot
from lorascope.formats.node import Node
from lorascope.formats.shell_commands import Training, training_of
from lorascope.formats.shell_variables import ASSIGNMENT, Filled, Variables
from lorascope.formats.shell_words import Operator, Script, Token, Word, tokens_of

_REDIRECTS = frozenset({"&>>", "&>", "<<<", "<<-", "<<", ">>", ">|", ">&", "<&", "<>", ">", "<"})
_DECLARING = frozenset({"declare", "export", "local", "readonly", "typeset"})
_OPTION = re.compile(r"--([A-Za-z][\w.-]*)(=?)")
_SHORT_OPTION = re.compile(r"-[A-Za-z]")
_CONFIG = re.compile(r".+\.(?:json|ya?ml)")
_TAKING_A_FILE = ("llamafactory-cli ", "swift ")


def parse_shell(text: str, where: str) -> tuple[Node, ...]:
    """Read the commands of a shell script that start a training.

    Nothing is run. Variables that the script assigns are filled in, whatever its conditions and
    loops say; what is not assigned in it, and every command substitution, stays as it is written.

    Each command is a mapping as `Node` says, with two fields more: `""` says which training it
    is (`trl sft`), and `config` which file its first word names, where `swift` and
    `llamafactory-cli` take one.

    Args:
        text: The script.
        where: What messages call it.

    Raises:
        RecipeError: It is too long, or a quote or parenthesis is never closed; the message says
            at which line and column.
    """
    script = Script(text, where)
    variables = Variables(script)
    nodes: list[Node] = []
    for words, arrays in _statements(tokens_of(script)):
        if _assigns(words):
            for word in words:
                if word.start in arrays:
                    variables.assign_array(word, arrays[word.start])
                else:
                    variables.assign(word)
            continue
        training = training_of(variables.filled(words))
        if training is not None:
            nodes.append(_command(script, training))
    return tuple(nodes)


Arrays = dict[int, list[Word]]
"""The elements of a `NAME=(…)`, by where it starts."""


def _statements(tokens: Sequence[Token]) -> Iterator[tuple[list[Word], Arrays]]:
    """Cut at the operators that end a command; redirections are left out."""
    words: list[Word] = []
    arrays: Arrays = {}
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if isinstance(token, Word):
            words.append(token)
        elif token.text in _REDIRECTS:
            if words and words[-1].end == token.start and words[-1].first.isdigit():
                words.pop()
            if at < len(tokens) and isinstance(tokens[at], Word):
                at += 1
        elif token.text == "(" and words and _opens_array(words[-1], token):
            arrays[words[-1].start], at = _array(tokens, at)
        else:
            if words:
                yield words, arrays
            words, arrays = [], {}
    if words:
        yield words, arrays


def _opens_array(word: Word, bracket: Operator) -> bool:
    match = ASSIGNMENT.match(word.first)
    return match is not None and match.end() == len(word.first) and word.end == bracket.start


def _array(tokens: Sequence[Token], at: int) -> tuple[list[Word], int]:
    """Return the words up to the closing bracket, and the index after it."""
    elements: list[Word] = []
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if isinstance(token, Word):
            elements.append(token)
        elif token.text == ")":
            break
    return elements, at


def _assigns(words: Sequence[Word]) -> bool:
    """Whether a command does nothing but assign variables."""
    if words[0].is_plain and words[0].first in _DECLARING:
        return True
    return all(ASSIGNMENT.match(word.first) for word in words)


def _command(script: Script, training: Training) -> Node:
    named = training.named_by
    last = training.arguments[-1] if training.arguments else named[-1]
    fields = {"": Node(training.command, _span(script, named[0], named[-1]))}
    keys: dict[str, Spot] = {}
    if training.command.startswith(_TAKING_A_FILE) and training.arguments:
        first = training.arguments[0]
        if _CONFIG.fullmatch(first.value) and not first.value.startswith("-"):
            fields["config"] = Node(first.value, _span(script, first, first))
    for name, key, node in _options(script, training.arguments):
        fields[name], keys[name] = node, key
    value = {name: node.value for name, node in fields.items()}
    return Node(value, _span(script, named[0], last), fields=fields, keys=keys)


def _options(script: Script, words: Sequence[Filled]) -> Iterator[tuple[str, Spot, Node]]:
    """Read `--name value …` and `--name=value`; other words belong to no option."""
    starts = [index for index, word in enumerate(words) if _is_option(word.value)]
    for index, following in pairwise([*starts, len(words)]):
        word = words[index]
        match = _OPTION.match(word.value)
        if match is None:
            continue
        name = match[1].replace("-", "_")
        if match[2]:
            key, node = _with_equals(script, word, match.end())
            yield name, key, node
        else:
            key = script.spot(word.start, word.end)
            yield name, key, _value(script, word, words[index + 1 : following])


def _is_option(value: str) -> bool:
    """Whether a word is an option, which ends the values of the one before it.

    Source: `_negative_number_matcher` of Python's argparse: a negative number is a value.
    """
    return value.startswith("--") or _SHORT_OPTION.match(value) is not None


def _with_equals(script: Script, word: Filled, value_at: int) -> tuple[Spot, Node]:
    """Read `--name=value`: argparse takes no further word for it."""
    raw = script.text[word.start : word.end]
    equals = raw.find("=") + 1
    start = word.start
    if raw[:equals] == word.value[:value_at]:
        start += equals
    else:  # the option's name is quoted, or from a variable
        equals = 0
    key = script.spot(word.start, word.start + equals - 1 if equals else word.end)
    return key, Node(word.value[value_at:], script.spot(start, word.end))


def _value(script: Script, option: Filled, words: Sequence[Filled]) -> Node:
    if not words:
        return Node(True, script.spot(option.start, option.end))
    items = tuple(Node(word.value, _span(script, word, word)) for word in words)
    if len(items) == 1:
        return items[0]
    values: list[Any] = [item.value for item in items]
    return Node(values, _span(script, words[0], words[-1]), items)


def _span(script: Script, first: Filled, last: Filled) -> Spot:
    return script.spot(min(first.start, last.start), max(first.end, last.end))
