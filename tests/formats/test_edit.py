from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Edit
from lorascope.formats import read_recipes
from lorascope.formats.edit import apply_edits

AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 8\n"
FACTORY = "model_name_or_path: m\nfinetuning_type: lora\n"
TARGETS = "target_modules"


def edited(text: str, *edits: Edit, origin: str | None = None) -> str:
    name = origin or ("adapter_config.json" if text.lstrip().startswith("{") else "train.yaml")
    return apply_edits(text, read_recipes(text, name)[0], edits)


def entry(old: str, *new: str, field: str = TARGETS) -> Edit:
    return Edit(field, old, new)


SITUATIONS = {
    "JSON, one line": (
        '{"r": 8, "target_modules": ["q_proj", "v_proj"], "bias": "none"}',
        [entry("q_proj", "qkv_proj")],
        '{"r": 8, "target_modules": ["qkv_proj", "v_proj"], "bias": "none"}',
    ),
    "JSON, one for two": (
        '{\n  "target_modules": [\n    "qkv",\n    "o_proj"\n  ],\n  "r": 8\n}\n',
        [entry("qkv", "q_proj", "v_proj")],
        '{\n  "target_modules": [\n    "q_proj",\n    "v_proj",\n    "o_proj"\n  ],\n  "r": 8\n}\n',
    ),
    "JSON, the last goes": (
        '{\n  "target_modules": [\n    "q_proj",\n    "v_proj"\n  ]\n}',
        [entry("v_proj")],
        '{\n  "target_modules": [\n    "q_proj"\n  ]\n}',
    ),
    "JSON, the first goes": (
        '{\n  "target_modules": [\n    "q_proj",\n    "v_proj"\n  ]\n}',
        [entry("q_proj")],
        '{\n  "target_modules": [\n    "v_proj"\n  ]\n}',
    ),
    "JSON, all go": (
        '{"target_modules": [\n  "q_proj",\n  "v_proj"\n]}',
        [entry("q_proj"), entry("v_proj")],
        '{"target_modules": []}',
    ),
    "JSON, all become one": (
        '{"target_modules": ["q_proj", "k_proj", "v_proj"]}',
        [entry("q_proj", "qkv_proj"), entry("k_proj", "qkv_proj"), entry("v_proj", "qkv_proj")],
        '{"target_modules": ["qkv_proj"]}',
    ),
    "JSON, what stands there already": (
        '{"target_modules": ["q_proj", "qkv_proj"]}',
        [entry("q_proj", "qkv_proj")],
        '{"target_modules": ["qkv_proj"]}',
    ),
    "JSON, text becomes a list": (
        '{"target_modules": "q_proj"}',
        [Edit(TARGETS, None, ("q_proj",))],
        '{"target_modules": ["q_proj"]}',
    ),
    "JSON, a list becomes text": (
        '{"target_modules": [ "all-linear" ]}',
        [Edit(TARGETS, None, "all-linear")],
        '{"target_modules": "all-linear"}',
    ),
    "JSON, a whole list": (
        '{"target_modules": [\n "a",\n "b",\n "c"\n]}',
        [Edit(TARGETS, None, ("z", "a", "c", "d"))],
        '{"target_modules": [\n "z",\n "a",\n "c",\n "d"\n]}',
    ),
    "JSON, numbers": (
        '{"r": 8, "lora_dropout": 0.1, "layers_to_transform": [1, 40], "target_modules": []}',
        [Edit("lora_dropout", None, 0.0), Edit("layers_to_transform", "40", ())],
        '{"r": 8, "lora_dropout": 0.0, "layers_to_transform": [1], "target_modules": []}',
    ),
    "JSON, a pattern": (
        '{"target_modules": ["a"], "rank_pattern": {"q_prj": 4, "x": 8}}',
        [Edit("rank_pattern", "q_prj", ("q_proj",)), Edit("rank_pattern", "x", ())],
        '{"target_modules": ["a"], "rank_pattern": {"q_proj": 4}}',
    ),
    "YAML, lines": (
        AXOLOTL + "lora_target_modules:\n  - q_proj  # query\n  - v_proj\n# end\n",
        [entry("q_proj", "qkv_proj")],
        AXOLOTL + "lora_target_modules:\n  - qkv_proj  # query\n  - v_proj\n# end\n",
    ),
    "YAML, one for two": (
        AXOLOTL + "lora_target_modules:\n- 'qkv'  # all three\n- v_proj",
        [entry("qkv", "q_proj", "k_proj"), entry("v_proj", "o_proj", "up_proj")],
        AXOLOTL + "lora_target_modules:\n- 'q_proj'  # all three\n- 'k_proj'\n- o_proj\n- up_proj",
    ),
    "YAML, one goes": (
        AXOLOTL + "lora_target_modules:\n  # first\n  - q_proj # a\n  - v_proj # b\nseed: 1\n",
        [entry("v_proj")],
        AXOLOTL + "lora_target_modules:\n  # first\n  - q_proj # a\nseed: 1\n",
    ),
    "YAML, all go": (
        AXOLOTL + "lora_target_modules:  # these\n  # first\n  - q_proj # a\nseed: 1\n",
        [entry("q_proj")],
        AXOLOTL + "lora_target_modules: []  # these\n  # first\nseed: 1\n",
    ),
    "YAML, lines become text": (
        AXOLOTL + "lora_target_modules:\n  - .*q_proj\nseed: 1\n",
        [Edit(TARGETS, None, r"model\..*q_proj")],
        AXOLOTL + "lora_target_modules: 'model\\..*q_proj'\nseed: 1\n",
    ),
    "YAML, text becomes a list": (
        AXOLOTL + 'lora_target_modules: "q_proj"  # one\n',
        [Edit(TARGETS, None, ("q_proj", "v_proj"))],
        AXOLOTL + 'lora_target_modules: ["q_proj", "v_proj"]  # one\n',
    ),
    "YAML, brackets": (
        AXOLOTL + "lora_target_modules: [q_proj, 'v_proj', o]\n",
        [entry("v_proj", "a", "b"), entry("o")],
        AXOLOTL + "lora_target_modules: [q_proj, 'a', 'b']\n",
    ),
    "YAML, brackets on lines with comments": (
        AXOLOTL + "lora_target_modules: [\n  q_proj,  # query\n  v_proj,  # value\n]\n",
        [entry("v_proj")],
        AXOLOTL + "lora_target_modules: [\n  q_proj,  # query\n]\n",
    ),
    "YAML, Windows line ends": (
        (AXOLOTL + "lora_target_modules:\n  - a # x\n  - b\n").replace("\n", "\r\n"),
        [entry("a", "c", "d"), entry("b")],
        (AXOLOTL + "lora_target_modules:\n  - c # x\n  - d\n").replace("\n", "\r\n"),
    ),
    "YAML, a pattern on lines": (
        AXOLOTL + "lora_rank_pattern:\n  q_prj: 4  # four\n  x: 8\n",
        [Edit("rank_pattern", "q_prj", ("q_proj",)), Edit("rank_pattern", "x", ())],
        AXOLOTL + "lora_rank_pattern:\n  q_proj: 4  # four\n",
    ),
    "YAML, words that need quotes": (
        AXOLOTL + "lora_target_modules:\n  - a\n",
        [entry("a", "null", "7", "x: y", "#z", "*w")],
        AXOLOTL + "lora_target_modules:\n  - 'null'\n  - '7'\n  - 'x: y'\n  - '#z'\n  - '*w'\n",
    ),
    "YAML, a small number": (
        AXOLOTL + "lora_dropout: 0.1 # some\n",
        [Edit("lora_dropout", None, 1e-5)],
        AXOLOTL + "lora_dropout: 1.0e-05 # some\n",
    ),
    "YAML, nothing there": (
        AXOLOTL + "lora_target_modules:\nseed: 1\n",
        [Edit(TARGETS, None, ("a",))],
        AXOLOTL + "lora_target_modules: [a]\nseed: 1\n",
    ),
    "commas": (
        FACTORY + "lora_target: q_proj,v_proj # two\nseed: 1\n",
        [entry("v_proj", "k_proj", "o_proj")],
        FACTORY + "lora_target: q_proj,k_proj,o_proj # two\nseed: 1\n",
    ),
    "commas and blanks": (
        FACTORY + 'lora_target: "q_proj, v_proj, o_proj"\n',
        [entry("q_proj")],
        FACTORY + 'lora_target: "v_proj, o_proj"\n',
    ),
    "commas, all go": (
        FACTORY + "lora_target: q_proj\n",
        [entry("q_proj")],
        FACTORY + "lora_target: []\n",
    ),
    "commas, another word": (
        FACTORY + "lora_target: q_proj,v_proj\n",
        [Edit(TARGETS, None, "all")],
        FACTORY + "lora_target: all\n",
    ),
    "commas, out of all": (
        FACTORY + "lora_target: all\n",
        [Edit(TARGETS, None, ("q_proj", "v_proj"))],
        FACTORY + "lora_target: q_proj,v_proj\n",
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_only_what_is_asked_changes(situation: str) -> None:
    text, edits, expected = SITUATIONS[situation]
    assert edited(text, *edits) == expected


def test_no_edit_changes_nothing() -> None:
    assert edited('{"target_modules" :["a"]}') == '{"target_modules" :["a"]}'


REFUSED = {
    "an alias": (
        AXOLOTL + "x: &x [a, b]\nlora_target_modules: *x\n",
        entry("a", "c"),
        "line 4: lora_target_modules could not be fixed automatically: it repeats what stands "
        "elsewhere in the file. Write ['c'] there by hand.",
    ),
    "an anchor that is used elsewhere": (
        AXOLOTL + "lora_target_modules: &x [a, b]\nother: *x\n",
        entry("a", "c"),
        "could not be fixed automatically: the file would state something else afterwards.",
    ),
    "lists on one line": (
        AXOLOTL + "lora_target_modules: [a, # first\n  b, c]\n",
        entry("b"),
        "could not be fixed automatically: a comment stands inside its list.",
    ),
    "a field that is not there": (
        AXOLOTL,
        entry("a", "b"),
        "train.yaml does not state lora_target_modules; expected it to be there to be changed. "
        "Add it by hand.",
    ),
    "an entry that is not there": (
        AXOLOTL + "lora_target_modules: [a]\n",
        entry("b", "c"),
        "could not be fixed automatically: it has no entry 'b'.",
    ),
    "an entry of an empty list": (
        AXOLOTL + "lora_target_modules: []\n",
        entry("b", "c"),
        "it has no entry 'b'",
    ),
    "a type that the tool refuses": (
        AXOLOTL + "lora_target_modules: [a]\n",
        Edit("r", None, "many"),
        "could not be fixed automatically: the file could not be read afterwards.",
    ),
    "a comma inside a name": (
        FACTORY + "lora_target: a,b\n",
        entry("a", "x,y"),
        "a name with a comma or blank does not fit between commas",
    ),
}


@pytest.mark.parametrize("situation", REFUSED)
def test_what_cannot_be_fixed_says_why(situation: str) -> None:
    text, edit, message = REFUSED[situation]
    with pytest.raises(RecipeError) as error:
        edited(text, edit)
    assert message in str(error.value)


def test_contradicting_edits_are_refused() -> None:
    text = '{"target_modules": ["a"]}'
    with pytest.raises(RecipeError, match="contradict"):
        edited(text, entry("a", "b"), Edit(TARGETS, None, ("c",)))


def test_a_recipe_of_another_text_is_refused() -> None:
    recipe = read_recipes('{"target_modules": ["a"]}', "adapter_config.json")[0]
    with pytest.raises(RecipeError, match="does not state target_modules"):
        apply_edits('{ "target_modules":   ["a", "b"]}', recipe, [entry("a", "b")])


WORDS = st.sampled_from(
    ["q_proj", "v_proj", "o_proj", "up_proj", "w1", "a.b", ".*x", "null", "1", "x: y", "it's", "é"]
)
LISTS = st.lists(WORDS, min_size=1, max_size=6)


def _json_line(words: list[str]) -> str:
    return json.dumps({"r": 8, TARGETS: words, "bias": "none"}, ensure_ascii=False)


def _json_lines(words: list[str]) -> str:
    return json.dumps({"r": 8, TARGETS: words, "bias": "none"}, indent=2) + "\n"


def _yaml_lines(words: list[str]) -> str:
    rows = "".join(f"  - {json.dumps(word)}  # {index}\n" for index, word in enumerate(words))
    return f"{AXOLOTL}lora_target_modules:\n{rows}# after\nseed: 1\n"


def _yaml_brackets(words: list[str]) -> str:
    return f"{AXOLOTL}lora_target_modules: {json.dumps(words)} # after\nseed: 1\n"


def _yaml_bracket_lines(words: list[str]) -> str:
    rows = "".join(f"    {json.dumps(word)},  # {index}\n" for index, word in enumerate(words))
    return f"{AXOLOTL}lora_target_modules: [\n{rows}  ]\nseed: 1\n"


def _yaml_windows(words: list[str]) -> str:
    return _yaml_lines(words).replace("\n", "\r\n")


def _commas(words: list[str]) -> str:
    joined = ", ".join(words).replace("'", "''")
    return f"{FACTORY}lora_target: '{joined}' # after\nseed: 1\n"


STYLES = st.sampled_from(
    [
        _json_line,
        _json_lines,
        _yaml_lines,
        _yaml_brackets,
        _yaml_bracket_lines,
        _yaml_windows,
        _commas,
    ]
)


@given(style=STYLES, words=LISTS, data=st.data())
def test_edits_of_random_lists(style, words: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(words), unique=True, max_size=3))
    edits = [Edit(TARGETS, each, tuple(data.draw(st.lists(WORDS, max_size=3)))) for each in chosen]
    text = style(words)
    name = "adapter_config.json" if text.startswith("{") else "train.yaml"
    recipe = read_recipes(text, name)[0]
    result = apply_edits(text, recipe, edits)
    _states_as_meant(read_recipes(result, name)[0].stated.get(TARGETS, ()), words, edits)
    _other_lines_stay(text, result)


def _states_as_meant(got: tuple[str, ...], words: list[str], edits: list[Edit]) -> None:
    """Entries without an edit keep their number and order; each new one stands there once."""
    new = {edit.entry: edit.value for edit in edits}
    kept = [word for word in words if word not in new]
    assert [word for word in got if word in kept] == kept
    added = {value for word in new for value in new[word]} - set(kept)
    assert sorted(word for word in got if word not in kept) == sorted(added)


def _other_lines_stay(before: str, after: str) -> None:
    def others(text: str) -> list[str]:
        rows = text.splitlines(keepends=True)
        return [row for row in rows if row.startswith(("base", "adapter", "lora_r:", "seed", "#"))]

    assert others(before) == others(after)
    assert before.count("\r\n") == 0 or after.count("\n") == after.count("\r\n")


@given(style=STYLES, words=LISTS, new=st.lists(WORDS, max_size=6))
def test_whole_lists(style, words: list[str], new: list[str]) -> None:
    text = style(words)
    name = "adapter_config.json" if text.startswith("{") else "train.yaml"
    recipe = read_recipes(text, name)[0]
    result = apply_edits(text, recipe, [Edit(TARGETS, None, tuple(new))])
    assert list(read_recipes(result, name)[0].stated[TARGETS]) == new
    _other_lines_stay(text, result)


@given(style=STYLES, words=LISTS)
def test_text_in_place_of_a_list(style, words: list[str]) -> None:
    text = style(words)
    name = "adapter_config.json" if text.startswith("{") else "train.yaml"
    recipe = read_recipes(text, name)[0]
    result = apply_edits(text, recipe, [Edit(TARGETS, None, r"model\..*\.(q|v)_proj")])
    stated = read_recipes(result, name)[0].stated[TARGETS]
    assert stated in (r"model\..*\.(q|v)_proj", (r"model\..*\.(q|v)_proj",))
    _other_lines_stay(text, result)
