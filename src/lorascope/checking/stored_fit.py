"""How the stored tensors of an adapter fit what PEFT would load them into."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lorascope.checking.subject import Subject
from lorascope.checking.translated import translates
from lorascope.core.roles import Kind
from lorascope.matching.stored_tensors import Adapted, adapter_tensors

PREFIX = "base_model.model."
"""Before every name of a stored tensor."""
_DEFAULT = re.compile(r"\.default(?=\.|$)")
_LAYERED = re.compile(r"[^.]+\.\d+\..*")
_OLD_EXPERT = re.compile(r"\.experts\.\d+\.")
_FACTOR = re.compile(r"lora_(?:embedding_)?([AB])\b")

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Misfit:
    """A stored tensor whose target has another shape."""

    name: str
    stored: Shape
    wanted: Shape
    rank_alone: bool
    """Whether only the rank is another."""

    @property
    def stored_rank(self) -> int:
        """Rank of the stored tensor, of one expert if there are several."""
        return self.stored[self._rank_at]

    @property
    def wanted_rank(self) -> int:
        """Rank that the configuration gives the target, of all experts together."""
        return self.wanted[self._rank_at]

    @property
    def _rank_at(self) -> int:
        return _rank_at(self.name) or 0


@dataclass(frozen=True, slots=True)
class Renaming:
    """Unknown names that fit once the start of them is another."""

    old: str
    new: str
    tensors: int


@dataclass(frozen=True)
class Fit:
    """What fits and what does not. Names are without `PREFIX`."""

    stored: int
    """Number of stored tensors."""
    fitting: int
    misfits: tuple[Misfit, ...] = ()
    empty: tuple[str, ...] = ()
    """Stored LoRA tensors without elements."""
    unknown: tuple[str, ...] = ()
    """Stored tensors that have no target."""
    missing: tuple[str, ...] = ()
    """Targets that have no stored tensor."""
    resized: tuple[Misfit, ...] = ()
    """Weights of the base model itself that are stored in another shape."""
    old_experts: tuple[str, ...] = ()
    """Unknown tensors that are named as before experts became stacked parameters."""
    bare: tuple[str, ...] = ()
    """Stored tensors without `PREFIX`, which PEFT does not load; they count as nothing else."""


def fit_of(subject: Subject) -> Fit:
    """Compare the stored tensors with those that PEFT makes for this configuration and model.

    Names with `default` in them are loaded by PEFT all the same, and so are single experts where
    PEFT merges them into stacked ones. Names without the prefix are left out, but for types of
    models where PEFT names all factors anew. Source: peft 0.21.2,
    `set_peft_model_state_dict` in `utils/save_and_load.py`, and
    `convert_peft_adapter_state_dict_for_transformers` in `utils/transformers_weight_conversion.py`.
    """
    bare = bare_names(subject)
    model = subject.model.model
    is_renamed = model.expert_rewrite is not None or translates(model.model_type)
    ignored = frozenset(() if is_renamed else bare)
    stored = {
        normal_name(tensor.name): tensor.shape
        for tensor in subject.stored or ()
        if "trainable_tokens_" not in tensor.name and tensor.name not in ignored
    }
    wanted = {normal_name(name): shape for name, shape in _wanted(subject)}
    base = _base_shapes(subject)
    buffers = _Buffers(subject)
    fitting, misfits, resized, empty = 0, [], [], []
    unknown, old_experts = [], []
    for name, shape in stored.items():
        if 0 in shape and _rank_at(name) is not None:
            empty.append(name)
        elif name in wanted:
            misfit = _misfit(name, shape, wanted[name])
            fitting += misfit is None
            misfits += [misfit] if misfit else []
        elif name in base:
            misfit = _misfit(name, shape, base[name])
            resized += [misfit] if misfit else []
        elif name in buffers:
            fitting += 1
        elif _OLD_EXPERT.search(name) and _has_stacked_experts(subject):
            old_experts.append(name)
        else:
            unknown.append(name)
    there = stored.keys() | {normal_name(name) for name in ignored}
    missing = tuple(name for name in wanted if name not in there)
    if old_experts and subject.model.model.expert_rewrite:
        # PEFT merges these into the stacked parameters as it loads them.
        missing = tuple(name for name in missing if ".experts." not in name)
        old_experts = []
    return Fit(
        stored=len(stored) + len(ignored),
        fitting=fitting,
        misfits=tuple(misfits),
        empty=tuple(empty),
        unknown=tuple(unknown),
        missing=missing,
        resized=tuple(resized),
        old_experts=tuple(old_experts),
        bare=tuple(name for name in bare if name in ignored),
    )


def bare_names(subject: Subject) -> tuple[str, ...]:
    """Return the names of stored tensors that lack `PREFIX`."""
    names = (tensor.name for tensor in subject.stored or ())
    return tuple(name for name in names if not name.startswith(PREFIX))


def only_rank(subject: Subject) -> int | None:
    """Return the rank that all stored factors have; None if they have several, or there are none.

    Embeddings count too; a factor of stacked experts holds the ranks of all of them.
    """
    ranks = {
        tensor.shape[at]
        for tensor in subject.stored or ()
        if (at := _rank_at(tensor.name)) is not None and at < len(tensor.shape)
    }
    return ranks.pop() if len(ranks) == 1 else None


def normal_name(name: str) -> str:
    """Return a stored tensor's name without `PREFIX` and without the adapter's name in it."""
    name = _DEFAULT.sub("", name.removeprefix(PREFIX))
    return name.removesuffix(".weight") if name.endswith("lora_magnitude_vector.weight") else name


def _wanted(subject: Subject) -> Iterator[tuple[str, Shape]]:
    adapted = [
        Adapted(module, target.rank, target.is_parameter)
        for target, module in subject.adapted
        if module.path == target.path
    ]
    saved = [] if subject.match is None else [each.path for each in subject.match.saved]
    config = subject.recipe.stated
    for tensor in adapter_tensors(subject.model, adapted, saved, config, subject.peft_version):
        if ".base_layer.weight" not in tensor.name and ".base_layer.bias" not in tensor.name:
            yield tensor.name, tensor.shape


class _Buffers:
    """Names that may be those of buffers, which PEFT saves with a module that is saved whole.

    With `bias` all it saves those with `bias` in their names as well. An inventory lists none.
    Source: peft 0.21.2, `ModulesToSaveWrapper.adapter_state_dict` in `utils/other.py`, and
    `get_peft_model_state_dict` in `utils/save_and_load.py`.
    """

    def __init__(self, subject: Subject) -> None:
        self._modules = subject.modules
        self._saved = [] if subject.match is None else [each.path for each in subject.match.saved]
        self._all_biases = subject.spec.bias == "all"

    def __contains__(self, name: str) -> bool:
        path, _, last = name.rpartition(".")
        if path not in self._modules or last in ("weight", "bias") or "lora_" in last:
            return False
        if self._all_biases and "bias" in last:
            return True
        return any(path == saved or path.startswith(f"{saved}.") for saved in self._saved)


def _base_shapes(subject: Subject) -> Mapping[str, Shape]:
    """Shapes of the base model's own weights by the names that an adapter's file may have."""
    shapes: dict[str, Shape] = {}
    for path, module in subject.modules.items():
        for parameter in module.parameters:
            shapes[f"{path}.{parameter.name}"] = parameter.shape
            shapes[f"{path}.base_layer.{parameter.name}"] = parameter.shape
    return shapes


def _has_stacked_experts(subject: Subject) -> bool:
    return any(module.kind is Kind.EXPERT_PARAMETER for module in subject.model.modules)


def _rank_at(name: str) -> int | None:
    """Return which dimension of a tensor is the rank; None if it is no low-rank factor."""
    hit = _FACTOR.search(name)
    return None if hit is None or name.endswith(".bias") else "AB".index(hit[1])


def _misfit(name: str, stored: Shape, wanted: Shape) -> Misfit | None:
    if stored == wanted:
        return None
    at = _rank_at(name)
    alone = (
        at is not None
        and len(stored) == len(wanted)
        and all(a == b for i, (a, b) in enumerate(zip(stored, wanted, strict=True)) if i != at)
    )
    return Misfit(name, stored, wanted, alone)


def renaming_of(unknown: Iterable[str], missing: Iterable[str]) -> Renaming | None:
    """Return the change of prefix with which most of the unknown names are the missing ones.

    Names are compared from the list of blocks on: `layers.0.self_attn.q_proj.lora_A.weight`.
    """
    starts: dict[str, list[str]] = {}
    for name in missing:
        start, tail = _split(name)
        if tail:
            starts.setdefault(tail, []).append(start)
    pairs: Counter[tuple[str, str]] = Counter()
    total = 0
    for name in unknown:
        total += 1
        start, tail = _split(name)
        pairs.update((start, new) for new in starts.get(tail, ()) if new != start)
    if not pairs:
        return None
    (old, new), count = pairs.most_common(1)[0]
    return Renaming(old, new, count) if 2 * count > total else None


def _split(name: str) -> tuple[str, str]:
    hit = _LAYERED.search(name)
    return ("", "") if hit is None else (name[: hit.start()], hit[0])
