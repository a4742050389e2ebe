import re
from dataclasses import replace
from typing import Any

import pytest
from differences import ADAPTER, FULLER, LLAMA, configured

import builders
from lorascope.core.roles import Role
from lorascope.matching.configured import Configured
from lorascope.matching.difference import difference
from lorascope.report.diff_text import diff_text, verdict
from lorascope.report.layout import UNLIMITED

MIXTURE = builders.completed(builders.mixture())


def text_of(a: Configured, b: Configured, width: int = UNLIMITED) -> str:
    return "\n".join(line.plain for line in diff_text(difference(a, b), width))


def section(text: str, title: str) -> list[str]:
    """The lines below a title, up to the next empty one."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title)) + 1
    return lines[start : lines.index("", start)]


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_the_whole_text() -> None:
    b = configured("b.yaml", target_modules=r".*\.(v|o)_proj", r=16, lora_dropout=0.1)
    assert (
        text_of(ADAPTER, b)
        == """\
  model  tiny (LlamaForCausalLM, 2.27 k parameters)
  A      a.json
         6 modules; 672 parameters, 29.6% of the model's 2,272
  B      b.yaml
         6 modules; 1,344 parameters, 59.2% of the model's 2,272
  B − A  +672 trained parameters

Only in A: 3 modules
role         modules                              count  r  alpha  scale  parameters
attention.q  model.layers.{0-2}.self_attn.q_proj      3  8     16      2         384
             total                                    3                          384

Only in B: 3 modules
role         modules                              count   r  alpha  scale  parameters
attention.o  model.layers.{0-2}.self_attn.o_proj      3  16     16      1         768
             total                                    3                           768

In both, otherwise in B: 3 modules
role         modules                              count       r  alpha  scale  parameters
attention.v  model.layers.{0-2}.self_attn.v_proj      3  8 → 16     16  2 → 1   288 → 576
             total                                    3                         288 → 576

Training
field         A    B
lora_dropout  0.0  0.1

Fields
field           A                     B
r               8                     16
target_modules  ["q_proj", "v_proj"]  .*\\.(v|o)_proj

They differ: 3 modules only in A; 3 modules only in B; 3 modules with other rank and scale; other \
lora_dropout."""
    )


def test_rows_add_up_to_both_sides() -> None:
    text = text_of(ADAPTER, FULLER)
    sums = {"A": 0, "B": 0}
    for side in sums:
        *rows, total = section(text, f"Only in {side}")[1:]
        counted = sum(int(cells(row)[-1].replace(",", "")) for row in rows)
        assert counted == int(cells(total)[-1].replace(",", ""))
        sums[side] += counted
    *rows, total = section(text, "In both")[1:]
    for row in rows:
        before, _, after = cells(row)[6].partition(" → ")
        sums["A"] += int(before)
        sums["B"] += int(after or before)
    assert sums["A"] == ADAPTER.match.trainable_params
    assert sums["B"] == sum(target.params for target in FULLER.match.targets)


def test_each_kind_of_difference_is_told() -> None:
    text = text_of(ADAPTER, FULLER)
    changed = section(text, "In both, otherwise in B: 3 modules")
    assert changed[0].endswith("besides")
    assert re.search(r"layers\.0\.\S+ +1 +8 → 4 +16 +2 → 4 .* nothing → DoRA$", changed[1])
    assert re.search(r"layers\.\{1-2\}\.\S+ +2 +8 +16 +2 .* nothing → DoRA$", changed[2])
    assert section(text, "Beside the adapters") == [
        "  saved whole  only in B: lm_head (256)",
        "  tokens       model.embed_tokens: rows 1, 2, 5 only in B",
    ]
    assert section(text, "Training")[1:] == ["lora_dropout  0.0  0.05"]
    fields = [line.split()[0] for line in section(text, "Fields")[1:]]
    assert fields == [
        "target_modules",
        "modules_to_save",
        "rank_pattern",
        "bias",
        "use_dora",
        "trainable_token_indices",
    ]
    assert text.endswith(
        "\nThey differ: 3 modules only in A; 3 modules only in B; 3 modules with other rank, scale"
        " and variant; other modules saved whole; other trained tokens; other lora_dropout."
    )


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({}, {}, "The same: 6 modules at the same ranks and scales; spelled alike."),
        (
            {},
            {"target_modules": r".*\.(q|v)_proj"},
            "The same: 6 modules at the same ranks and scales; only the spelling differs:"
            " target_modules (list of 2 / regular expression).",
        ),
        (
            {"r": 16, "lora_alpha": 8, "use_rslora": True},
            {"r": 16, "lora_alpha": 32},
            "The same: 6 modules at the same ranks and scales; only the spelling differs:"
            " lora_alpha (8 / 32), use_rslora (true / false).",
        ),
        (
            {"target_modules": "all-linear"},
            {"target_modules": "all-linear", "lora_dropout": 0.1},
            "The same: 21 modules at the same ranks and scales; the training differs:"
            " lora_dropout (0 / 0.1).",
        ),
        ({}, {"lora_alpha": 17}, "They differ: 6 modules with other scale."),
        (
            {},
            {"layers_to_transform": [0, 1]},
            "They differ: 2 modules only in A; 4 modules adapted alike.",
        ),
    ],
)
def test_the_verdict(a: dict[str, Any], b: dict[str, Any], expected: str) -> None:
    assert verdict(difference(configured(**a), configured(**b))) == expected


def test_the_verdict_stands_out_where_all_is_the_same() -> None:
    assert diff_text(difference(ADAPTER, ADAPTER), 80)[-1].spans[0].style == "bold green"
    assert diff_text(difference(ADAPTER, FULLER), 80)[-1].spans[0].style == "bold"


def test_the_verdict_names_few_fields() -> None:
    other = configured(
        target_modules=["self_attn.q_proj", "self_attn.v_proj"],
        exclude_modules=["lm_head"],
        layers_to_transform=[0, 1, 2],
        rank_pattern={"nothing": 4},
        alpha_pattern={"nothing": 4},
        bias="all",
    )
    assert verdict(difference(ADAPTER, other)).endswith(
        "only the spelling differs: target_modules (list of 2 / list of 2), exclude_modules"
        " (nothing / list of 1), layers_to_transform (nothing / list of 3), rank_pattern"
        " (nothing / 1 given), 2 more."
    )


def test_expert_parameters_are_counted_as_such() -> None:
    a = configured(inventory=MIXTURE)
    b = configured(inventory=MIXTURE, target_parameters=["experts.down_proj"])
    text = text_of(a, b)
    assert "Only in B: 2 expert parameters" in text
    assert "moe.experts.down  model.layers.{1-2}.mlp.experts.down_proj" in text


def test_biases() -> None:
    modules = [
        builders.linear(each.path, (8, 8), Role.ATTENTION_Q, bias=True)
        if each.path.endswith("q_proj")
        else each
        for each in LLAMA.modules
    ]
    inventory = builders.inventory_of(modules)
    text = text_of(configured(inventory=inventory), configured(inventory=inventory, bias="all"))
    assert section(text, "Beside the adapters") == ["  biases  none → 24 (all)"]
    assert text.endswith("They differ: other trained biases; 6 modules adapted alike.")


def test_two_models_are_both_named() -> None:
    other = builders.completed(builders.llama(reference="other"))
    lines = text_of(ADAPTER, configured("b.json", other)).splitlines()
    assert [line.strip() for line in lines[:6]] == [
        "A  a.json",
        "tiny (LlamaForCausalLM, 2.27 k parameters)",
        "6 modules; 672 parameters, 29.6% of the model's 2,272",
        "B  b.json",
        "other (LlamaForCausalLM, 2.27 k parameters)",
        "6 modules; 672 parameters, 29.6% of the model's 2,272",
    ]
    assert "- A is for tiny, B for other; their modules have the same" in lines[6]


def test_of_long_lists_only_what_the_other_has_not_is_shown() -> None:
    names = [f"model.layers.{i}.self_attn.{n}_proj" for i in range(3) for n in "qkvo"]
    a, b = configured(target_modules=names), configured(target_modules=names[1:-1])
    (row,) = section(text_of(a, b), "Fields")[1:]
    assert cells(row) == [
        "target_modules",
        "12 full names, 2 only here: model.layers.0.self_attn.q_proj,"
        " model.layers.2.self_attn.o_proj",
        "10 full names, 0 only here",
    ]


def test_close_numbers_are_told_apart() -> None:
    text = text_of(configured(lora_alpha=16), configured(lora_alpha=16.0001))
    assert "2.0 → 2.0000125" in text


def test_many_experts_are_a_few_lines() -> None:
    inventory = builders.completed(builders.wide(layers=6, experts=40))
    a = configured(inventory=inventory)
    b = configured(inventory=inventory, target_modules="all-linear", r=16)
    lines = text_of(a, b, 120).splitlines()
    assert any("model.layers.{0-5}.mlp.experts.{0-39}.gate_proj" in line for line in lines)
    assert len(lines) < 40


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_text_keeps_to_the_width(width: int) -> None:
    lines = diff_text(difference(ADAPTER, FULLER), width)
    assert max(line.width for line in lines) <= width


def test_a_hostile_name_reaches_no_terminal() -> None:
    other = replace(ADAPTER, origin="\x1b[2J.json")
    pattern = configured(rank_pattern={"\x1bx": 4})
    assert not set("\x1b\x07") & set(text_of(other, pattern))


def test_full_names_are_told_from_ends_of_names() -> None:
    names = [f"model.layers.{i}.self_attn.{n}_proj" for i in range(3) for n in "qv"]
    text = text_of(configured(target_modules=names), ADAPTER)
    assert text.endswith(" only the spelling differs: target_modules (6 full names / list of 2).")
    (row,) = section(text, "Spelling")[1:]
    assert cells(row)[1].startswith("6 full names, all only here: ")


def test_fewer_parameters_have_one_kind_of_minus() -> None:
    text = text_of(ADAPTER, configured("b.json", r=4))
    assert "  B − A  −336 trained parameters" in text
    assert "-336" not in text


def test_a_sum_that_fits_is_one_line_where_the_width_is_short() -> None:
    b = configured("b.json", r=4, lora_alpha=9)
    lines = text_of(ADAPTER, b, 42).splitlines()
    assert "    count 6" not in lines
    assert "total  count 6  parameters 672 → 336" in lines
