"""`lorascope.adapt`: a trained adapter, rewritten so that a serving engine computes the same."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lorascope.api.bases import BaseModels
from lorascope.api.checks import CheckRequest, config_file
from lorascope.api.configured import of_checked, only_checked
from lorascope.api.libraries import missing_of
from lorascope.core.adaptation import Adaptation
from lorascope.core.errors import (
    INSTALL_TORCH,
    AdapterError,
    MissingDependencyError,
    SpecificationError,
    UnnamedModelError,
)
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Tool
from lorascope.rewriting.adapt import AdaptRequest, rewriting_of, write_rewriting
from lorascope.rewriting.features import DROPPABLE
from lorascope.rewriting.fused import read_fusion
from lorascope.serving.adapter_forms import Experts
from lorascope.serving.asked import asked_engine
from lorascope.serving.engines import Feature
from lorascope.source.config_file import load_config_file
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.recipe_files import PICKLES, TENSORS_FILE

_WRITTEN = frozenset({ADAPTER_FILE, TENSORS_FILE})


def adapt(
    adapter: str | os.PathLike[str],
    serve: str,
    output: str | os.PathLike[str] | None = None,
    *,
    model: str | Inventory | None = None,
    for_model: str | Inventory | None = None,
    rank: int | None = None,
    split: Iterable[str] = (),
    pack: Iterable[str] = (),
    experts: str | None = None,
    drop: Iterable[str] = (),
    force: bool = False,
    bases: BaseModels | None = None,
) -> Adaptation:
    """Rewrite a trained adapter so that a serving engine loads it and computes the same.

    Args:
        adapter: Its directory, or the `adapter_config.json` in it.
        serve: The engine, see `lorascope.serving.engines`; `NAME@VERSION` insists on the version
            that lorascope has read.
        output: Directory to write; None: only work out what would be written.
        model: The base model; None for the one that the adapter names.
        for_model: The model that is served if it is another one with the same modules, such as the
            multimodal one around the base model.
        rank: Rank of all pairs; None for the smallest that will do.
        split: Fused projections to take apart: `qkv_proj`, or with names and rows of the parts
            `qkv_proj=q_proj:64,k_proj:16,v_proj:16`.
        pack: Projections to put together: `qkv_proj=q_proj,k_proj,v_proj`.
        experts: `single` or `stacked`; None for what the engine wants.
        drop: What may be left out, with other answers; see `lorascope.rewriting.features`.
        force: Replace an adapter that is in `output` already.
        bases: Base models that are read already.

    Raises:
        AdapterError: Its tensors are others than its configuration says, or something of it cannot
            be carried over; nothing is left out that `drop` does not name.
        SpecificationError: Something that is asked for is not known, or PEFT refuses the adapter.
        OutputError: `output` exists, or cannot be written.
        LorascopeError: The adapter or a model cannot be read.
    """
    missing = missing_of("torch", "safetensors")
    if missing:
        raise MissingDependencyError(
            f"Rewriting an adapter needs {' and '.join(missing)}, not installed here.",
            INSTALL_TORCH,
        )
    if "," in serve:
        raise SpecificationError(
            f"An adapter is rewritten for one engine at a time, not for {serve}.",
            "Run it once for each, with a directory of its own.",
        )
    request = AdaptRequest(
        engine=asked_engine(serve),
        rank=rank,
        split=tuple(map(read_fusion, split)),
        pack=tuple(map(read_fusion, pack)),
        experts=None if experts is None else Experts(experts),
        drop=tuple(dict.fromkeys(_feature(name) for name in drop)),
    )
    if output is not None:
        from lorascope.rewriting.written_files import check_output

        check_output(Path(output), force=force, source=config_file(Path(adapter)).parent)
    path = config_file(Path(adapter))
    bases = BaseModels() if bases is None else bases
    checks = CheckRequest(model=model, tool=Tool.PEFT, rules=(), bases=bases)
    try:
        checked = only_checked(path, checks)
        configured = of_checked(checked)
    except UnnamedModelError as error:
        raise UnnamedModelError(
            error.what, f"Name it: lorascope adapt {adapter} MODEL --serve {serve}"
        ) from error
    if configured.stored is None:
        raise _no_tensors(path)
    served = bases.given(for_model, None) if isinstance(for_model, str) else for_model
    rewriting = rewriting_of(
        checked.subject, load_config_file(path), configured.base_model, request, served
    )
    if output is None:
        return rewriting.adaptation
    tensors = path.parent / TENSORS_FILE
    return write_rewriting(rewriting, tensors, Path(output), force=force)


def files_beside(adapter: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the names of the other files of an adapter, which are not copied."""
    folder = config_file(Path(adapter)).parent
    found = (each.name for each in folder.iterdir() if each.is_file())
    return tuple(sorted(name for name in found if name not in _WRITTEN and name[0] != "."))


def _feature(name: str) -> Feature:
    try:
        feature = Feature(name)
    except ValueError:
        feature = None
    if feature not in DROPPABLE:
        known = ", ".join(each.value for each in DROPPABLE)
        raise SpecificationError(f"Nothing called {name!r} can be dropped.", f"Known are {known}.")
    return feature


def _no_tensors(path: Path) -> AdapterError:
    for name in PICKLES:
        if (path.parent / name).is_file():
            return AdapterError(
                f"{path.parent / name} is a pickle, which can run any code when it is opened, so "
                "it is not read.",
                f"Save the adapter as {TENSORS_FILE} with PEFT's save_pretrained.",
            )
    return AdapterError(
        f"There are no tensors beside {path}: {TENSORS_FILE} is not a file there.",
        "Name the directory of a trained adapter.",
    )
