from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lorascope.source.cache as module
from lorascope.core.inventory import BuiltWith, Inventory, ModelInfo, Module, Parameter
from lorascope.core.observation import Call, ObservationInfo, Observed
from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.source import resolve
from lorascope.source.cache import Cache, cache_directory, cache_key
from lorascope.source.inventory_codec import decode, encode
from lorascope.source.model_source import ModelSource
from lorascope.source.versions import installed_version

KEY = "0" * 40

texts = st.text(max_size=12)
sizes = st.integers(0, 2**60)
optional_sizes = st.none() | sizes
parameters = st.builds(
    Parameter, texts, st.lists(sizes, max_size=4).map(tuple), tied_to=st.none() | texts
)
observations = st.builds(
    Observed,
    st.sampled_from(Call),
    st.none() | st.sampled_from(Role),
    affine=st.none() | st.booleans(),
    input_group=optional_sizes,
    input_kept=st.none() | st.booleans(),
)
MODULE_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "path": texts,
    "cls": texts,
    "kind": st.sampled_from(Kind),
    "role": st.sampled_from(Role),
    "evidence": st.sampled_from(Evidence),
    "rule": st.none() | texts,
    "layer": optional_sizes,
    "tower": st.sampled_from(Tower),
    "cross_attention": st.booleans(),
    "in_features": optional_sizes,
    "out_features": optional_sizes,
    "experts": optional_sizes,
    "kernel": st.none() | st.lists(sizes, max_size=3).map(tuple),
    "groups": sizes,
    "parameters": st.lists(parameters, max_size=3).map(tuple),
    "total_params": sizes,
    "transposed": st.booleans(),
    "alias_of": st.none() | texts,
    "kind_inferred": st.booleans(),
    "hazards": st.lists(texts, max_size=2).map(tuple),
    "observed": st.none() | observations,
    "named_role": st.none() | st.sampled_from(Role),
}
modules = st.builds(Module, **MODULE_FIELDS)
_BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": texts,
    "str | None": st.none() | texts,
    "int": sizes,
    "int | None": optional_sizes,
    "bool": st.booleans(),
    "bool | None": st.none() | st.booleans(),
    "tuple[str, ...]": st.lists(texts, max_size=3).map(tuple),
    "tuple[Tower, ...]": st.lists(st.sampled_from(Tower), max_size=3).map(tuple),
}
models = st.builds(ModelInfo, **{f.name: _BY_TYPE[str(f.type)] for f in fields(ModelInfo)})
built = st.builds(BuiltWith, **{f.name: _BY_TYPE[str(f.type)] for f in fields(BuiltWith)})
infos = st.builds(
    ObservationInfo, **{f.name: _BY_TYPE[str(f.type)] for f in fields(ObservationInfo)}
)
inventories = st.builds(
    Inventory,
    models,
    built,
    st.lists(modules, max_size=6).map(tuple),
    observation=st.none() | infos,
)


def _large(count: int) -> Inventory:
    """`count` modules with paths, shapes and roles that vary as a real model's do."""
    listed = tuple(
        Module(
            path=f"model.layers.{index // 40}.mlp.experts.{index % 40}.gate_proj",
            cls="Linear",
            kind=Kind.LINEAR,
            role=Role.FFN_GATE,
            evidence=Evidence.NAMED,
            layer=index // 40,
            in_features=4096 + index % 7,
            out_features=14336,
            parameters=(Parameter("weight", (14336, 4096 + index % 7)),),
            total_params=14336 * (4096 + index % 7),
            observed=Observed(Call.CALLED, Role.FFN_GATE, input_group=index // 2, input_kept=False),
        )
        for index in range(count)
    )
    info = ModelInfo("x", "llama", "LlamaForCausalLM")
    seen = ObservationInfo(("input_ids",), attentions=1)
    return Inventory(info, BuiltWith("meta", "0.1"), listed, seen)


INVENTORY = _large(3)


@given(inventories)
def test_an_inventory_comes_back_exactly(inventory: Inventory) -> None:
    assert decode(encode(inventory)) == inventory


def test_the_strategies_cover_every_field_of_a_module() -> None:
    assert list(MODULE_FIELDS) == [field.name for field in fields(Module)]


def test_equal_parameters_are_shared_again() -> None:
    first, second = decode(encode(_large(8))).modules[::7]
    assert first.parameters[0] is second.parameters[0]


def test_equal_observations_are_shared_again() -> None:
    first, second, third = decode(encode(_large(3))).modules
    assert first.observed is second.observed
    assert second.observed != third.observed


def test_store_and_load(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "made" / "when needed")
    assert cache.load(KEY) is None
    cache.store(KEY, INVENTORY)
    assert cache.load(KEY) == INVENTORY
    assert cache.problem is None
    assert [path.name for path in (tmp_path / "made" / "when needed").iterdir()] == [
        f"{KEY}.inventory"
    ]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "garbage", "other key", "format"])
def test_a_damaged_or_foreign_entry_is_absent_and_replaced(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    cache.store(KEY, INVENTORY)
    path = tmp_path / f"{KEY}.inventory"
    content = path.read_bytes()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[:-5])
        case "flipped":
            path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
        case "garbage":
            path.write_bytes(os.urandom(500))
        case "other key":
            path.rename(tmp_path / f"{'1' * 40}.inventory")
            assert cache.load("1" * 40) is None
        case "format":
            path.write_bytes(content.replace(b"inventory 2 ", b"inventory 1 ", 1))
    assert cache.load(KEY) is None
    cache.store(KEY, INVENTORY)
    assert cache.load(KEY) == INVENTORY


@given(st.binary(max_size=300), st.integers(0, 299))
def test_no_content_is_fatal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, position: int
) -> None:
    cache = Cache(tmp_path_factory.getbasetemp() / "damaged")
    cache.store(KEY, INVENTORY)
    path = cache._path(tmp_path_factory.getbasetemp() / "damaged", KEY)
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + content + whole[position + len(content) :])
    assert cache.load(KEY) in (None, INVENTORY)


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[]",
        b'{"model": {}, "built_with": {}, "parameters": [], "modules": {}}',
        b'{"model": {"main_towers": ["nowhere"]}, "built_with": {}}',
        b"[" * 100_000,
    ],
)
def test_sound_compression_of_something_else_is_a_value_error(text: bytes) -> None:
    import zlib

    with pytest.raises(ValueError, match="."):
        decode(zlib.compress(text))


def test_a_compressed_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    import lorascope.source.inventory_codec as codec

    monkeypatch.setattr(codec, "LARGEST_TEXT", 1000)
    with pytest.raises(ValueError, match="larger than any inventory"):
        decode(zlib.compress(b" " * 100_000))


def _with_value(place: str, value: Any) -> bytes:
    """INVENTORY as encoded, but for one value: `model.cls`, or `modules.layer` of the first.

    A part alone (`observation`) is put in its place whole.
    """
    import json
    import zlib

    document = json.loads(zlib.decompress(encode(INVENTORY)))
    part, _, name = place.partition(".")
    if not name:
        document[part] = value
    elif part in ("modules", "observed"):
        document[part][name][0] = value
    elif part == "parameters":
        document[part][0][int(name)] = value
    else:
        document[part][name] = value
    return zlib.compress(json.dumps(document).encode())


WRONG: dict[str, tuple[Any, ...]] = {
    "str": (None, 1, ["x"]),
    "str | None": (1, [], False),
    "int": ("1", None, 1.5, True),
    "int | None": ("1", 1.5, []),
    "bool": (1, None, "true"),
    "bool | None": (1, "true"),
    "tuple[str, ...]": ("ab", [1], [["x"]], None),
    "tuple[Tower, ...]": (["nowhere"], [1], None),
    "tuple[int, ...] | None": ("12", [1.5], ["1"], {}),
    "tuple[Parameter, ...]": ("0", [99], ["0"], [None], None),
    "Observed | None": ("0", 99, 0.0, True, [0], {}),
}
WRONG |= dict.fromkeys(("Kind", "Role", "Evidence", "Tower", "Call"), (None, "nothing", 1, []))
WRONG["Role | None"] = ("nothing", 1, [], {})
_PLACES = [
    (f"{part}.{field.name}", value)
    for part, cls in (
        ("model", ModelInfo),
        ("built_with", BuiltWith),
        ("modules", Module),
        ("observation", ObservationInfo),
        ("observed", Observed),
    )
    for field in fields(cls)
    for value in WRONG[str(field.type)]
] + [
    ("parameters.0", 1),
    ("parameters.1", "12"),
    ("parameters.1", ["1"]),
    ("parameters.1", 7),
    ("parameters.2", 1),
    ("observation", []),
    ("observation", {"what": 1}),
    ("observed", []),
    ("observed", None),
    ("observed", {}),
]


@pytest.mark.parametrize(("place", "value"), _PLACES)
def test_an_entry_with_a_value_of_a_wrong_type_is_absent(
    tmp_path: Path, place: str, value: Any
) -> None:
    cache = Cache(tmp_path)
    body = _with_value(place, value)
    first = module._first_line(KEY, body)
    (tmp_path / f"{KEY}.inventory").write_bytes(first + b"\n" + body)
    assert cache.load(KEY) is None


def test_the_entry_that_those_are_made_from_is_believed() -> None:
    assert decode(_with_value("model.cls", "LlamaForCausalLM")) == INVENTORY


def test_an_entry_of_more_lists_than_any_inventory_is_not_parsed() -> None:
    import zlib

    text = b"[" + b"[]," * 4_000_001 + b"[]]"
    with pytest.raises(ValueError, match="more lists"):
        decode(zlib.compress(text))


def test_a_cache_directory_that_is_a_file_is_worked_without(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for directory in (file, file / "below"):
        cache = Cache(directory)
        assert cache.load(KEY) is None
        cache.store(KEY, INVENTORY)
        assert cache.problem is not None
        assert str(file) in cache.problem
    assert file.read_text() == "mine"


def test_a_cache_that_cannot_be_written_is_worked_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    cache = Cache(tmp_path)
    monkeypatch.setattr(Path, "replace", refuse)
    cache.store(KEY, INVENTORY)
    assert cache.problem == f"The cache {tmp_path} cannot be written: No space left on device."
    assert list(tmp_path.iterdir()) == []


def test_has_tells_of_an_entry_without_reading_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert not cache.has(KEY)
    cache.store(KEY, INVENTORY)
    assert cache.has(KEY)
    assert not Cache(None).has(KEY)


def test_whether_it_can_be_written_is_told_without_making_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "made" / "when needed")
    assert cache.is_writable()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "made").write_text("mine")
    assert not cache.is_writable()
    assert not Cache(None).is_writable()
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    assert not Cache(tmp_path).is_writable()


def test_no_directory_means_no_cache() -> None:
    cache = Cache(None)
    cache.store(KEY, INVENTORY)
    assert cache.load(KEY) is None
    assert cache.problem is None


def test_the_oldest_entries_and_abandoned_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)
    cache = Cache(tmp_path)
    abandoned, fresh, foreign = (
        tmp_path / name for name in (".a.inventory.1.2", ".b.inventory.1.2", "notes.txt")
    )
    for path in (abandoned, fresh, foreign):
        path.write_text("")
    for path in (abandoned, foreign):
        os.utime(path, (1, 1))
    for index in range(3):
        cache.store(f"{index}" * 40, INVENTORY)
        os.utime(tmp_path / f"{index * 1}{str(index) * 39}.inventory", (index + 10, index + 10))
    cache.store("9" * 40, INVENTORY)
    kept = {path.name[0] for path in tmp_path.glob("*.inventory")}
    assert kept == {"2", "9"}
    assert not abandoned.exists()
    assert fresh.exists()
    assert foreign.exists()


def test_an_entry_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_ENTRY", 100)
    cache = Cache(tmp_path)
    cache.store(KEY, INVENTORY)
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from lorascope.core.inventory import *
from lorascope.source.cache import Cache
cache = Cache(Path(sys.argv[1]))
for number in range(60):
    model = ModelInfo(sys.argv[2] * (number + 1), None, "X")
    cache.store("0" * 40, Inventory(model, BuiltWith("meta", "0.1"), ()))
    found = cache.load("0" * 40)
    assert found is not None and len(set(found.model.reference)) == 1, found
assert cache.problem is None, cache.problem
"""


def test_processes_may_write_one_entry_at_once(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), letter]) for letter in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == [f"{KEY}.inventory"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LORASCOPE_CACHE": "/mine"}, Path("/mine")),
        ({"LORASCOPE_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, None),
        ({"LORASCOPE_CACHE": "~no such user/x"}, None),
        ({"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/lorascope")),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache" / "lorascope"),
        ({}, Path.home() / ".cache" / "lorascope"),
    ],
)
def test_where_the_cache_is(environment: dict[str, str], expected: Path | None) -> None:
    assert cache_directory(environment) == expected


def test_a_key_changes_with_everything_an_inventory_depends_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = resolve("Qwen3-8B")
    assert source.config is not None
    other: list[ModelSource] = [
        replace(source, config={**source.config, "hidden_size": 64}),
        replace(source, config=None),
    ]
    keys = [cache_key(each, None, trust_remote_code=False) for each in (source, *other)]
    keys.append(cache_key(source, "SEQ_CLS", trust_remote_code=False))
    keys.append(cache_key(source, None, trust_remote_code=True))
    local = replace(source, directory=tmp_path)
    for content in (b"1", b"12"):
        (tmp_path / "modeling_own.py").write_bytes(content)
        keys.append(cache_key(local, None, trust_remote_code=True))
    forks = [replace(source, base_model=name) for name in ("x/y", "x/z")]
    keys += [cache_key(each, None, trust_remote_code=True) for each in forks]
    monkeypatch.setattr("lorascope.source.cache_key.installed_version", lambda name: "9.9")
    keys.append(cache_key(source, None, trust_remote_code=False))
    assert len(set(keys)) == len(keys)


def test_a_key_does_not_change_with_what_the_model_is_called() -> None:
    source = resolve("Qwen3-8B")
    other = replace(source, reference="else", revision="v1", base_model="x/y", notes=("note",))
    keys = {cache_key(each, None, trust_remote_code=False) for each in (source, other)}
    assert len(keys) == 1
    assert re.fullmatch("[0-9a-f]{24}-[0-9a-f]{24}", keys.pop())


def test_a_key_does_not_depend_on_the_order_of_fields() -> None:
    source = resolve("Qwen3-8B")
    assert source.config is not None
    turned = replace(source, config=dict(reversed(source.config.items())))
    assert cache_key(source, None, False) == cache_key(turned, None, False)


def test_versions_agree_with_importlib_metadata() -> None:
    from importlib.metadata import version

    for package in ("torch", "transformers", "peft", "huggingface_hub", "lorascope"):
        assert installed_version(package) == version(package)
    assert installed_version("no_such_package") is None
