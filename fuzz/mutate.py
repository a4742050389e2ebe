"""Inputs by number: a seed, changed as a tree, as text, or as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import yaml
from headers import mutated_header
from odd_values import NAMES, ODD_TEXTS, huge_value, odd_text, odd_value
from seeds import SEEDS, Seed
from shell import mutated_script
from yaml_tricks import tricked

from lorascope.core.recipe import Tool


@dataclass(frozen=True, slots=True)
class Input:
    """One generated file, and how it is checked."""

    number: int
    name: str
    content: bytes
    tool: Tool | None
    """As the user says; None to let it be recognized."""
    tensors: bytes | None
    """Content of the file beside an adapter; None for no such file."""
    how: str
    """What was changed, in a few words."""
    choices: int
    """A number that the other choices of this input are drawn from."""


def make_input(seed: str, number: int) -> Input:
    """Make one input; the same for the same arguments."""
    random = Random(f"{seed}:{number}")  # noqa: S311 - not for secrets
    start = random.choice(SEEDS)
    content, how = _content(start, random)
    name = start.name if random.random() < 0.95 else random.choice(SEEDS).name
    tool = None if random.random() < 0.85 else random.choice(list(Tool))
    tensors = None
    if name == "adapter_config.json" and random.random() < 0.6:
        tensors = mutated_header(random)
    return Input(number, name, content, tool, tensors, how, random.getrandbits(64))


def _content(seed: Seed, random: Random) -> tuple[bytes, str]:
    kind = random.random()
    if kind < 0.02:
        return seed.text.encode(), "unchanged"
    if kind < 0.7:
        text, how = _as_tree(seed, random), "tree"
    elif kind < 0.88:
        text, how = _as_text(seed.text, random), "text"
    elif kind < 0.92:
        text, how = _as_text(_as_tree(seed, random), random), "tree and text"
    else:
        return _as_bytes(seed.text.encode(), random), "bytes"
    return text.encode("utf-8", "surrogatepass"), how


def _as_tree(seed: Seed, random: Random) -> str:
    if seed.name.endswith(".sh"):
        return mutated_script(seed.text, random)
    tree = json.loads(seed.text) if seed.name.endswith(".json") else yaml.safe_load(seed.text)
    change = random.choice((_change, _change_alike, _change_alike))
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        change(tree, random)
    if random.random() < 0.03:
        _put(tree, huge_value(random), random)
    if seed.name.endswith(".json"):
        return _json(tree, random)
    return tricked(_yaml(tree, random), random)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every container and key of a tree."""
    found, pending = [], [tree]
    while pending:
        holder = pending.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                pending.append(holder[key])
    return found


def _put(tree: Any, value: Any, random: Random) -> None:
    places = _places(tree)
    if places:
        holder, key = random.choice(places)
        holder[key] = value


def _change_alike(tree: Any, random: Random) -> None:
    """Change a value so that it keeps its type, and a list its kind of entries."""
    places = _places(tree)
    if not places:
        return
    holder, key = random.choice(places)
    value = holder[key]
    texts = [name for name in NAMES if name.isascii()]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = random.choice((0, -1, 1, 3, 64, 10**6, 10**12))
    elif isinstance(value, float):
        holder[key] = random.choice((0.0, -0.5, 0.1, 1.0, 1.5, 1e300))
    elif isinstance(value, str):
        holder[key] = odd_text(random) if random.random() < 0.5 else random.choice(texts)
    elif isinstance(value, list):
        value += [odd_text(random) for _ in range(random.choice((1, 3)))]
        random.shuffle(value)
    elif isinstance(value, dict) and "_proj" in str(value):
        value[odd_text(random)] = random.choice((1, 4, 64))
    elif value is None:
        holder[key] = random.choice(([random.choice(texts)], odd_text(random)))


def _change(tree: Any, random: Random) -> None:
    places = _places(tree)
    if not places:
        return
    holder, key = random.choice(places)
    kind = random.randrange(9)
    if kind <= 2:
        holder[key] = odd_value(random)
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        other, at = random.choice(places)
        if at in other if isinstance(other, dict) else at < len(other):
            holder[key] = json.loads(json.dumps(other[at]))
    elif kind == 5 and isinstance(holder, dict):
        new = random.choice((odd_text(random), str(key).upper(), f"{key}s", str(key)[:-1]))
        holder[new] = holder.pop(key)
    elif kind == 6 and isinstance(holder[key], list):
        holder[key] += [odd_text(random) for _ in range(random.choice((1, 3, 30)))]
    elif kind == 7 and isinstance(holder[key], dict):
        holder[key][odd_text(random)] = random.choice((1, 8, odd_value(random)))
    else:
        holder[key] = random.choice((str, lambda x: [x], lambda x: {"a": x}))(holder[key])


def _json(tree: Any, random: Random) -> str:
    indent = random.choice((None, 0, 2, 7))
    text = json.dumps(tree, indent=indent, ensure_ascii=random.random() < 0.8)
    if random.random() < 0.1 and text.startswith("{"):  # a key that stands twice
        twice = json.dumps({random.choice(list(tree) or ["r"]): odd_value(random)})
        text = f"{twice[:-1]}, {text[1:]}" if len(tree) else text
    return text


def _yaml(tree: Any, random: Random) -> str:
    try:
        return yaml.dump(
            tree,
            Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
            default_flow_style=random.choice((None, True, False)),
            allow_unicode=random.random() < 0.5,
            sort_keys=False,
            default_style=random.choice((None, None, None, '"', "'", "|")),
            width=random.choice((20, 80, 10**9)),
        )
    except (yaml.YAMLError, RecursionError, UnicodeError):
        return json.dumps(tree)


def _as_text(text: str, random: Random) -> str:
    for _ in range(random.choice((1, 1, 2, 4))):
        text = random.choice(_TEXT_CHANGES)(text, random)
        if len(text) > 1_000_000:
            break
    return text


def _other_word(text: str, random: Random) -> str:
    words = [word for word in text.replace(",", " ").split() if len(word) > 1]
    if not words:
        return text
    return text.replace(random.choice(words), odd_text(random), random.choice((1, 1, -1)))


def _lines_moved(text: str, random: Random) -> str:
    lines = text.split("\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(4)
    if kind == 0:
        lines.pop(at)
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        lines[at] = random.choice((" ", "\t", "  - ", "#", "", "? ")) + lines[at]
    return "\n".join(lines)


def _inserted(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    piece = random.choice((random.choice(ODD_TEXTS), random.choice(NAMES), random.choice(_SIGNS)))
    return text[:at] + piece + text[at:]


def _cut(text: str, random: Random) -> str:
    start = random.randrange(len(text) + 1)
    end = start + random.choice((1, 1, 5, 100, 10**9))
    return text[:start] + text[end:]


def _spliced(text: str, random: Random) -> str:
    other = random.choice(SEEDS).text
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other)) :]


def _repeated(text: str, random: Random) -> str:
    start = random.randrange(len(text) + 1)
    part = text[start : start + random.choice((1, 3, 40))]
    times = random.choice((2, 10, 300, 3_000))
    return text[:start] + part * times + text[start:]


def _other_ends(text: str, random: Random) -> str:
    return text.replace("\n", random.choice(("\r\n", "\r", "\u2028", "\n\n", "\x85", "")))


def _marked(text: str, random: Random) -> str:
    return (
        random.choice(("\ufeff", "\ufeff\ufeff", "#!", "%YAML 1.1\n---\n", "{", "\n" * 50)) + text
    )


_SIGNS = tuple("'\"{}[]()<>|&;:,#*&!%@`$\\=-?~\t\x00\x07\x1b\x7f\x9b")
_TEXT_CHANGES: tuple[Callable[[str, Random], str], ...] = (
    _other_word,
    _other_word,
    _other_word,
    _lines_moved,
    _lines_moved,
    _inserted,
    _inserted,
    _cut,
    _spliced,
    _repeated,
    _other_ends,
    _marked,
)


def _as_bytes(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 2, 8, 40))):
        at = random.randrange(len(changed) + 1)
        kind = random.randrange(4)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[at:at] = random.randbytes(random.choice((1, 2, 16)))
        elif kind == 2:
            del changed[at : at + random.choice((1, 10, 200))]
        else:
            changed[at:at] = changed[: random.choice((1, 10, 100))]
    return bytes(changed)
