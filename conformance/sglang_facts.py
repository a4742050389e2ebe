"""What SGLang's source says about LoRA: which names it takes, and what each model class holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from engine_layers import layers_of
from engine_source import Package, SourceClass, SourceModule, UnknownValueError

_MODELS = "sglang.srt.models"
_UTILS = "sglang.srt.lora.utils"
_INSIDE = (_MODELS, "sglang.srt.layers.attention.linear", "sglang.srt.layers.attention.mamba")
_OUTSIDE = (f"{_MODELS}.registry", f"{_MODELS}.utils", f"{_MODELS}.transformers")
_EXPERT_LAYERS = frozenset({"FusedMoE", "get_moe_impl_class", "DeepEPMoE"})
_BACKEND = "TransformersForCausalLM"


def facts(root: Path) -> dict[str, Any]:
    """Return the facts that the source below `root` states; see `serving/facts.py`."""
    package = Package(root, "sglang")
    utils = package.needed(_UTILS)
    config = package.class_of(*_class(package.needed("sglang.srt.lora.lora_config"), "LoRAConfig"))
    default = utils.lookup("get_default_hidden_dim")[1]
    usual = frozenset(_names_asked(default))
    classes = {}
    for cls in sorted(_served(package), key=lambda each: each.name):
        classes[cls.name] = _row(cls, usual)
    return {
        "reads": sorted(set(_asked(config))),
        "normal_names": _normal_names(utils),
        "known_names": sorted(_known(utils)),
        "shorthands": _shorthands(utils),
        "sizes": sorted(usual),
        "backend": _BACKEND,
        "architectures": {name: name for name in classes},
        "classes": classes,
    }


def _class(module: SourceModule, name: str) -> tuple[SourceModule, ast.ClassDef]:
    found = module.lookup(name)
    if not isinstance(found, SourceClass):
        raise SystemExit(f"{module.name}: no class {name}; the script must be changed.")
    return found.module, found.node


def _served(package: Package) -> Iterator[SourceClass]:
    """Yield the classes that `EntryClass` of each module names."""
    folder = package.root.joinpath(*_MODELS.split("."))
    for path in sorted(folder.glob("*.py")):
        module = package.needed(f"{_MODELS}.{path.stem}")
        held = module.names.get("EntryClass")
        if isinstance(held, ast.Assign):
            value = held.value
            for each in value.elts if isinstance(value, ast.List) else (value,):
                cls = module.resolve(each)
                if isinstance(cls, SourceClass) and not cls.name.endswith(_DRAFTS):
                    yield cls


_DRAFTS = ("NextN", "MTP", "Eagle", "Eagle3", "DSpark")
"""Ends of the names of classes that only draft for another one."""


def _asked(config: SourceClass) -> Iterator[str]:
    """Yield the fields of `adapter_config.json` that are read."""
    for node in ast.walk(config.node):
        match node:
            case ast.Subscript(value=ast.Attribute(attr="hf_config"), slice=ast.Constant(name)):
                yield str(name)
            case ast.Call(
                func=ast.Attribute(attr="get", value=ast.Attribute(attr="hf_config")),
                args=[ast.Constant(name), *_],
            ):
                yield str(name)


def _normal_names(utils: SourceModule) -> dict[str, str]:
    function = utils.lookup("get_normalized_target_modules")[1]
    tables = [each for each in ast.walk(function) if isinstance(each, ast.Dict) and each.keys]
    return dict(sorted(ast.literal_eval(tables[0]).items()))


def _known(utils: SourceModule) -> set[str]:
    """Return `_KNOWN_LORA_TARGET_MODULES`: a set, joined with another."""
    found: set[str] = set()
    for name in ("_KNOWN_LORA_TARGET_MODULES", "DSA_INDEXER_LORA_NAMES"):
        for node in ast.walk(utils.lookup(name)[1]):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def _shorthands(utils: SourceModule) -> list[str]:
    function = utils.lookup("get_normalized_target_modules")[1]
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.NotIn):
            return sorted(ast.literal_eval(node.comparators[0]))
    raise SystemExit(f"{_UTILS}: no shorthands; the script must be changed.")


def _names_asked(function: ast.AST) -> Iterator[str]:
    """Yield the strings that `module_name` is compared with."""
    for node in ast.walk(function):
        if isinstance(node, ast.Compare):
            for each in ast.walk(node):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def _row(cls: SourceClass, usual: frozenset[str]) -> dict[str, Any]:
    layers = layers_of(cls, _is_inside, _is_linear, _EXPERT_LAYERS)
    own = cls.method("get_hidden_dim")
    row: dict[str, Any] = {"linears": sorted(layers.linears)}
    if own is not None:
        asked = frozenset(_names_asked(own))
        row["sizes"] = None if not asked else sorted(asked | usual)
    try:
        row["also"] = sorted(cls.value("supported_lora_modules", []))
    except UnknownValueError:
        row["also"] = []
    if layers.experts:
        row["experts"] = True
    if cls.method("should_apply_lora") is not None:
        row["only"] = _only(cls)
    return {key: value for key, value in row.items() if value not in ([], False)}


def _only(cls: SourceClass) -> str | None:
    """Return the pattern of the modules that are adapted; None if it is not one."""
    method = cls.method("should_apply_lora")
    for call in (each for each in ast.walk(method or ast.Pass()) if isinstance(each, ast.Call)):
        match call.func:
            case ast.Attribute(attr="match", value=ast.Attribute(attr=name)):
                try:
                    return str(cls.value(name))
                except UnknownValueError:
                    return None
    return None


def _is_inside(module: SourceModule) -> bool:
    return module.name.startswith(_INSIDE) and not module.name.startswith(_OUTSIDE)


@cache
def _is_linear(cls: SourceClass) -> bool:
    return cls.inherits("LinearBase")
