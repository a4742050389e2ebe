"""Set, replace and take out keys of a YAML or JSON file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lorascope.core.recipe import Edit, Recipe, Spot, Tool
from lorascope.formats.edit import apply_edits
from lorascope.formats.edit_lines import (
    Change,
    UnfixableError,
    after_break,
    changed,
    line_break,
    line_end,
    line_start,
)
from lorascope.formats.merged import Merge
from lorascope.formats.node import Node, Syntax
from lorascope.formats.recognize import parse
from lorascope.formats.yaml_lines import yaml_lines

Path = tuple[str, ...]


def merge_keys(text: str, origin: str, tool: Tool | None, syntax: Syntax, change: Merge) -> str:
    """Return the text of a file with keys changed; of no tool, what changes is written over.

    Raises:
        UnfixableError: It is written in a way that is not changed automatically.
        RecipeError: A value cannot be changed; the message says where and why.
    """
    root = parse(text, origin, syntax)[0]
    if not isinstance(root.value, dict):
        raise UnfixableError("it holds no keys and values")
    replaced: dict[Path, Any] = {}
    changes: list[Change] = []
    for part in _parts(root, text, change):
        replaced |= part.replaced
        changes += _Editor(text, syntax, part).changes()
    text = changed(text, changes)
    root = parse(text, origin, syntax)[0]
    if tool is None:
        return _written_over(text, root, replaced)
    return _replace(text, origin, tool, root, replaced)


@dataclass(frozen=True, slots=True)
class _Part:
    """One mapping of the file, and what is to be done in it."""

    node: Node
    added: Mapping[str, Any]
    replaced: Mapping[Path, Any]
    removed: frozenset[str]
    beside: frozenset[str]
    """Keys after the last of which new ones are to stand."""


def _parts(root: Node, text: str, change: Merge) -> Iterator[_Part]:
    """Yield the file's own mapping, and each section that it has on lines of its own."""
    values = dict(change.values)
    sections: list[_Part] = []
    for name in change.sections & values.keys() & root.fields.keys():
        inside = root.fields[name]
        wanted = values[name]
        owned = change.owned_in(name)
        is_json = text[root.spot.start] == "{"
        on_lines = is_json or text[inside.spot.start : inside.spot.start + 1] != "{"
        if inside.fields and on_lines and not _is_elsewhere(inside, root):
            sections.append(_part(inside, wanted, owned, change, (name,)))
            del values[name]
        else:
            own = inside.value if isinstance(inside.value, dict) else {}
            values[name] = {
                **{key: value for key, value in own.items() if key not in owned},
                **{
                    key: value
                    for key, value in wanted.items()
                    if not change.keeps(f"{name}.{key}", own.get(key))
                },
            }
    top = frozenset(name for name in change.owned if "." not in name)
    yield _part(root, values, top, change, ())
    yield from sections


def _is_elsewhere(node: Node, root: Node) -> bool:
    """Whether what a mapping holds is an alias of another place."""
    return any(
        key.start < node.spot.start or key.end > node.spot.end for key in node.keys.values()
    ) or not (root.spot.start <= node.spot.start and node.spot.end <= root.spot.end)


def _part(
    node: Node, values: Mapping[str, Any], owned: frozenset[str], change: Merge, path: Path
) -> _Part:
    present = node.fields
    full = {name: ".".join((*path, name)) for name in values}
    return _Part(
        node=node,
        added={name: value for name, value in values.items() if name not in present},
        replaced={
            (*path, name): value
            for name, value in values.items()
            if name in present
            and not change.keeps(full[name], present[name].value)
            and not _is_same(present[name].value, value)
        },
        removed=frozenset(name for name in owned if name in present and name not in values),
        beside=owned | values.keys(),
    )


def _is_same(value: Any, other: Any) -> bool:
    """Whether two values are the same and of one type; the order of keys is none of theirs."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)


def _is_own(key: Spot, node: Node, text: str) -> bool:
    """Whether a key stands in a mapping itself, and not in one that it merges."""
    is_inside = node.spot.start <= key.start and key.end <= node.spot.end
    is_in_brackets = text[node.spot.start : node.spot.start + 1] == "{"
    return is_inside and (is_in_brackets or key.column == node.spot.column)


class _Editor:
    """Adds keys to one mapping, and takes keys out of it."""

    def __init__(self, text: str, syntax: Syntax, part: _Part) -> None:
        self._text = text
        self._syntax = syntax
        self._part = part
        node = part.node
        own = {name: key for name, key in node.keys.items() if _is_own(key, node, text)}
        if part.removed - own.keys():
            raise UnfixableError("a key to be taken out stands elsewhere, behind an alias")
        self._own = dict(sorted(own.items(), key=lambda each: each[1].start))

    def changes(self) -> Iterator[Change]:
        part = self._part
        if not part.added and not part.removed:
            return
        kept = [name for name in self._own if name not in part.removed]
        if not kept:
            raise UnfixableError("nothing of it would stay")
        if self._syntax is Syntax.JSON:
            yield from self._json(kept)
        else:
            yield from self._yaml(kept)

    def _anchor(self, kept: list[str]) -> str:
        beside = [name for name in kept if name in self._part.beside]
        return (beside or kept)[-1]

    def _end(self, name: str) -> int:
        node = self._part.node.fields[name]
        key = self._own[name]
        return max(node.spot.end, key.end)

    def _yaml(self, kept: list[str]) -> Iterator[Change]:
        for name in self._part.removed:
            start = self._line_of(name)
            end = line_end(self._text, self._end(name))
            yield Change(start, after_break(self._text, end), "")
        if not self._part.added:
            return
        anchor = self._anchor(kept)
        start = self._line_of(anchor)
        indent = self._own[anchor].start - start
        end = self._past_comments(line_end(self._text, self._end(anchor)), indent)
        newline = line_break(self._text, end)
        lines = yaml_lines(self._part.added, indent)
        yield Change(end, end, "".join(f"{newline}{line}" for line in lines))

    def _past_comments(self, end: int, indent: int) -> int:
        """Return the end of the last line after a value whose comment is indented as in it."""
        while True:
            start = after_break(self._text, end)
            following = line_end(self._text, start)
            line = self._text[start:following]
            if start == end or not re.fullmatch(rf" {{{indent + 1},}}#.*", line):
                return end
            end = following

    def _line_of(self, name: str) -> int:
        """Return where the line of a key begins.

        Raises:
            UnfixableError: Something else stands before the key.
        """
        key = self._own[name]
        start = line_start(self._text, key.start)
        if self._text[start : key.start].strip("\ufeff \t"):
            raise UnfixableError("its keys do not each stand on a line of their own")
        return start

    def _json(self, kept: list[str]) -> Iterator[Change]:
        names = list(self._own)
        has_kept = False
        for index, name in enumerate(names):
            if name not in self._part.removed:
                has_kept = True
            elif has_kept:
                yield Change(self._end(names[index - 1]), self._end(name), "")
            else:
                yield Change(self._own[name].start, self._own[names[index + 1]].start, "")
        if not self._part.added:
            return
        anchor = self._anchor(kept)
        start = self._own[anchor].start
        before = self._text[line_start(self._text, start) : start]
        is_alone = not before.strip()
        between = f",{line_break(self._text, start)}{before}" if is_alone else ", "
        end = self._end(anchor)
        pairs = (
            f"{between}{json.dumps(name)}: {_json_value(value, before if is_alone else None)}"
            for name, value in self._part.added.items()
        )
        yield Change(end, end, "".join(pairs))


def _json_value(value: Any, indent: str | None) -> str:
    if indent is None or not value or not isinstance(value, (list, dict)):
        return json.dumps(value)
    return json.dumps(value, indent=indent or 2).replace("\n", f"\n{indent}")


def _written_over(text: str, root: Node, values: Mapping[Path, Any]) -> str:
    """Write values in place of others, each in one line."""
    changes: list[Change] = []
    for path, value in values.items():
        node = root
        for name in path:
            node = node.fields[name]
        [*_, line] = yaml_lines({"key": value})
        said = json.dumps(value) if isinstance(value, (list, dict)) else line.removeprefix("key: ")
        changes.append(Change(node.spot.start, node.spot.end, said))
    return changed(text, changes)


def _replace(text: str, origin: str, tool: Tool, root: Node, values: Mapping[Path, Any]) -> str:
    """Write values in place of others, entries of lists one by one so that comments stay."""
    spots: dict[tuple[str, str | None], Spot] = {}
    edits: list[Edit] = []
    for path, value in values.items():
        node = root
        for name in path:
            node = node.fields[name]
        said = ".".join(path)
        spots[said, None] = node.spot
        edits.append(Edit(said, None, value))
    return apply_edits(text, Recipe(tool, origin, {}, spots=spots), edits)
