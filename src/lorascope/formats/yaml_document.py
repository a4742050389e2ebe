"""Parse YAML that nobody vouches for, so that every value knows where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Spot
from lorascope.formats.node import Node
from lorascope.formats.positions import Positions

LARGEST_YAML = 256 * 1024
"""Characters. Trainer files have some 100 lines."""

MOST_VALUES = 20_000
"""Keys and values of one text; what an alias stands for counts each time."""

DEEPEST = 100
"""Lists and mappings inside one another."""

_LONGEST_SCALAR = 100
"""Characters up to which a plain scalar may be a number; no number of a configuration is longer."""

_MOST_DIRECTIVES = 100
"""Directives `%TAG`, for which the parser takes time quadratic in their number."""

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_COLLECTIONS = {"seq": yaml.SequenceStartEvent, "map": yaml.MappingStartEvent}
_SCALARS = frozenset({"str", "int", "float", "bool", "null"})


def parse_yaml(text: str, where: str) -> Node:
    """Parse the one document of a YAML 1.1 text, as `yaml.safe_load` reads it.

    Dates stay text. A key that stands twice has its last value.

    Args:
        text: With or without a byte order mark, which counts in the offsets.
        where: What messages call it.

    Raises:
        RecipeError: It is too large, too deep, not YAML, holds a tag that would make an object, or
            more than one document; the message says at which line and column.
    """
    if len(text) > LARGEST_YAML:
        raise RecipeError(
            f"{where} has {len(text):,} characters; expected at most {LARGEST_YAML:,}.",
            "Name a LoRA configuration, such as a trainer's YAML file.",
        )
    if not _is_unicode(text):
        raise RecipeError(f"{where} holds half a surrogate pair; expected Unicode text.")
    if text.count("%TAG") > _MOST_DIRECTIVES:
        raise RecipeError(f"{where} defines tags of its own, which are not read.")
    composer = _Composer(text, where)
    with composer.reporting():
        return composer.document()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_text_without_quotes(text: str) -> bool:
    """Whether a plain scalar is read as text, and not as a number, `true`, `null` or the like."""
    return str(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False))) == f"{_TAG}str"


class _Composer:
    """Builds nodes from a parser's events: the parser's own composer recurses without a bound."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._text = text
        self._before = 1 if text.startswith("\ufeff") else 0
        self._positions = Positions(text)
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._loader = loader(text[self._before :])
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._visited = 0

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn the parser's errors into `RecipeError`."""
        try:
            yield
        except yaml.reader.ReaderError as error:
            self._fail(self._before + error.position, f"{error.reason}")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = ", ".join(str(each) for each in (error.context, error.problem) if each)
            self._fail(self._before + (mark.index if mark is not None else 0), what)
        except yaml.YAMLError as error:
            self._fail(self._before, str(error))

    def document(self) -> Node:
        """Return the root of the only document."""
        self._loader.get_event()
        if isinstance(self._loader.get_event(), yaml.StreamEndEvent):
            raise RecipeError(f"{self._where} is empty; expected a YAML mapping of keys to values.")
        root = self._value(self._loader.get_event(), 1)
        self._loader.get_event()
        event = self._loader.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            self._fail(
                self._before + event.start_mark.index,
                "a second document begins here; expected one document in the file",
            )
        return root

    def _value(self, event: Any, depth: int) -> Node:
        visited = self._visited
        self._count(event, 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > DEEPEST:
            self._fail_at(event, f"lists and mappings more than {DEEPEST} deep")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event), self._scalar_spot(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._visited - visited)
        return node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            self._fail_at(event, f"the alias {event.anchor!r} stands for nothing before it")
        known = self._anchors[event.anchor]
        if known is None:
            self._fail_at(event, f"the alias {event.anchor!r} stands for what it is inside of")
        node, size = known
        self._count(event, size)
        return replace(node, spot=self._spot(event.start_mark.index, event.end_mark.index))

    def _scalar(self, event: Any) -> Any:
        tag = self._tag_of_scalar(event)
        if tag == "str" or len(event.value) > _LONGEST_SCALAR:
            return event.value
        try:
            return _CONSTRUCT[tag](yaml.ScalarNode(f"{_TAG}{tag}", event.value))
        except (ValueError, KeyError, IndexError):
            return self._fail_at(event, f"{event.value!r} is no {tag}")

    def _tag_of_scalar(self, event: Any) -> str:
        """Return the name of one of YAML's own types; a date is text, as all other words are."""
        if event.tag is None or event.tag == "!":
            resolved = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)
            name = str(resolved).removeprefix(_TAG)
            return name if name in _SCALARS else "str"
        name = str(event.tag).removeprefix(_TAG)
        if name not in _SCALARS:
            self._fail_at(event, f"the tag {event.tag!r}, which is not read")
        return name

    def _sequence(self, event: Any, depth: int) -> Node:
        self._check_tag(event, "seq")
        items: list[Node] = []
        while not isinstance(following := self._loader.get_event(), yaml.SequenceEndEvent):
            items.append(self._value(following, depth + 1))
        last = max((each.spot.end for each in items), default=0)
        spot = self._collection_spot(event, following, last)
        return Node([each.value for each in items], spot, tuple(items))

    def _mapping(self, event: Any, depth: int) -> Node:
        self._check_tag(event, "map")
        pairs = _Pairs()
        last = 0
        while not isinstance(key := self._loader.get_event(), yaml.MappingEndEvent):
            self._count(key, 1)
            merges = self._is_merge(key)
            name = None if merges else self._key(key)
            node = self._value(self._loader.get_event(), depth + 1)
            last = max(last, node.spot.end)
            if merges:
                self._merge(key, node, pairs)
            else:
                pairs.add(key.value, name, node, self._scalar_spot(key))
        spot = self._collection_spot(event, key, last)
        return pairs.node(spot)

    def _is_merge(self, key: Any) -> bool:
        return (
            isinstance(key, yaml.ScalarEvent)
            and key.value == "<<"
            and (key.tag == _MERGE or (key.tag is None and key.implicit[0]))
        )

    def _key(self, event: Any) -> Any:
        if not isinstance(event, yaml.ScalarEvent):
            self._fail_at(event, "a key that is no plain word; expected a name and a colon")
        if event.anchor is not None:
            node = Node(event.value, self._scalar_spot(event))
            self._anchors[event.anchor] = (node, 1)
        return self._scalar(event)

    def _merge(self, key: Any, node: Node, pairs: _Pairs) -> None:
        merged = node.items if isinstance(node.value, list) else (node,)
        if not all(isinstance(each.value, dict) for each in merged):
            self._fail_at(key, "'<<' with something else than a mapping or a list of mappings")
        for each in reversed(merged):
            pairs.merge(each)

    def _check_tag(self, event: Any, name: str) -> None:
        if event.tag not in (None, "!", f"{_TAG}{name}"):
            self._fail_at(event, f"the tag {event.tag!r}, which is not read")

    def _scalar_spot(self, event: Any) -> Spot:
        start, end = event.start_mark.index, event.end_mark.index
        if event.style in ("|", ">"):  # they end with the blank lines after them
            inside = self._text[start + self._before : end + self._before]
            end -= len(inside) - len(inside.rstrip())
        return self._spot(start, end)

    def _collection_spot(self, event: Any, ending: Any, last: int) -> Spot:
        """A block ends with its last value; the parser says where the next word begins."""
        if event.flow_style:
            return self._spot(event.start_mark.index, ending.end_mark.index)
        start = event.start_mark.index
        return self._spot(start, max(start, last - self._before))

    def _count(self, event: Any, values: int) -> None:
        self._visited += values
        if self._visited > MOST_VALUES:
            self._fail_at(event, f"more than {MOST_VALUES:,} values, with what aliases stand for")

    def _spot(self, start: int, end: int) -> Spot:
        return self._positions.spot(start + self._before, end + self._before)

    def _fail_at(self, event: Any, what: str) -> NoReturn:
        self._fail(self._before + event.start_mark.index, what)

    def _fail(self, offset: int, what: str) -> NoReturn:
        line, column = self._positions.line_and_column(offset)
        raise RecipeError(f"{self._where}, line {line}, column {column}: not read as YAML: {what}.")


class _Pairs:
    """The pairs of one mapping; its own come before those that it merges."""

    def __init__(self) -> None:
        self._own: dict[str, tuple[Any, Node, Spot]] = {}
        self._merged: dict[str, tuple[Any, Node, Spot]] = {}

    def add(self, text: str, key: Any, node: Node, spot: Spot) -> None:
        self._own[text] = (key, node, spot)

    def merge(self, other: Node) -> None:
        """Take over the pairs of another mapping, before those taken over so far."""
        distinct = len(other.value) == len(other.fields)
        keys = other.value if distinct else other.fields
        for (text, node), key in zip(other.fields.items(), keys, strict=True):
            self._merged[text] = (key, node, other.keys[text])

    def node(self, spot: Spot) -> Node:
        pairs = {**self._merged, **self._own}
        return Node(
            {key: node.value for key, node, _ in pairs.values()},
            spot,
            fields={text: node for text, (_, node, _) in pairs.items()},
            keys={text: where for text, (_, _, where) in pairs.items()},
        )


_RESOLVER = Resolver()
_CONSTRUCTOR = SafeConstructor()
_CONSTRUCT: dict[str, Any] = {
    "int": _CONSTRUCTOR.construct_yaml_int,
    "float": _CONSTRUCTOR.construct_yaml_float,
    "bool": _CONSTRUCTOR.construct_yaml_bool,
    "null": _CONSTRUCTOR.construct_yaml_null,
}
