"""What the property tests draw: hand-made models, and configurations made of a model's names."""

from __future__ import annotations

import re
from typing import Any

import torch
from hypothesis import strategies as st
from match_models import (
    COMMON_LEAVES,
    CONTAINER_NAMES,
    CONTAINERS,
    LEAVES,
    NAMES,
    REAL,
    Case,
    hand_made,
    real,
)
from torch import nn

from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec

real_cases = st.sampled_from(REAL).map(real)


@st.composite
def hand_made_cases(draw: st.DrawFn) -> Case:
    """A random tree of modules on the meta device, with shared modules and tied weights."""
    with torch.device("meta"):
        root = nn.Module()
        _fill(draw, root, depth=0)
        holders = [module for module in root.modules() if not _is_leaf(module)]
        if draw(st.integers(0, 3)) == 0:
            _share(draw, root, draw(st.sampled_from(holders)))
        if draw(st.integers(0, 3)) == 0:
            _tie(draw, root)
        if draw(st.integers(0, 15)) == 0:
            root.register_parameter("weight", nn.Parameter(torch.empty(3, 4)))
    return hand_made(root)


def _fill(draw: st.DrawFn, module: nn.Module, depth: int) -> None:
    for index in range(draw(st.integers(1, 4))):
        numbered = isinstance(module, nn.ModuleList)
        if depth < 4 and draw(st.integers(0, 2)) > 0:
            child = CONTAINERS[draw(st.sampled_from(sorted(CONTAINERS)))]()
            _fill(draw, child, depth + 1)
            name = str(index) if numbered else draw(st.sampled_from(CONTAINER_NAMES))
        else:
            child = LEAVES[draw(st.sampled_from(COMMON_LEAVES) | st.sampled_from(sorted(LEAVES)))]()
            name = str(index) if numbered else draw(st.sampled_from(NAMES))
        if name not in module._modules and not hasattr(module, name):
            module.add_module(name, child)


def _is_leaf(module: nn.Module) -> bool:
    return not isinstance(module, (nn.ModuleList, nn.ModuleDict)) and type(module) not in (
        nn.Module,
        CONTAINERS["module"],
    )


def _share(draw: st.DrawFn, root: nn.Module, holder: nn.Module) -> None:
    """Register some module a second time; never one that contains `holder`."""
    inside = [each for each in root.modules() if holder not in set(each.modules())]
    if inside and "shared" not in holder._modules:
        holder.add_module("shared", draw(st.sampled_from(inside)))


def _tie(draw: st.DrawFn, root: nn.Module) -> None:
    """Let one module hold the weight of another."""
    weighted = [
        each for each in root.modules() if isinstance(each._parameters.get("weight"), nn.Parameter)
    ]
    if len(weighted) > 1:
        first = draw(st.sampled_from(weighted))
        same = [each for each in weighted if each.weight.shape == first.weight.shape]
        draw(st.sampled_from(same)).weight = first.weight


def specs(case: Case) -> st.SearchStrategy[LoraSpec]:
    """A configuration for a model: mostly one that PEFT takes, sometimes nonsense."""
    return st.integers(0, 4).flatmap(lambda kind: sane_specs(case) if kind else wild_specs(case))


@st.composite
def sane_specs(draw: st.DrawFn, case: Case) -> LoraSpec:
    """A configuration that PEFT probably takes, of many fields at once."""
    adaptable = [
        module for module in case.inventory.adaptable if module.kind is not Kind.EXPERT_PARAMETER
    ]
    leaves = [
        module.path
        for module in adaptable
        if module.path and 8 % module.groups == 0 and not module.path.endswith("out_proj")
    ]
    stacked = [
        f"{module.path}.{parameter.name}"
        for module in case.inventory.modules
        for parameter in module.parameters
        if len(parameter.shape) == 3 and module.path and not module.kind.adaptable
    ]
    other = [module.path for module in case.inventory.modules if module.path not in leaves]
    if not leaves:
        return draw(wild_specs(case))
    names = st.sampled_from(leaves)
    entry = st.one_of(names, names, names.flatmap(_dotted_suffix), names.map(_last))
    plain = [module.path for module in adaptable if module.kind in (Kind.LINEAR, Kind.CONV1D)]
    values: dict[str, Any] = {
        "r": draw(st.sampled_from([8, 16])),
        "lora_alpha": draw(st.sampled_from([8, 16, 1, 3])),
        "task_type": draw(st.sampled_from(case.task_types)),
        "target_modules": draw(
            st.one_of(
                st.lists(entry, min_size=1, max_size=6).map(tuple),
                st.lists(entry, min_size=1, max_size=6).map(tuple),
                st.lists(names, min_size=20, max_size=60).map(tuple),
                st.lists(st.sampled_from(plain or leaves), min_size=20, max_size=60).map(tuple),
                st.just(tuple(leaves)),
                st.just(tuple({_last(name): None for name in leaves})),
                st.sampled_from(["all-linear", "ALL-LINEAR"]),
                _valid_patterns(leaves),
                st.just(()) if stacked else st.just("all-linear"),
            )
        ),
    }
    heads = [name for name in other + leaves if re.search("head|score|classif|norm|embed", name)]
    sometimes: dict[str, st.SearchStrategy[Any]] = {
        "exclude_modules": st.one_of(_lists(entry), _valid_patterns(leaves)),
        "modules_to_save": _lists(st.sampled_from(heads or leaves)),
        "rank_pattern": _values(entry, [8, 16, 24], invalid=False),
        "alpha_pattern": _values(entry, [1, 32, 5], invalid=False),
        "use_rslora": st.just(True),
        "bias": st.sampled_from(["all", "lora_only"]),
        "init_lora_weights": st.sampled_from([False, "gaussian", True]),
        "ensure_weight_tying": st.just(True),
    }
    sometimes |= draw(
        st.sampled_from(
            [
                {"use_dora": st.just(True)},
                {"lora_bias": st.just(True)},
                {"lora_dropout": st.just(0.1)},
                {},
            ]
        )
    )
    if stacked:
        parameter = st.sampled_from(stacked)
        sometimes["target_parameters"] = _lists(
            st.one_of(parameter, parameter.map(lambda name: ".".join(name.split(".")[-2:])))
        )
    if not isinstance(values["target_modules"], str):
        indices = st.lists(st.integers(0, 1), min_size=1, max_size=2).map(tuple)
        sometimes["layers_to_transform"] = st.one_of(st.integers(0, 1), indices)
    embeddings = [each.path for each in adaptable if each.kind is Kind.EMBEDDING]
    if embeddings:
        tokens = st.lists(st.integers(0, 1), max_size=2, unique=True).map(tuple)
        sometimes["trainable_token_indices"] = st.one_of(
            tokens, st.dictionaries(st.sampled_from(embeddings), tokens, max_size=2)
        )
    chosen = draw(st.lists(st.sampled_from(sorted(sometimes)), max_size=4, unique=True))
    for name in chosen:
        values[name] = draw(sometimes[name])
    if "layers_to_transform" in values and draw(st.booleans()):
        values["layers_pattern"] = draw(_layer_names())
    return LoraSpec(**values)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


@st.composite
def wild_specs(draw: st.DrawFn, case: Case) -> LoraSpec:
    """A configuration of the model's names, parts of them and nonsense."""
    modules = [
        module.path
        for module in case.inventory.modules
        if module.path and module.kind is not Kind.EXPERT_PARAMETER
    ]
    adaptable = [each.path for each in case.inventory.adaptable if each.path in set(modules)]
    parameters = [
        f"{module.path}.{parameter.name}" if module.path else parameter.name
        for module in case.inventory.modules
        for parameter in module.parameters
    ]
    stacked = [
        f"{module.path}.{parameter.name}"
        for module in case.inventory.modules
        for parameter in module.parameters
        if len(parameter.shape) in (2, 3)
    ]
    names = st.sampled_from(adaptable or modules)
    entry = st.one_of(_entries(names), _entries(names), _entries(st.sampled_from(modules)))
    values: dict[str, Any] = {
        "r": draw(st.sampled_from([8, 8, 4, 2, 1, 6])),
        "lora_alpha": draw(st.sampled_from([8, 16, 1, 3])),
        "target_modules": draw(_targets(entry, adaptable or modules)),
        "task_type": draw(st.sampled_from(case.task_types)),
    }
    sometimes: dict[str, st.SearchStrategy[Any]] = {
        "exclude_modules": st.one_of(_lists(entry), _patterns(modules)),
        "modules_to_save": _lists(st.one_of(_entries(st.sampled_from(modules)), _saved(modules))),
        "rank_pattern": _values(
            st.one_of(entry, _entries(st.sampled_from(parameters))), [1, 2, 16]
        ),
        "alpha_pattern": _values(entry, [1, 32, 5]),
        "use_rslora": st.just(True),
        "use_dora": st.just(True),
        "bias": st.sampled_from(["all", "lora_only", "lora_only", "some"]),
        "lora_bias": st.just(True),
        "lora_dropout": st.sampled_from([0.1, 0.5, 1.5, -0.5]),
        "fan_in_fan_out": st.just(True),
        "init_lora_weights": st.sampled_from(
            [False, "gaussian", "Gaussian", "eva", "olora", "orthogonal", "pissa", "", "nonsense"]
        ),
        "ensure_weight_tying": st.just(True),
    }
    if stacked:
        sometimes["target_parameters"] = st.one_of(
            _lists(_entries(st.sampled_from(stacked))),
            _lists(_entries(st.sampled_from(parameters))),
            st.just(("experts.gate_up_proj", "experts.down_proj")),
        )
    if not isinstance(values["target_modules"], str) or draw(st.integers(0, 9)) == 0:
        sometimes["layers_to_transform"] = st.one_of(
            st.integers(0, 3), st.lists(st.integers(0, 3), max_size=3).map(tuple)
        )
        sometimes["layers_pattern"] = st.one_of(_layer_names(), _lists(_layer_names()), st.just(""))
    embeddings = [each.path for each in case.inventory.adaptable if each.kind is Kind.EMBEDDING]
    tokens = st.lists(st.integers(0, 1), max_size=2, unique=True).map(tuple)
    if embeddings:
        sometimes["trainable_token_indices"] = st.one_of(
            tokens,
            st.dictionaries(
                _entries(st.sampled_from([*embeddings, "lm_head"])), tokens, max_size=2
            ),
        )
    for name in draw(st.lists(st.sampled_from(sorted(sometimes)), max_size=4, unique=True)):
        values[name] = draw(sometimes[name])
    return LoraSpec(**values)


def _entries(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A full name, a suffix at a dot, a suffix inside a part, a part, or a typo."""
    return st.one_of(
        names,
        names.flatmap(_dotted_suffix),
        names.flatmap(_dotted_suffix),
        names.map(lambda name: name.rpartition(".")[2]),
        names.map(lambda name: name[-4:].lstrip(".") or name),
        names.map(lambda name: name.partition(".")[0]),
        names.map(lambda name: f"{name}x"),
    )


def _dotted_suffix(name: str) -> st.SearchStrategy[str]:
    parts = name.split(".")
    return st.integers(0, len(parts) - 1).map(lambda start: ".".join(parts[start:]))


def _lists(entries: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(entries, min_size=1, max_size=3).map(tuple)


def _saved(modules: list[str]) -> st.SearchStrategy[str]:
    heads = [name for name in modules if re.search("head|score|classifier|embed|norm", name)]
    return st.sampled_from(heads or modules)


def _targets(entry: st.SearchStrategy[str], names: list[str]) -> st.SearchStrategy[Any]:
    short = st.lists(entry, min_size=1, max_size=6).map(tuple)
    many = st.lists(st.sampled_from(names), min_size=20, max_size=60).map(tuple)
    mixed = st.tuples(many, short).map(lambda both: both[0] + both[1])
    last_parts = st.just(tuple({name.rpartition(".")[2]: None for name in names}))
    old_names = st.lists(
        st.sampled_from(["q_proj", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3", "gate"]),
        min_size=1,
        max_size=6,
    ).map(tuple)
    return st.one_of(
        short,
        short,
        short,
        many,
        mixed,
        last_parts,
        old_names,
        st.sampled_from(["all-linear", "ALL-LINEAR", "All-Linear"]),
        _patterns(names),
        _patterns(names),
        entry,
        st.none(),
        st.just(()),
        st.just("dummy-target-modules"),
    )


def _valid_patterns(names: list[str]) -> st.SearchStrategy[str]:
    return _patterns(names).filter(lambda pattern: not pattern.startswith("(") and pattern != ".*")


@st.composite
def _patterns(draw: st.DrawFn, names: list[str]) -> str:
    """A regular expression made of real parts."""
    picked = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    last = [re.escape(name.rpartition(".")[2]) for name in picked]
    return draw(
        st.sampled_from(
            [
                "|".join(re.escape(name) for name in picked),
                rf".*\.({'|'.join(last)})$",
                rf".*({'|'.join(last)})",
                rf"(?!.*0).*\.{last[0]}",
                rf".*\d+.*{last[0]}",
                rf".+[._]{last[0]}?",
                re.sub(r"\d+", r"\\d+", re.escape(picked[0])),
                picked[0],
                rf".*\.(gate_proj|up_proj|{last[0]})",
                rf".*\.experts\..*|.*\.{last[0]}",
                ".*",
                f"({last[0]}",
            ]
        )
    )


@st.composite
def _values(
    draw: st.DrawFn,
    entries: st.SearchStrategy[str],
    values: list[int],
    invalid: bool = True,
) -> dict[str, int]:
    """Keys of a rank or alpha pattern: plain, anchored, escaped, with alternatives."""
    found = {}
    for entry in draw(st.lists(entries, min_size=1, max_size=4)):
        key = draw(
            st.sampled_from(
                [
                    entry,
                    entry,
                    f"^{entry}",
                    re.escape(entry),
                    rf".*\.{re.escape(entry)}",
                    f"{entry}|v_proj",
                    f"{entry}$",
                    f".*{entry[-3:]}",
                    re.sub(r"\d+", "[01]", entry),
                    f"({entry}",
                ][: 10 if invalid else 9]
            )
        )
        found[key] = draw(st.sampled_from(values))
    return found


def _layer_names() -> st.SearchStrategy[str]:
    return st.sampled_from(
        ["layers", "h", "layer", "block", "experts", "blocks", "(layers|h)", "(?:h|layer)", "lay"]
    )
