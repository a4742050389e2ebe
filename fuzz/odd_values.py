"""Values that a configuration should not hold, and that nothing must stumble over."""

from __future__ import annotations

import math
from random import Random
from typing import Any

CATASTROPHIC = (
    r"(a+)+$",
    r"(a|aa)+$",
    r"(.*a){25}",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(x+x+)+y",
    r"(.*)*\1x",
    r"([a-zA-Z0-9_.]+)*!",
    r"(\w|\.|_)*(\w|\.|_)*(\w|\.|_)*#",
    r"(.+)+(.+)+(.+)+Z",
    r"((((((.?)?.?)?.?)?.?)?.?)?.?)?" * 4 + "Q",
    r".*.*.*.*.*.*.*.*Q",
    r"(?:(?:\w+\.)*\w+\.)*proj_",
    r"(a{1,1000}){1,1000}b",
    r"(?=(.*a.*)*$)Q",
)
"""Regular expressions that take for ever, or would without a bound."""

ODD_PATTERNS = (
    *CATASTROPHIC,
    r"a{1000}{1000}",
    "(" * 300,
    "(" * 200 + ")" * 200,
    r"(?P<idx>\d+)",
    r"(?i)Q_PROJ",
    r"(?<=q)_proj",
    r"[[a-z]&&[b]]",
    "[z-a]",
    "[",
    "*q_proj",
    "q_proj)|(v_proj",
    r"(?(1)a|b)",
    r"\N{DIGIT ONE}",
    r".*\.(q|k|v|cross)_proj",
    r"(.*\.)?layers\.(\d+)\.(self_attn|mlp)\.\w+_proj$",
    r"model\.layers\.[0-9]+\..*",
    ".*",
    "",
    "a" * 5_000 + "+",
    "|".join(f"layers.{n}" for n in range(300)),
    "|".join(f"(layers.{n}.*)+" for n in range(150)),
)

NAMES = (
    "q_proj",
    "qkv_proj",
    "self_attn.q_proj",
    "model.layers.0.self_attn.q_proj",
    "mlp.experts.gate_up_proj",
    "experts",
    "mlp",
    "gate",
    "lm_head",
    "embed_tokens",
    "model.embed_tokens",
    "vision_tower",
    "c_attn",
    "query_key_value",
    "w1",
    "in_proj",
    "x_proj",
    "out_proj",
    "norm",
    "score",
    "all-linear",
    "ALL-LINEAR",
    "all-router",
    "all",
    "*.q_proj",
    "q_proj ",
    "q_proj,v_proj",
    "'q_proj'",
    ".q_proj",
    "q_proj.",
    "..",
    ".",
    "base_model.model.model.layers.0.mlp.up_proj",
    "layers.-1.mlp",
    "layers.00000000000000000000000000000000000001.mlp",
    "layers.99999999999999999999999999999999999999.mlp.down_proj",
)

ODD_TEXTS = (
    "",
    " ",
    "\t",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\link",
    "\x9b31m",
    "a\x00b",
    "a\r\nb",
    "a\nb: c",
    "\u202egnp.exe",
    "\u2028",
    "\ufeff",
    "\ufffe",
    "\ud800",
    "é\u0301" * 20,
    "🦙" * 30,
    "ｑ＿ｐｒｏｊ",
    "::error file=x::y",
    "%0A%25",
    "[link](http://x)",
    "$HOME",
    "${A:-$A}",
    "$(reboot)",
    "`reboot`",
    "#",
    "<<",
    "null",
    "~",
    "yes",
    "1e5",
    "0x1F",
    "0o7",
    "1:30",
    "2001-01-01",
    ".inf",
    "!!python/object/apply:os.system [x]",
    "!!binary aGk=",
    "{{ name }}",
    "../../../etc/passwd",
    "/dev/zero",
    "/proc/self/mem",
    "http://[",
    "owner/name@" + "v" * 300,
    "a" * 300,
    "a." * 2_000,
    "\\" * 99,
    "'\"'\"",
)

NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2,
    7,
    10**6,
    2**31,
    2**63,
    10**12,
    10**12 + 1,
    10**40,
    -(10**400),
    0.0,
    -0.0,
    0.5,
    1e-320,
    1e300,
    math.inf,
    -math.inf,
    math.nan,
)


def odd_text(random: Random) -> str:
    """A name, a pattern, or something worse."""
    texts = random.choice((NAMES, NAMES, ODD_PATTERNS, ODD_TEXTS))
    text = random.choice(texts)
    return text + random.choice(texts) if random.random() < 0.1 else text


def odd_value(random: Random, depth: int = 0) -> Any:
    """Anything that JSON can hold, most often text."""
    kind = random.random()
    if kind < 0.45 or depth > 3:
        return odd_text(random)
    if kind < 0.65:
        return random.choice(NUMBERS)
    if kind < 0.75:
        return random.choice((True, False, None))
    count = random.choice((0, 1, 2, 5, 20))
    if kind < 0.9:
        return [odd_value(random, depth + 1) for _ in range(count)]
    return {odd_text(random): odd_value(random, depth + 1) for _ in range(count)}


def huge_value(random: Random) -> Any:
    """Something near a limit, or beyond it."""
    return random.choice(_HUGE)(random)


def _many_names(random: Random) -> Any:
    end = random.choice(NAMES)
    return [f"layers.{n}.{end}" for n in range(random.choice((500, 2_000, 5_000)))]


def _many_misspelt(random: Random) -> Any:
    return [f"q_pr{n}j" for n in range(random.choice((300, 5_000)))]


def _many_keys(random: Random) -> Any:
    before = random.choice(("", ".*", "(.*)", "(a|b)*"))
    return {f"{before}layers.{n}.mlp": n for n in range(random.choice((300, 5_000)))}


def _deep(random: Random) -> Any:
    value: Any = "x"
    for _ in range(random.choice((50, 99, 101, 400))):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


def _long(random: Random) -> Any:
    return random.choice(("a", "a.", "(", "[", "a|", ".*", "\x1b[", "🦙")) * random.choice(
        (1_000, 20_001, 110_000)
    )


def _many_numbers(random: Random) -> Any:
    return list(range(random.choice((1_000, 9_000))))


_HUGE = (_many_names, _many_misspelt, _many_keys, _deep, _long, _many_numbers)
