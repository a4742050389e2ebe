"""What vLLM's source says about LoRA: its limits, and what each model class takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from engine_layers import Layers, layers_of
from engine_source import (
    Package,
    SourceClass,
    SourceModule,
    UnknownValueError,
    literal,
    value_of,
)

_MODELS = "vllm.model_executor.models"
_LAYERS = "vllm.model_executor.layers"
_REGISTRIES = (
    "_TEXT_GENERATION_MODELS",
    "_EMBEDDING_MODELS",
    "_LATE_INTERACTION_MODELS",
    "_REWARD_MODELS",
    "_TOKEN_CLASSIFICATION_MODELS",
    "_SEQUENCE_CLASSIFICATION_MODELS",
    "_MULTIMODAL_MODELS",
    "_TRANSFORMERS_SUPPORTED_MODELS",
)
"""Tables of architectures that are served; drafts of speculative decoding are left out."""
_BACKEND = "TransformersForCausalLM"
"""What serves an architecture that no table names."""
_EXPERT_LAYERS = frozenset({"FusedMoEFactory", "FusedMoE", "SharedFusedMoE", "MoERunner"})
_INSIDE = (_MODELS, "vllm.models", f"{_LAYERS}.mamba", f"{_LAYERS}.mla", f"{_LAYERS}.kda")
_OUTSIDE = tuple(
    f"{_MODELS}.{each}"
    for each in ("interfaces", "interfaces_base", "registry", "utils", "vision", "transformers")
)
_RENAMES = ("regex", "substr", "prefix", "suffix")
"""Parts of `WeightsMapper.get_rename_mapper`, in the order in which `map_name` applies them."""


def facts(root: Path) -> dict[str, Any]:
    """Return the facts that the source below `root` states; see `serving/facts.py`."""
    package = Package(root, "vllm")
    registry = package.needed(f"{_MODELS}.registry")
    named = _registered(registry)
    classes, architectures = {}, {}
    for architecture, (module, name) in sorted(named.items()):
        cls = _class(package, module, name)
        if cls is None:
            continue
        row = _row(cls)
        known = classes.setdefault(cls.name, row)
        if known != row:  # two classes of one name
            classes[architecture] = row
            architectures[architecture] = architecture
        else:
            architectures[architecture] = cls.name
    return {
        **_limits(package),
        "architectures": architectures,
        "backend": _BACKEND,
        "classes": dict(sorted(classes.items())),
    }


@cache
def _registered(registry: SourceModule) -> Mapping[str, tuple[str, str]]:
    """Return module and class by architecture; what is copied from table to table once."""
    found: dict[str, tuple[str, str]] = {}
    for table in (*_REGISTRIES, "_TRANSFORMERS_BACKEND_MODELS"):
        held = registry.names.get(table)
        if not isinstance(held, ast.Assign) or not isinstance(held.value, ast.Dict):
            raise SystemExit(f"{registry.name}: no table {table}; the script must be changed.")
        for key, value in zip(held.value.keys, held.value.values, strict=True):
            if key is not None and (table in _REGISTRIES or ast.literal_eval(key) == _BACKEND):
                found[ast.literal_eval(key)] = ast.literal_eval(value)
    return found


def _limits(package: Package) -> dict[str, Any]:
    config = package.needed("vllm.config.lora")
    ranks = config.lookup("MaxLoRARanks")[1].value
    rank = package.class_of(*_found(config, "LoRAConfig")).value("max_lora_rank")
    helper = package.class_of(*_found(package.needed("vllm.lora.peft_helper"), "PEFTHelper"))
    suffixes = value_of(package.needed("vllm.config.model"), "_SUFFIX_TO_DEFAULTS")
    return {
        "ranks": literal(config, ranks.slice),
        "usual_rank": rank,
        "reads": sorted(_fields(helper)),
        "refuses": sorted(_refused(helper)),
        "saved_modules": _saved(helper),
        "inits": _inits(helper),
        "suffixes": [suffix for suffix, _ in suffixes],
    }


def _found(module: SourceModule, name: str) -> tuple[SourceModule, ast.ClassDef]:
    found = module.lookup(name)
    if not isinstance(found, SourceClass):
        raise SystemExit(f"{module.name}: no class {name}; the script must be changed.")
    return found.module, found.node


def _fields(helper: SourceClass) -> Iterator[str]:
    for statement in helper.node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(name)) if not name.startswith("vllm_"):
                yield name


def _refused(helper: SourceClass) -> Iterator[str]:
    """Yield the fields of `adapter_config.json` on which loading depends."""
    asked = set(_fields(helper))
    for name in ("_validate_features", "_init_is_supported", "validate_legal"):
        method = helper.method(name)
        if method is None:
            raise SystemExit(f"PEFTHelper has no {name}; the script must be changed.")
        for test in (each.test for each in ast.walk(method) if isinstance(each, ast.If)):
            named = {each.attr for each in ast.walk(test) if isinstance(each, ast.Attribute)}
            yield from named & asked
            asked -= named


def _saved(helper: SourceClass) -> list[str]:
    method = helper.method("_validate_features")
    lists = [n for n in ast.walk(method or ast.Pass()) if isinstance(n, ast.List) and n.elts]
    return next((ast.literal_eval(each) for each in lists), [])


def _inits(helper: SourceClass) -> list[str]:
    method = helper.method("_init_is_supported")
    given = [n for n in ast.walk(method or ast.Pass()) if isinstance(n, ast.Tuple)]
    return sorted(next((ast.literal_eval(each) for each in given), ()))


def _class(package: Package, module: str, name: str) -> SourceClass | None:
    whole = module if module.startswith("vllm.") else f"{_MODELS}.{module}"
    source = package.module(whole)
    found = None if source is None else source.lookup(name)
    if found is None and source is not None and source.is_package:
        for inner in (f"{whole}.nvidia.model", f"{whole}.model", f"{whole}.nvidia"):
            inside = package.module(inner)
            found = found or (None if inside is None else inside.lookup(name))
    if not isinstance(found, SourceClass):
        print(f"not read: {whole}.{name}")
        return None
    return found


def _row(cls: SourceClass) -> dict[str, Any]:
    row: dict[str, Any] = {"lora": cls.value("supports_lora", False) is True}
    if not row["lora"]:
        return row
    is_backend = cls.module.name.startswith(f"{_MODELS}.transformers")
    layers = Layers(registered=[()]) if is_backend else _layers(cls)
    packed, is_fixed = _packed(cls, layers)
    row["packed"] = packed
    row["embeddings"] = sorted(_embeddings(cls, layers))
    row["takes"] = _takes(cls, layers, packed, is_fixed)
    row["renames"] = _renames(cls)
    row["skips"] = cls.value("lora_skip_prefixes", [])
    if layers.experts:
        row["experts"] = "3d" if cls.value("is_3d_moe_weight", False) else "2d"
        row["around_experts"] = sorted(layers.around_experts)
    if cls.inherits("SupportsMultiModal"):
        row["towers"] = cls.value("supports_tower_connector_lora", False) is True
        row["parts"] = _parts(cls)
    return {key: value for key, value in row.items() if value not in ([], {}, None) or key in _KEPT}


_KEPT = ("takes", "renames")
"""Keys for which null says that only a run would show it."""


@cache
def _layers(cls: SourceClass) -> Layers:
    return layers_of(cls, _is_inside, _is_linear, _EXPERT_LAYERS)


def _is_inside(module: SourceModule) -> bool:
    return module.name.startswith(_INSIDE) and not module.name.startswith(_OUTSIDE)


@cache
def _is_linear(cls: SourceClass) -> bool:
    return cls.inherits("LinearBase")


def _inner(cls: SourceClass, layers: Layers) -> list[SourceClass] | None:
    """Return the classes of inner models from the registry; None if only a config names them."""
    registry = cls.module.package.needed(f"{_MODELS}.registry")
    found = []
    for names in layers.registered:
        if not names:
            return None
        for name in names:
            known = _class(cls.module.package, *_registered(registry)[name])
            if known is None:
                return None
            found.append(known)
    return found


def _packed(cls: SourceClass, layers: Layers) -> tuple[dict[str, list[str]], bool]:
    """Return the packed names, and whether they are the same whatever the config says."""
    try:
        packed = dict(cls.value("packed_modules_mapping", {}))
    except UnknownValueError:
        return {}, False
    is_fixed = not any(True for _ in cls.sets_in_methods("packed_modules_mapping"))
    if not packed:
        for each in (*layers.mentioned, *(_inner(cls, layers) or ())):
            try:
                inner = each.value("packed_modules_mapping", {})
            except UnknownValueError:
                inner = {}
            packed |= inner
            is_fixed = is_fixed and not inner
    return packed, is_fixed


def _embeddings(cls: SourceClass, layers: Layers) -> set[str]:
    found: set[str] = set()
    for each in (cls, *layers.mentioned):
        try:
            found |= set(each.value("embedding_modules", {}))
        except UnknownValueError:
            continue
    return found


def _takes(
    cls: SourceClass, layers: Layers, packed: Mapping[str, list[str]], is_fixed: bool
) -> list[str] | None:
    """Return the last names that an adapter's tensors may have; None if only a run shows them."""
    inner = _inner(cls, layers)
    if inner is None:
        return None
    found = set(_embeddings(cls, layers))
    names = set(layers.linears)
    for each in inner:
        beneath = _layers(each)
        if beneath.registered:
            return None
        names |= beneath.linears
        found |= _embeddings(each, beneath)
    for children in packed.values():
        found |= set(children)
    for name in names:
        found |= set(packed.get(name, (name,)))
        if not is_fixed:
            found |= {name, *_CONDITIONAL.get(name, ())}
    return sorted(found)


_CONDITIONAL: Mapping[str, tuple[str, ...]] = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "fused_qkv_a_proj": ("q_a_proj", "kv_a_proj_with_mqa"),
}
"""Parts of a packed layer that a class declares for some configs only."""


def _renames(cls: SourceClass) -> list[list[Any]] | None:
    """Return how names of the checkpoint become the engine's; None if only a run shows it."""
    if any(True for _ in cls.sets_in_methods("hf_to_vllm_mapper")):
        return None
    try:
        mapper = cls.value("hf_to_vllm_mapper", {}) or {}
    except UnknownValueError:
        return None
    if mapper.get("orig_to_new_renaming"):
        return None
    return [
        [kind, old, new]
        for kind in _RENAMES
        for old, new in mapper.get(f"orig_to_new_{kind}", {}).items()
        if new is not None and not (kind == "suffix" and not old.endswith("lora_A.weight"))
    ]


def _parts(cls: SourceClass) -> dict[str, list[str]]:
    """Return where a multimodal class holds its language model, towers and connectors."""
    method = cls.method("get_mm_mapping")
    for call in ast.walk(method or ast.Pass()):
        if isinstance(call, ast.Call) and call.keywords:
            try:
                given = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
            except ValueError:
                return {}
            return {k: [v] if isinstance(v, str) else list(v) for k, v in given.items()}
    return {}
