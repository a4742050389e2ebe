"""The script that reads an engine's source, on a package of a few files."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).parents[2] / "conformance"
sys.path.insert(0, str(CONFORMANCE))

import engine_facts  # noqa: E402
import engine_layers  # noqa: E402
import engine_source  # noqa: E402

FILES = {
    "engine/__init__.py": "",
    "engine/layers.py": "class LinearBase: pass\nclass Column(LinearBase): pass\n"
    "class Norm: pass\ndef FusedMoE(size): pass\n",
    "engine/base.py": """
from engine.layers import Column, Norm
PACKED = {"qkv": ["q", "k"]}
class Attention:
    def __init__(self, linear_cls=None, norm_cls=Norm):
        self.qkv = Column(3)
        self.o = linear_cls(3)
        self.out = (Column if True else Norm)(3)
        self.norm = norm_cls(3)
        self.made = self.make(3)
        self.size = self.count()
    def make(self, size):
        return Column(size)
    def count(self):
        return 3
class Base:
    packed = PACKED | {"gate_up": ["gate", "up"]}
    flag = False
    def __init__(self):
        self.layers = [Attention() for _ in range(3)]
""",
    "engine/model.py": """
from .base import Attention as Inner, Base
from .layers import FusedMoE, Column
if PLATFORM == "other":
    from .other import Mixed
else:
    from .base import Base as Mixed
class Experts:
    def __init__(self):
        self.experts = FusedMoE(3)
        self.parts = nn.Sequential(Column(1), Column(2))
class Model(Mixed):
    flag = True
    packed = {**Base.packed, "other": ["other"]}
    def __init__(self):
        self.attention = Inner()
        self.mlp = Experts()
        self.packed["late"] = ["a"]
""",
}


@pytest.fixture
def package(tmp_path: Path) -> engine_source.Package:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return engine_source.Package(tmp_path, "engine")


def model(package: engine_source.Package) -> engine_source.SourceClass:
    found = package.needed("engine.model").lookup("Model")
    assert isinstance(found, engine_source.SourceClass)
    return found


def test_what_a_class_inherits_and_states(package: engine_source.Package) -> None:
    cls = model(package)
    assert [each.name for each in cls.mro] == ["Model", "Base"]
    assert cls.value("flag") is True
    assert cls.value("absent", "otherwise") == "otherwise"
    assert cls.value("packed") == {"qkv": ["q", "k"], "gate_up": ["gate", "up"], "other": ["other"]}
    assert len(list(cls.sets_in_methods("packed"))) == 1


def test_what_only_a_run_would_show(package: engine_source.Package) -> None:
    with pytest.raises(engine_source.UnknownValueError):
        model(package).evaluate(ast.parse("compute(1)", mode="eval").body)


def test_layers_by_the_names_that_they_are_given(package: engine_source.Package) -> None:
    found = engine_layers.layers_of(
        model(package),
        lambda module: module.name != "engine.layers",
        lambda cls: cls.inherits("LinearBase"),
        frozenset({"FusedMoE"}),
    )
    assert found.linears == {"qkv", "o", "out", "made", "parts", engine_layers.NUMBERED}
    assert found.experts == {"experts"}
    assert found.around_experts == {"mlp"}


def test_the_order_of_inheritance_is_that_of_python(tmp_path: Path) -> None:
    text = "class A: x = 1\nclass B(A): pass\nclass C(A): x = 2\nclass D(B, C): pass\n"
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text(text)
    found = engine_source.Package(tmp_path, "engine").needed("engine").lookup("D")
    assert [each.name for each in found.mro] == ["D", "B", "C", "A"]
    assert found.value("x") == 2


def test_one_line_a_class() -> None:
    facts = {"version": "1", "classes": {"A": {"takes": ["q"]}, "B": {"lora": False}}}
    text = engine_facts.as_text(facts)
    assert json.loads(text) == facts
    assert ' "classes": {\n  "A": {"takes":["q"]},\n  "B": {"lora":false}\n }' in text


def test_an_archive_is_unpacked_without_anything_else(tmp_path: Path) -> None:
    inside = tmp_path / "engine-1" / "engine"
    inside.mkdir(parents=True)
    (inside / "__init__.py").write_text("")
    (inside / "kernel.cu").write_text("")
    archive = tmp_path / "engine-1.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(tmp_path / "engine-1", "engine-1")
    root = engine_facts._unpacked(archive, "engine")
    assert [path.name for path in (root / "engine").iterdir()] == ["__init__.py"]
    assert engine_facts._version(archive.name) == "1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["other"], "engines are vllm, sglang"),
        (["--version", "1"], "name it"),
        (["vllm", "--source", "."], "--source needs --version"),
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str], said: str) -> None:
    command = [sys.executable, CONFORMANCE / "engine_facts.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert said in done.stderr
