"""Which command of a shell script starts which training tool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lorascope.formats.shell_variables import ASSIGNMENT, Filled

_TRL = ("distillation", "dpo", "grpo", "kto", "reward", "rloo", "sft")
"""Trainings of `trl`. Source: trl 1.16.0, `get_commands` in `trl/cli/commands/__init__.py`."""
_SWIFT = ("pt", "rlhf", "sft")
"""Trainings of `swift`. Source: ms-swift 4.6.0, `ROUTE_MAPPING` in `swift/cli/main.py`."""
_LLAMAFACTORY = ("train",)
"""Source: llamafactory 0.9.5, `launch` in `launcher.py`; `lmf` is short for `llamafactory-cli`."""
_SUBCOMMANDS = {
    "trl": _TRL,
    "swift": _SWIFT,
    "llamafactory-cli": _LLAMAFACTORY,
    "lmf": _LLAMAFACTORY,
}
_IN_FULL = {"lmf": "llamafactory-cli"}

_KEYWORDS = frozenset({"!", "do", "elif", "else", "if", "then", "until", "while", "{", "time"})
"""Words of the shell that stand before a command."""
_PREFIXES = frozenset({"command", "env", "exec", "nohup", "sudo"})
"""Commands that run the words after them as they are."""
_LAUNCHERS = frozenset(
    {
        "accelerate", "conda", "deepspeed", "hf", "micromamba", "mpirun", "nice", "numactl", "pdm",
        "poetry", "srun", "stdbuf", "taskset", "timeout", "torchrun", "uv", "xargs",
    }
)  # fmt: skip
"""Commands that run another one after options of their own."""
_PYTHON = re.compile(r"python(?:[23](?:\.[0-9]+)?)?(?:\.exe)?")

_TRL_SCRIPT = re.compile(r"(?:^|/)(?:trl/scripts|examples/scripts)/(?:[\w.-]+/)*(\w+)\.py$")
_SWIFT_SCRIPT = re.compile(r"(?:^|/)swift/cli/(pt|rlhf|sft)\.py$")
_NAMED_SCRIPT = re.compile(rf"(?:^|/)((?:{'|'.join(_TRL)}|cpo|orpo)(?:_\w+)?)\.py$")
"""A script called as one of TRL's is, but anywhere: TRL's own only if its options are."""
_MODULE = re.compile(r"(trl|swift)\.(?:scripts|cli)\.(\w+)")
_LLAMAFACTORY_SCRIPT = re.compile(r"(?:^|/)src/train(?:_bash)?\.py$")
_LLAMAFACTORY_OPTION = re.compile(r"--(?:stage|finetuning[-_]type|lora[-_]target)(?:=|$)")
_TRL_OPTION = re.compile(r"--(?:model[_-]name[_-]or[_-]path|use[_-]peft)(?:=|$)")


@dataclass(frozen=True, slots=True)
class Training:
    """A command that starts a training."""

    command: str
    """Tool and training, for example `trl sft`; a script of TRL's examples by its own name. One
    that is not TRL's own, but takes its options, ends in `.py`: `trl sft.py`."""
    named_by: tuple[Filled, ...]
    """The words that say so."""
    arguments: tuple[Filled, ...]


def training_of(words: Sequence[Filled]) -> Training | None:
    """Return the training that a command starts; None if it starts none that is known."""
    start = _first_word(words)
    if start >= len(words):
        return None
    head = _name(words[start].value)
    if head in _SUBCOMMANDS:
        return _of_subcommand(words, start)
    if _PYTHON.fullmatch(head):
        return _of_script(words, start + 1)
    if head in _LAUNCHERS:
        return _launched(words, start + 1)
    return _of_path(words, start)


def _first_word(words: Sequence[Filled]) -> int:
    """Return the index of the word that is the command, after what may stand before it."""
    for index, word in enumerate(words):
        value = word.value
        if value in _KEYWORDS or _name(value) in _PREFIXES or ASSIGNMENT.match(value):
            continue
        if index and value.startswith("-") and _name(words[index - 1].value) in _PREFIXES:
            continue
        return index
    return len(words)


def _name(value: str) -> str:
    return value.rpartition("/")[2]


def _launched(words: Sequence[Filled], start: int) -> Training | None:
    """Look for the first word that names a training, past the launcher's own options."""
    for index in range(start, len(words)):
        found = _of_path(words, index) or _of_module(words, index)
        if found is None and _name(words[index].value) in _SUBCOMMANDS:
            found = _of_subcommand(words, index)
        if found is not None or words[index].value.endswith(".py"):
            return found
    return None


def _of_script(words: Sequence[Filled], start: int) -> Training | None:
    """Read what Python is given: options, then one script, or `-m` and a module."""
    for index in range(start, len(words)):
        value = words[index].value
        if value == "-m":
            module = words[index + 1].value if index + 1 < len(words) else ""
            if module.startswith(("torch.distributed.", "accelerate.", "deepspeed.")):
                return _launched(words, index + 2)
            return _of_module(words, index)
        if not value.startswith("-"):
            return _of_path(words, index)
    return None


def _of_module(words: Sequence[Filled], index: int) -> Training | None:
    if words[index].value not in ("-m", "--module") or index + 1 >= len(words):
        return None
    match = _MODULE.fullmatch(words[index + 1].value)
    if match is None or match[2] not in _SUBCOMMANDS[match[1]]:
        return None
    return _training(f"{match[1]} {match[2]}", words, index, index + 2)


def _of_subcommand(words: Sequence[Filled], index: int) -> Training | None:
    tool = _name(words[index].value)
    if index + 1 >= len(words) or words[index + 1].value not in _SUBCOMMANDS[tool]:
        return None
    tool = _IN_FULL.get(tool, tool)
    return _training(f"{tool} {words[index + 1].value}", words, index, index + 2)


def _of_path(words: Sequence[Filled], index: int) -> Training | None:
    path = words[index].value.replace("\\", "/")
    if match := _SWIFT_SCRIPT.search(path):
        return _training(f"swift {match[1]}", words, index, index + 1)
    if match := _TRL_SCRIPT.search(path):
        return _training(f"trl {match[1]}", words, index, index + 1)
    options = [word.value for word in words[index + 1 :]]
    if _LLAMAFACTORY_SCRIPT.search(path) and any(map(_LLAMAFACTORY_OPTION.match, options)):
        return _training("llamafactory-cli train", words, index, index + 1)
    match = _NAMED_SCRIPT.search(path)
    if match and any(map(_TRL_OPTION.match, options)):
        return _training(f"trl {match[1]}.py", words, index, index + 1)
    return None


def _training(command: str, words: Sequence[Filled], start: int, end: int) -> Training:
    return Training(command, tuple(words[start:end]), tuple(words[end:]))
