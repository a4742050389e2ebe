"""Keep a build to itself: no code of a repository, no network, no output, bounded size and time.

A config comes from anywhere. transformers asks on the terminal whether to run the code that a
nested `auto_map` names, and asks the Hub about a backbone that a config names; neither may happen
because of what stands in a file.

All of it changes what belongs to the whole process, so one thread does it at a time (`alone`).
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import transformers
from huggingface_hub import constants
from torch import nn
from transformers import dynamic_module_utils

from lorascope.core.errors import ModelConfigError, RemoteCodeError

MOST_MODULES = 200_000
"""A build is stopped at so many modules; the largest published model has some 60,000."""
MOST_SECONDS = 60.0
"""A build is stopped after so long; the slowest published model takes some seconds."""


_LOCK = threading.RLock()
_TORCH_LOGS = "torch._subclasses"
"""Loggers that write a traceback to the terminal for each operator that fails on fake tensors."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let other threads wait: what is inside changes what belongs to the whole process.

    May be entered again by the thread that is inside. Building, observing and predicting do so,
    which lets them be called from any thread; they run one after another.
    """
    with _LOCK:
        yield


@contextlib.contextmanager
def without_repository_code() -> Iterator[None]:
    """Refuse the code of any repository, and the Hub, whatever the config says.

    Raises:
        RemoteCodeError: transformers was about to run code of a repository.
    """

    def refuse(*_arguments: object, **_options: object) -> Any:
        raise RemoteCodeError(
            "A part of this config asks for code of a repository (auto_map), which lorascope does "
            "not run unasked.",
            "Read that code, then repeat with --trust-remote-code.",
        )

    with (
        alone(),
        _replaced(dynamic_module_utils, "get_class_in_module", refuse),
        _replaced(dynamic_module_utils, "TIME_OUT_REMOTE_CODE", 0),  # refuse instead of asking
        _replaced(constants, "HF_HUB_OFFLINE", True),
    ):
        yield


@contextlib.contextmanager
def _replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what a model prints, and advice and logs, which quote the config, off the terminal."""
    with alone(), _without_torch_logs():
        yield from _without_output()


def _without_output() -> Iterator[None]:
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _without_torch_logs() -> Iterator[None]:
    logs = logging.getLogger(_TORCH_LOGS)
    level = logs.level
    logs.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logs.setLevel(level)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Stop a build that registers too many modules or takes too long.

    Raises:
        ModelConfigError: From within the build, when a bound is passed.
    """
    registered = 0
    end = time.monotonic() + MOST_SECONDS

    def count(_parent: nn.Module, _name: str, _child: nn.Module | None) -> None:
        nonlocal registered
        registered += 1
        if registered > MOST_MODULES:
            raise _too_much(f"of more than {MOST_MODULES:,} modules")
        if time.monotonic() > end:
            raise _too_much(f"that takes more than {MOST_SECONDS:.0f} s to build")

    handle = nn.modules.module.register_module_module_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _too_much(what: str) -> ModelConfigError:
    return ModelConfigError(
        f"The config asks for a model {what}.", "Check the numbers of layers and experts in it."
    )


def without_code_names(value: Any) -> Any:
    """Return a config's value without any `auto_map`, at every level."""
    if isinstance(value, dict):
        return {key: without_code_names(each) for key, each in value.items() if key != "auto_map"}
    return [without_code_names(each) for each in value] if isinstance(value, list) else value
