"""Build the real model class on the meta device: every module, no weight."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import nn

from lorascope._version import __version__
from lorascope.build.confined import (
    bounded,
    quiet,
    without_code_names,
    without_repository_code,
)
from lorascope.build.failing import FAILURES, first_line
from lorascope.build.info import expert_counts, model_info
from lorascope.build.model_class import config_class, model_class
from lorascope.build.sizes import require_stated_sizes
from lorascope.build.towers import with_config_towers
from lorascope.build.walk import base_model_of, walk
from lorascope.core.errors import (
    LorascopeError,
    MissingDependencyError,
    ModelBuildError,
    ModelConfigError,
    RemoteCodeError,
    UnknownModelTypeError,
    printable,
)
from lorascope.core.inventory import BuiltWith, Inventory
from lorascope.core.tasks import AUTO_CLASSES

if TYPE_CHECKING:
    from lorascope.source.model_source import ModelSource

_LONGEST_REASON = 300
"""Characters of another library's message; transformers lists all its classes in some."""

_SETTINGS_OF_A_MACHINE = ("_attn_implementation", "attn_implementation", "_experts_implementation")
"""Left out of a config: they ask for kernels that this machine may lack, and change no module."""


def build(
    source: ModelSource, *, task_type: str | None = None, trust_remote_code: bool = False
) -> Inventory:
    """Build the model that `source` names on the meta device and list its modules.

    Raises:
        RemoteCodeError: Its class is code of its repository, which was not allowed to run.
        MissingDependencyError: Its class needs a package that is not installed.
        ModelConfigError: transformers refuses the config, or ignores the sizes it states.
        ModelBuildError: transformers has no class for it, or the class fails.
    """
    model = build_model(source, task_type=task_type, trust_remote_code=trust_remote_code)
    return inventory_of_source(model, source)


def inventory_of_source(model: nn.Module, source: ModelSource) -> Inventory:
    """List the modules of the model that `build_model` made of `source`."""
    inventory = inventory_of(model, reference=source.reference)
    notes = (*inventory.model.notes, *_config_notes(source))
    remote = _needs_remote_code(source)
    return replace(inventory, model=replace(inventory.model, notes=notes, is_remote_code=remote))


def build_model(
    source: ModelSource, *, task_type: str | None = None, trust_remote_code: bool = False
) -> nn.Module:
    """Build the model that `source` names on the meta device. Raises as `build` does."""
    if _needs_remote_code(source):
        if not trust_remote_code:
            raise _remote_code_error(source)
        with quiet():
            return _build_remote(source, task_type)
    with quiet(), without_repository_code():
        config = _config(source)
        if source.config is not None:
            require_stated_sizes(source.config, config)
        architectures = (source.config or {}).get("architectures") or ()
        cls = model_class(config, _names(architectures), task_type)
        return _on_meta(lambda: cls(config), cls.__name__)


def inventory_of(module: nn.Module, reference: str = "nn.Module") -> Inventory:
    """List the modules of a model in memory, on any device, PEFT-wrapped or not.

    The names are those of the base model: PEFT's wrappers are looked through.

    Raises:
        ModelBuildError: It is no plain module, so that its parts do not say what they are.
    """
    try:
        model = base_model_of(module)
        modules = walk(model, expert_counts(model))
        info = model_info(model, reference, modules[0].total_params)
    except LorascopeError:
        raise
    except FAILURES as error:
        raise ModelBuildError(
            f"The modules of {type(module).__name__} cannot be listed: {first_line(error)}",
            "Compiled (torch.jit) and lazy modules do not say what they hold; give the plain one.",
        ) from error
    return Inventory(
        model=info,
        built_with=BuiltWith(
            method="meta",
            lorascope=__version__,
            transformers=transformers.__version__,
            torch=torch.__version__,
        ),
        modules=with_config_towers(model, modules),
    )


def _config(source: ModelSource) -> Any:
    if source.model_type is None:
        raise UnknownModelTypeError(
            f"{source.reference}: no config states a model_type.",
            "Add the model_type that transformers knows the model by, for example 'llama'.",
        )
    cls = config_class(source.model_type)
    if source.config is None:
        return _checked(cls, source)
    stated = without_code_names(dict(source.config))
    values = {key: value for key, value in stated.items() if key not in _SETTINGS_OF_A_MACHINE}
    return _checked(lambda: cls.from_dict(values), source)


def _checked(make: Any, source: ModelSource) -> Any:
    try:
        return make()
    except LorascopeError:
        raise
    except ImportError as error:
        raise _missing_package(source.reference, error) from error
    except Exception as error:
        raise ModelConfigError(
            f"{source.reference}: transformers {transformers.__version__} refuses this config of "
            f"type {source.model_type!r}: {_first_lines(error)}",
            "Correct the named field, or take the config.json as it was published.",
        ) from error


def _on_meta(make: Any, name: str) -> nn.Module:
    try:
        with torch.device("meta"), bounded():
            model: nn.Module = make()
    except LorascopeError:
        raise
    except ImportError as error:
        raise _missing_package(name, error) from error
    except Exception as error:
        raise ModelBuildError(
            f"{name} cannot be built from this config with transformers "
            f"{transformers.__version__}: {type(error).__name__}: {_first_lines(error)}",
            "Its fields may contradict each other; compare them with the published config.json.",
        ) from error
    return model.eval()


def _needs_remote_code(source: ModelSource) -> bool:
    """Whether only code of the repository can build it."""
    config = source.config or {}
    if not isinstance(config.get("auto_map"), Mapping):
        return False
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return source.model_type not in CONFIG_MAPPING


def _remote_code_error(source: ModelSource) -> RemoteCodeError:
    return RemoteCodeError(
        f"{source.reference}: the class of model type {source.model_type!r} is code of the model's "
        "repository (auto_map), which lorascope does not run unasked.",
        "Read that code, then repeat with --trust-remote-code; or give a directory with "
        "safetensors files, whose headers are read without running anything.",
    )


def _build_remote(source: ModelSource, task_type: str | None) -> nn.Module:
    where = str(source.directory) if source.directory is not None else source.base_model
    if where is None:
        raise RemoteCodeError(
            f"{source.reference}: its code is not at hand.",
            "Give the Hub id or the directory that holds the code.",
        )
    try:
        config = transformers.AutoConfig.from_pretrained(
            where, revision=source.revision, trust_remote_code=True
        )
    except Exception as error:
        raise ModelConfigError(
            f"{source.reference}: the repository's config class fails: {_first_lines(error)}"
        ) from error
    name = _remote_auto_class(config.auto_map, source.reference, task_type)
    factory = getattr(transformers, name)
    return _on_meta(lambda: factory.from_config(config, trust_remote_code=True), name)


def _remote_auto_class(auto_map: Mapping[str, Any], reference: str, task_type: str | None) -> str:
    """Return the auto-class through which the repository offers its class for this task.

    Without a task the first in the order of `AUTO_CLASSES` is taken.
    """
    offered = {task: name for task, name in AUTO_CLASSES.items() if name in auto_map}
    if task_type is None:
        return next(iter(offered.values()), "AutoModel")
    if task_type not in offered:
        raise ModelBuildError(
            f"{reference}: the code of the repository has no {task_type} class.",
            f"It has classes for: {', '.join(offered) or 'no task'}.",
        )
    return offered[task_type]


def _config_notes(source: ModelSource) -> Iterator[str]:
    quantization = (source.config or {}).get("quantization_config")
    if isinstance(quantization, Mapping):
        method = quantization.get("quant_method", "an unnamed method")
        yield (
            f"The checkpoint is quantized ({method}); the modules listed are those of the "
            "unquantized model, and PEFT may take or refuse the quantized classes."
        )
    names_code = isinstance((source.config or {}).get("auto_map"), Mapping)
    if names_code and not _needs_remote_code(source):
        yield "The config names code of its repository; transformers' own class was built instead."


def _missing_package(name: str, error: ImportError) -> MissingDependencyError:
    package = re.search(r"pip install ([\w.-]+)", str(error))
    return MissingDependencyError(
        f"{name} needs a package that is not installed: {_first_lines(error)}",
        f"Install it with: pip install {package.group(1)}" if package else None,
    )


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(" ".join(lines[:3]) or type(error).__name__, limit=_LONGEST_REASON)


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(name for name in value if isinstance(name, str))
    return ()
