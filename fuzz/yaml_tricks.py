"""What YAML can do beyond keys and values, put into a text of it."""

from __future__ import annotations

from random import Random


def tricked(text: str, random: Random) -> str:
    """Add a trick to one text in five."""
    if random.random() > 0.2:
        return text
    return random.choice(_TRICKS)(text, random)


def _anchored(text: str, random: Random) -> str:
    """Give some values an anchor, and put aliases for it elsewhere."""
    lines = text.split("\n")
    keyed = [n for n, line in enumerate(lines) if ": " in line]
    if len(keyed) < 2:
        return text
    first, other = sorted(random.sample(keyed, 2))
    key, _, value = lines[first].partition(": ")
    lines[first] = f"{key}: &a {value}"
    lines[other] = lines[other].partition(": ")[0] + ": *a"
    return "\n".join(lines)


def _merged(text: str, random: Random) -> str:
    what = random.choice(("*base", "[*base, *base]", "{r: 1}", "*unknown", "3", "[1]"))
    return f"base: &base {{lora_r: 4, lora_rank: 4, q_proj: 2}}\n<<: {what}\n{text}"


def _bomb(text: str, random: Random) -> str:
    """The billion laughs: ten aliases of ten aliases and so on."""
    key = random.choice(("lora_target_modules", "target_modules", "x", "lora_target"))
    count = random.choice((3, 9, 30))
    lines = ["a0: &a0 [q, q, q, q, q, q, q, q, q]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, count)]
    return "\n".join([*lines, f"{key}: *a{len(lines) - 1}", text])


def _recursive(text: str, _: Random) -> str:
    return f"lora_target_modules: &a [*a]\n{text}"


def _documents(text: str, _: Random) -> str:
    return f"{text}\n---\n{text}"


def _tagged(text: str, random: Random) -> str:
    tag = random.choice(
        (
            "!!python/object/apply:os.system",
            "!!set",
            "!!binary",
            "!!timestamp",
            "!x",
            "!!str",
            "!!int",
        )
    )
    return text.replace(": ", f": {tag} ", random.choice((1, -1)))


def _directives(text: str, random: Random) -> str:
    count = random.choice((1, 50, 5_000))
    return "".join(f"%TAG !{n}! tag:x{n}\n" for n in range(count)) + "---\n" + text


def _deep(text: str, random: Random) -> str:
    depth = random.choice((90, 110, 20_000))
    opening, closing = random.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")))
    return f"{text}\nx: {opening * depth}{closing * depth}\n"


def _complex_keys(text: str, _: Random) -> str:
    return f"? [a, b]\n: c\n? {{x: y}}\n: d\n{text}"


def _blocks(text: str, random: Random) -> str:
    key = random.choice(("lora_target_modules", "lora_target", "target_modules"))
    style = random.choice("|>") + random.choice(("", "-", "+", "9"))
    return f"{text}\n{key}: {style}\n  q_proj\n\n  v_proj\n\n"


_TRICKS = (
    _anchored,
    _merged,
    _bomb,
    _recursive,
    _documents,
    _tagged,
    _directives,
    _deep,
    _complex_keys,
    _blocks,
)
