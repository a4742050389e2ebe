"""Configurations that nobody vouches for: checked in bounded time, and printed without harm."""

from __future__ import annotations

import json
import pickle
import resource
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import builders
from clock import within
from lorascope.api import CheckRequest, check_files, mend
from lorascope.api.bases import BaseModels, BaseName
from lorascope.api.checks import check_file, check_recipe, check_text
from lorascope.checking.checked import Checked, CheckedFile
from lorascope.core.errors import ModelReferenceError, RecipeError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Tool
from lorascope.formats.mapping import recipe_of_mapping
from lorascope.report import check_text as report
from lorascope.report.github_annotations import github_annotations
from lorascope.report.json_check import check_json
from lorascope.report.layout import UNLIMITED
from lorascope.report.sarif import sarif

MOST_S = 6.0
"""Seconds of processor time for a whole check of the model below, on an ordinary machine; nothing
odd takes 1 to 3."""

CATASTROPHIC = {
    "nested repeat": r"(a+)+$",
    "alternatives alike": r"(a|aa)+$",
    "counted": r"(.*a){25}0",
    "email": r"^(([a-z])+.)+[A-Z]([a-z])+$",
    "twice the same": r"(x+x+)+y",
    "nested and optional": r"((((((((a?)?a?)?a?)?a?)?a?)?a?)?a?)?a?)*Q",
    "huge counts": r"(a{1,1000}){1,1000}b",
    "back-reference": r"(a*)*\1+Q",
    "many wildcards": r".*.*.*.*.*.*.*.*Q",
}


@pytest.fixture(scope="module")
def wide() -> Inventory:
    """60,000 modules, some of whose names make each of the patterns above backtrack."""
    built = builders.wide()
    traps = [builders.linear(name * 40 + "0", (4, 4)) for name in "ax"]
    assert len(built.modules) > 60_000
    return replace(built, modules=(*built.modules, *traps))


@pytest.fixture(scope="module")
def large() -> Inventory:
    """20,000 modules, for configurations that are large themselves."""
    built = builders.wide(layers=20)
    assert len(built.modules) > 20_000
    return replace(built, modules=(*built.modules, builders.linear("a" * 40, (4, 4))))


LLAMA = builders.completed(builders.llama())
LISTED = {"target_modules": ["q_proj", "v_proj"]}


def checked(config: Mapping[str, Any], inventory: Inventory) -> Checked:
    """Check, lay out as text, and see that the time is bounded."""
    recipe, request = recipe_of_mapping(config, "test"), CheckRequest(model=inventory)
    with within(MOST_S):
        found = check_recipe(recipe, Path(), request)
        report.check_text([CheckedFile("test", (found,))], 80)
    return found


def codes(found: Checked) -> list[str]:
    return [finding.code for finding in found.findings]


@pytest.mark.parametrize("pattern", CATASTROPHIC.values(), ids=CATASTROPHIC)
def test_a_catastrophic_pattern_is_told(wide: Inventory, pattern: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    found = checked({"target_modules": pattern}, wide)
    assert "LT038" in codes(found)
    message = found.findings[0].message
    assert "takes longer than 1 s on the" in message or "could not be matched" in message
    # One second for all rules together: none tries again what took too long.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 2


@pytest.mark.parametrize(
    "config",
    [
        {"exclude_modules": r"(a+)+$"},
        {"modules_to_save": [r"(a+)+b"]},
        {"rank_pattern": {r"(a+)+b": 4}, "target_modules": "all-linear"},
        {"alpha_pattern": {r"(a|aa)+b": 4}, "target_modules": "all-linear"},
        {"layers_to_transform": [0], "layers_pattern": [r"(a+)+b"], "target_modules": ["a0", "x"]},
        {"rank_pattern": {rf"(a|aa)+b{n}": 4 for n in range(1000)}, "target_modules": "all-linear"},
    ],
    ids=lambda config: next(iter(config)),
)
def test_in_every_field(wide: Inventory, config: dict[str, Any]) -> None:
    names = [module for module in wide.modules if not module.path.startswith("model.layers.1")]
    smaller = replace(wide, modules=tuple(names))
    found = checked(LISTED | config, smaller)
    assert "LT038" in codes(found) or found.match is not None


@pytest.mark.parametrize("more", [{}, {"modules_to_save": ["embed_tokens"], "bias": "all"}])
def test_a_whole_wide_model_is_a_matter_of_seconds(wide: Inventory, more: dict[str, Any]) -> None:
    found = checked({"target_modules": "all-linear"} | more, wide)
    assert found.match is not None
    assert found.match.trainable_params > 44_000 * 8


def test_in_many_entries_of_a_list(large: Inventory) -> None:
    found = checked({"target_modules": [rf"(a+)+b{n}" for n in range(2000)]}, large)
    assert codes(found) == ["LT001"]


def test_in_the_commands_of_one_script(wide: Inventory) -> None:
    command = "swift sft --model x --lora_rank 8 --target_regex '(a+)+b{}'\n"
    small = replace(wide, modules=wide.modules[-2000:])
    text = "".join(command.format(n) for n in range(30))
    with within(MOST_S):
        file = check_text(text, "x.sh", Path("x.sh"), CheckRequest(model=small))
    assert [codes(each) for each in file.checks] == [["LT038"]] * 30
    file = check_text(text * 2, "x.sh", Path("x.sh"), CheckRequest(model=small))
    assert isinstance(file.error, RecipeError)
    assert "holds 60 training commands; expected at most 30" in file.error.what


NAMES = [f"layers.{n}.q_proj" for n in range(10_000)]
MANY = {
    "targets": {"target_modules": NAMES},
    "targets written as patterns": {"target_modules": [f".*{name}" for name in NAMES]},
    "parameters": LISTED | {"target_parameters": NAMES},
    "exclusions": LISTED | {"exclude_modules": NAMES},
    "containers": LISTED | {"exclude_modules": [f"model.layers.{n}" for n in range(10_000)]},
    "saved": LISTED | {"modules_to_save": [f"part{n}" for n in range(10_000)]},
    "ranks": LISTED | {"rank_pattern": dict.fromkeys(NAMES[:5000], 4)},
    "ranks of patterns": LISTED | {"rank_pattern": {f".*{n}": 4 for n in NAMES[:5000]}},
    "layers": LISTED | {"layers_to_transform": list(range(10_000))},
    "tokens": LISTED | {"trainable_token_indices": list(range(10_000))},
    "unknown keys": LISTED | {f"lora_k{n}": 1 for n in range(10_000)},
    "branches": {"target_modules": f"({'|'.join(NAMES)})"},
    "a long text": {"target_modules": "a." * 1_000_000},
}


@pytest.mark.parametrize("config", MANY.values(), ids=MANY)
def test_many_entries(large: Inventory, config: dict[str, Any]) -> None:
    assert checked(config, large).problem is None


def test_a_flood_of_findings_is_cut(large: Inventory) -> None:
    found = checked({"target_modules": ["q_proj", *(f"q_pr{n}j" for n in range(10_000))]}, large)
    assert codes(found).count("LT002") == 200
    assert found.notes == ("LT002 is told 200 times; what it finds beyond is left out.",)


def test_a_long_list_is_not_written_out_in_each_finding() -> None:
    words = " ".join(f"'q_proj{n},'" for n in range(2_000))
    command = f"trl sft --model_name_or_path x --use_peft --lora_target_modules q_proj {words}\n"
    file = read(command, "train.sh")
    hints = [each.hint for each in file.findings if each.code == "LT033"]
    assert len(hints) == 200
    assert hints[0].endswith("q_proj58 … and 1941 more")


def read(text: str, name: str = "train.yaml") -> CheckedFile:
    with within(2):
        file = check_text(text, name, Path(name), CheckRequest(model=LLAMA))
    assert_harmless(file)
    return file


def error_of(file: CheckedFile) -> str:
    assert file.error is not None
    return file.error.what


def test_billion_laughs() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join([*lines, "base_model: x", "adapter: lora", "lora_target_modules: *a11"])
    assert "more than 20,000 values, with what aliases stand for" in error_of(read(text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &a [*a]", "stands for what it is inside of"),
        ("a: !!python/object/apply:os.system [reboot]", "the tag"),
        ("a: " + "[" * 5000, "more than 100 deep"),
        ("a:\n" + "".join(f"{' ' * n}- \n" for n in range(400)), "YAML"),
        ("&a " * 50_000, "YAML"),
        ("{" * 200_000, "YAML"),
        ("a: " + "9" * 5000, "is of no tool"),
    ],
)
def test_yaml_that_is_meant_to_harm(text: str, told: str) -> None:
    assert told in error_of(read(text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": ' + "[" * 100_000, "more than 100 deep"),
        ('{"r": ' + "9" * 5_000 + "}", "a number of 5,000 digits"),
        ("[" + "1," * 200_000 + "1]", "more than 50,000 values"),
        ('{"r": 1e999, "peft_type": "LORA"}', "expected a whole number"),
    ],
)
def test_json_that_is_meant_to_harm(text: str, told: str) -> None:
    assert told in error_of(read(text, "adapter_config.json"))


@pytest.mark.parametrize("name", ["adapter_config.json", "train.yaml", "train.sh"])
def test_a_large_file_is_not_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(60_000_000)
    with within(1):
        error = check_file(path, CheckRequest(model=LLAMA)).error
    assert error is not None
    assert "60,000,000" in error.what or "10,000,000" in error.what


ADAPTER = {"base_model_name_or_path": "x", "peft_type": "LORA", "target_modules": ["q_proj"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has 0 bytes"),
        ((2**64 - 1).to_bytes(8, "little"), "expected at most 50,000,000"),
        ((100).to_bytes(8, "little") + b"{}", "but the file has 10"),
        ((2).to_bytes(8, "little") + b"[]", "JSON object"),
        ((20_000).to_bytes(8, "little") + b"[" * 20_000, "header"),
    ],
)
def test_a_header_that_lies(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(ADAPTER))
    (tmp_path / "adapter_model.safetensors").write_bytes(content)
    [file] = check_files([tmp_path], CheckRequest(model=LLAMA))
    assert_harmless(file)
    assert told in error_of(file)


class Harm:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt", "adapter_model.pth"])
def test_a_pickle_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    pickled = tmp_path / name
    pickled.write_bytes(pickle.dumps(Harm()))
    request = CheckRequest(model=LLAMA)
    [file] = check_files([pickled], request)
    assert "is a pickle, which can run any code when it is opened" in error_of(file)
    (tmp_path / "adapter_config.json").write_text(json.dumps(ADAPTER))
    [file] = check_files([tmp_path], request)
    [note] = file.checks[0].notes
    assert f"{name} is a pickle" in note
    assert (
        note
        in " ".join(line.plain.strip() for line in report.check_text([file], 80)).replace("- ", "")
        or name in note
    )


ESCAPES = "q_proj\x1b[31m\x1b]0;x\x07\x9b1m\r\x00\u202e\u2028\x7f"

BASES: Mapping[str, tuple[Tool, dict[str, Any]]] = {
    "adapter_config.json": (
        Tool.PEFT,
        ADAPTER
        | {
            "r": 8,
            "lora_alpha": 8,
            "bias": "none",
            "task_type": "CAUSAL_LM",
            "exclude_modules": ["x"],
            "modules_to_save": ["x"],
            "target_parameters": ["x"],
            "rank_pattern": {"x": 1},
            "alpha_pattern": {"x": 1},
            "layers_to_transform": [0],
            "layers_pattern": ["layers"],
            "init_lora_weights": True,
            "trainable_token_indices": {"embed_tokens": [1]},
            "use_dora": False,
            "revision": "main",
            "auto_mapping": None,
        },
    ),
    "axolotl.yaml": (
        Tool.AXOLOTL,
        {
            "base_model": "x",
            "adapter": "lora",
            "lora_r": 8,
            "lora_alpha": 16,
            "lora_target_modules": ["q_proj"],
            "lora_target_linear": False,
            "lora_modules_to_save": ["x"],
            "lora_rank_pattern": {"x": 1},
            "peft_layers_to_transform": [0],
            "peft_layers_pattern": ["layers"],
            "peft_init_lora_weights": True,
        },
    ),
    "llamafactory.yaml": (
        Tool.LLAMAFACTORY,
        {
            "model_name_or_path": "x",
            "finetuning_type": "lora",
            "stage": "sft",
            "template": "x",
            "lora_target": "q_proj,v_proj",
            "additional_target": "lm_head",
            "lora_rank": 8,
            "lora_alpha": 16,
        },
    ),
    "swift.yaml": (
        Tool.MS_SWIFT,
        {
            "model": "x",
            "tuner_type": "lora",
            "target_modules": ["q_proj"],
            "target_regex": None,
            "lora_rank": 8,
            "modules_to_save": ["x"],
            "task_type": "causal_lm",
            "init_weights": "true",
        },
    ),
    "trl.yaml": (
        Tool.TRL,
        {
            "model_name_or_path": "x",
            "use_peft": True,
            "lora_r": 8,
            "lora_target_modules": ["q_proj", "v_proj"],
            "lora_modules_to_save": ["x"],
            "lora_task_type": "CAUSAL_LM",
        },
    ),
    "torchtune.yaml": (
        Tool.TORCHTUNE,
        {
            "model": {
                "_component_": "torchtune.models.llama3_1.lora_llama3_1_8b",
                "lora_attn_modules": ["q_proj"],
                "lora_rank": 8,
                "lora_alpha": 16,
            },
            "checkpointer": {"checkpoint_dir": "x"},
        },
    ),
    "mlx.yaml": (
        Tool.MLX_LM,
        {
            "model": "x",
            "fine_tune_type": "lora",
            "num_layers": 1,
            "lora_parameters": {"keys": ["self_attn.q_proj"], "rank": 8, "scale": 2.0},
        },
    ),
}
COMMANDS = {
    "swift.sh": "swift sft --model x --tuner_type lora --target_modules q_proj --lora_rank 8",
    "trl.sh": "trl sft --model_name_or_path x --use_peft --lora_r 8 --lora_target_modules q_proj",
}


class NoModels(BaseModels):
    """Knows no base model."""

    def named(self, base: BaseName) -> Inventory:
        raise ModelReferenceError(f"There is no {base.name}.")


def escaped(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the tree with escapes in the place of each value, entry and key."""
    for key, value in tree.items():
        yield {**tree, key: ESCAPES}
        yield {**tree, key + ESCAPES: value}
        yield {**tree, key: [ESCAPES, "v_proj"]}
        yield {**tree, key: {ESCAPES: 1}}
        if isinstance(value, dict):
            yield from ({**tree, key: inner} for inner in escaped(value))
    yield {**tree, f"lora_{ESCAPES}": ESCAPES}


@pytest.mark.parametrize("name", BASES)
def test_escapes_in_every_field(tmp_path: Path, name: str) -> None:
    tool, base = BASES[name]
    read_at_all = 0
    for tree in escaped(base):
        dumped = json.dumps(tree) if name.endswith("json") else yaml.safe_dump(tree)
        for model in (LLAMA, None):
            request = CheckRequest(model=model, tool=tool, bases=NoModels())
            file = check_text(dumped, name, tmp_path / name, request)
            assert_harmless(file)
            read_at_all += bool(file.checks)
            mended = mend(file, tmp_path / name, request)
            if mended.is_changed:
                assert_harmless(mended.after)
    assert read_at_all > 4


@pytest.mark.parametrize("name", COMMANDS)
def test_escapes_in_every_word(tmp_path: Path, name: str) -> None:
    words = COMMANDS[name].split()
    for at in range(1, len(words)):
        for written in (shlex.quote(ESCAPES), "$'\\e[31m\\x07'", words[at] + "\x1b[31m"):
            text = " ".join([*words[:at], written, *words[at + 1 :]])
            for model in (LLAMA, None):
                request = CheckRequest(model=model, bases=NoModels())
                assert_harmless(check_text(text, name, tmp_path / name, request))


def test_escapes_in_a_file_s_name_and_in_a_model_s(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\nb.yaml"
    path.write_text(yaml.safe_dump(BASES["axolotl.yaml"][1]))
    llama = LLAMA
    odd = builders.linear(f"model.{ESCAPES}", (4, 4))
    model = replace(llama.model, reference=ESCAPES, cls=ESCAPES, notes=(ESCAPES,))
    request = CheckRequest(model=replace(llama, modules=(*llama.modules, odd), model=model))
    [file] = check_files([path], request)
    assert file.checks
    assert_harmless(file)
    text = path.read_text().replace("q_proj", "nothing")
    assert_harmless(check_text(text, str(path), path, request))


def assert_harmless(file: CheckedFile) -> None:
    """Print in every form; nothing in it makes a terminal do anything."""
    lines = [
        line.plain for width in (20, 80, UNLIMITED) for line in report.check_text([file], width)
    ]
    for line in (*lines, *github_annotations([file])):
        assert line.isprintable(), line
    for value in (check_json([file]), sarif([file])):
        text = json.dumps(value)
        assert text.isascii()
        assert text.isprintable()
        json.loads(text, parse_constant=pytest.fail)
