import ast
import re

import pytest
from plans import plan_of

import builders
from lorascope.core.finding import Finding
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.core.roles import Role, Tower
from lorascope.report.compare_text import compare_text
from lorascope.report.layout import UNLIMITED
from lorascope.report.plan_text import plan_text
from lorascope.report.snippet import snippet

LLAMA = builders.llama()
QV = {"attention.q": 8, "attention.v": 8}


def text_of(plan: Plan, inventory: Inventory = LLAMA, width: int = UNLIMITED) -> str:
    return "\n".join(line.plain for line in plan_text(plan, inventory, width))


def rows_of(text: str) -> list[list[str]]:
    table = text[text.index("Plan:") : text.index("  trainable")].splitlines()[2:]
    return [re.split(r"\s{2,}", line.strip()) for line in table if line.strip()]


def test_targets_are_folded_with_rank_alpha_and_scale() -> None:
    rows = rows_of(text_of(plan_of(LLAMA, QV)))
    assert rows[0] == [
        "attention.q",
        "model.layers.{0-2}.self_attn.q_proj",
        "3",
        "8",
        "16",
        "2",
        "384",
    ]
    assert rows[1][0] == "attention.v"


def test_printed_rows_add_up_to_the_printed_total() -> None:
    *rows, total = rows_of(text_of(plan_of(LLAMA, {"attention.q": 8, "ffn.gate": 4})))
    assert sum(int(row[2]) for row in rows) == int(total[1]) == 6
    printed = [int(row[-1].replace(",", "")) for row in (*rows, total)]
    assert sum(printed[:-1]) == printed[-1] == 8 * 48 + 4 * 72


def test_different_ranks_stay_apart() -> None:
    plan = plan_of(LLAMA, {"attention.q": 8, "attention.v": 4})
    assert [row[3] for row in rows_of(text_of(plan))[:-1]] == ["8", "4"]


def test_the_scale_of_rslora_divides_by_the_root() -> None:
    plan = plan_of(LLAMA, {"attention.q": 16})
    config = {**plan.adapter_config, "use_rslora": True}
    text = text_of(plan_of(LLAMA, {"attention.q": 16}, adapter_config=config))
    assert rows_of(text)[0][3:6] == ["16", "32", "8"]
    assert '"use_rslora": true' in text


def test_sums_say_what_is_and_what_is_not_adapted() -> None:
    text = text_of(plan_of(LLAMA, QV))
    assert "672 parameters, 29.6% of the model's 2,272" in text
    assert "12.7% of the model's weights" in text
    assert (
        "feed-forward 50.7%, attention 12.7%, embedding 11.3%, head 11.3%,"
        " norms and others 1.4%" in text
    )
    assert "13.0 MiB (13,648,688 bytes)" in text


def test_what_is_trained_beside_the_targets_is_told() -> None:
    plan = plan_of(LLAMA, QV, trainable_params=672 + 16, saved_modules=("score",))
    text = text_of(plan)
    assert "16 of them in biases and modules trained whole" in text
    assert re.search(r"trained whole +score", text)


def test_towers_left_out_are_named_among_what_is_not_adapted() -> None:
    inventory = builders.multimodal()
    text = text_of(plan_of(inventory, {"ffn.up": 8}), inventory)
    assert "vision tower" in text


def test_a_shared_embedding_outside_the_towers_counts_as_an_embedding() -> None:
    inventory = builders.llama(main_towers=(Tower.ENCODER, Tower.DECODER))
    text = text_of(plan_of(inventory, {"ffn.up": 8}), inventory)
    assert "embedding 11.3%" in text
    assert "text tower" not in text


def test_configuration_lines_are_those_of_the_file() -> None:
    text = text_of(plan_of(LLAMA, QV))
    block = text[text.index("adapter_config.json") : text.index("Why")]
    assert [line.strip() for line in block.splitlines()[1:] if line] == [
        '"r": 8',
        '"lora_alpha": 16',
        '"lora_dropout": 0.05',
        '"target_modules": ["q_proj", "v_proj"]',
        '"task_type": "CAUSAL_LM"',
    ]


def test_advice_shows_its_ground_and_source() -> None:
    text = text_of(plan_of(LLAMA, QV))
    assert "- The classic. [a paper's own words; LoRA, table 5]" in text
    assert "- The model has no experts.\n" in text


def test_findings_say_what_to_write_instead() -> None:
    assert "- warning: q_proj: It is fused. Write qkv_proj." in text_of(plan_of(LLAMA, QV))


def test_codes_of_findings_are_not_shown() -> None:
    finding = Finding("impossible", "info", "vod", "There is no o.", "")
    assert text_of(plan_of(LLAMA, QV, findings=(finding,))).endswith("- vod: There is no o.")


def test_rows_stand_in_the_order_of_their_roles_inside_a_group() -> None:
    roles = ("ffn.down", "attention.o", "attention.v", "attention.q", "ffn.up")
    modules = [builders.linear(role.replace(".", "_"), (2, 2), Role(role)) for role in roles]
    plan = plan_of(builders.inventory_of(modules), dict.fromkeys(roles, 8))
    lines = text_of(plan).splitlines()
    shown = [line.split()[0] for line in lines if line.startswith(("attention.", "ffn."))]
    assert shown == ["ffn.up", "ffn.down", "attention.q", "attention.v", "attention.o"]


def test_sections_without_content_are_left_out() -> None:
    text = text_of(plan_of(LLAMA, QV, advice=(), findings=()))
    assert "Why" not in text
    assert "Findings" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_keeps_to_the_width(width: int) -> None:
    lines = plan_text(plan_of(LLAMA, QV), LLAMA, width)
    assert max(line.width for line in lines) <= width


def test_compare_puts_plans_side_by_side() -> None:
    plans = (
        plan_of(LLAMA, QV, findings=()),
        plan_of(LLAMA, {"ffn.up": 8, "attention.q": 4}, preset="other", findings=()),
        Plan(LLAMA.model, "vod", {}, (), (), 0, 0, 0, findings=plan_of(LLAMA, QV).findings),
    )
    text = "\n".join(line.plain for line in compare_text(plans, LLAMA, UNLIMITED))
    rows = {
        line.split()[0]: re.split(r"\s{2,}", line)
        for line in text.splitlines()
        if line.startswith(("qv", "other", "vod"))
    }
    assert rows["qv"][1:6] == ["6", "8", "672", "29.6%", "12.7%"]
    assert rows["other"][1:4] == ["6", "8, 4", "768"]
    assert rows["qv"][-1] == "attention.q, v"
    assert rows["other"][-1] == "attention.q; ffn.up"
    assert rows["vod"][1:] == ["–", "see findings"]
    assert "Findings" in text


def test_a_narrow_comparison_puts_the_roles_below() -> None:
    plans = (plan_of(LLAMA, QV), plan_of(LLAMA, {"ffn.up": 8}, preset="ffn"))
    lines = [line.plain for line in compare_text(plans, LLAMA, 75)]
    assert max(map(len, lines)) <= 75
    assert lines.index("Roles") < lines.index("  qv   attention.q, v")
    assert any(line.startswith("ffn ") and "576" in line for line in lines)


def test_compare_shows_the_advice_of_the_noted_row_only() -> None:
    plans = (plan_of(LLAMA, QV), plan_of(LLAMA, QV, preset="peft-default", advice=()))
    assert "The classic." not in "\n".join(
        line.plain for line in compare_text(plans, LLAMA, UNLIMITED, "peft-default")
    )
    assert "The classic." in "\n".join(
        line.plain for line in compare_text(plans, LLAMA, UNLIMITED, "qv")
    )


def test_snippet_is_python_with_only_what_differs_from_the_defaults() -> None:
    code = snippet(plan_of(LLAMA, QV))
    (call,) = [
        node.value
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "config"
    ]
    assert {word.arg: ast.literal_eval(word.value) for word in call.keywords} == {
        "task_type": "CAUSAL_LM",
        "r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.05,
        "target_modules": ["q_proj", "v_proj"],
    }


def test_snippet_loads_the_class_that_was_inspected() -> None:
    inventory = builders.llama(base_model="owner/tiny", revision="v1")
    code = snippet(plan_of(inventory, QV))
    assert "from transformers import LlamaForCausalLM\n" in code
    assert "LlamaForCausalLM.from_pretrained('owner/tiny', revision='v1')" in code


def test_snippet_of_a_default_config_needs_no_weights() -> None:
    inventory = builders.llama(is_default_config=True)
    code = snippet(plan_of(inventory, QV))
    assert "LlamaForCausalLM(AutoConfig.for_model('llama'))" in code


def test_snippet_of_a_config_file_names_no_weights() -> None:
    code = snippet(plan_of(builders.llama(reference="llm/config.json"), QV))
    assert "model = LlamaForCausalLM(AutoConfig.from_pretrained('llm/config.json'))" in code
    remote = builders.llama(reference="c.json", task_type="CAUSAL_LM", is_remote_code=True)
    assert (
        "AutoModelForCausalLM.from_config("
        "AutoConfig.from_pretrained('c.json', trust_remote_code=True), trust_remote_code=True)"
    ) in snippet(plan_of(remote, QV))


@pytest.mark.parametrize(
    ("reference", "arguments"),
    [
        ("a.gguf", "'.', gguf_file='a.gguf'"),
        ("llm/a.Q4.gguf", "'llm', gguf_file='a.Q4.gguf'"),
        ("llm/model.safetensors", "'llm'"),
        ("llm", "'llm'"),
    ],
)
def test_snippet_of_a_file_names_its_directory(reference: str, arguments: str) -> None:
    code = snippet(plan_of(builders.llama(reference=reference), QV))
    assert f"LlamaForCausalLM.from_pretrained({arguments})" in code


def test_snippet_of_remote_code_says_so() -> None:
    module = builders.linear("q_proj", (2, 2))
    inventory = builders.inventory_of([module], task_type="CAUSAL_LM", is_remote_code=True)
    code = snippet(plan_of(inventory, QV))
    assert "AutoModelForCausalLM.from_pretrained('tiny', trust_remote_code=True)" in code


def test_a_hostile_reference_cannot_leave_its_string() -> None:
    inventory = builders.llama(reference="x')\nimport os  # \x1b")
    code = snippet(plan_of(inventory, QV))
    assert "\x1b" not in code
    assert [type(node).__name__ for node in ast.parse(code).body].count("ImportFrom") == 2
    assert "Import" not in [type(node).__name__ for node in ast.parse(code).body]


@pytest.mark.parametrize("cls", ["X; import os", "A\nB", "a.b"])
def test_a_class_name_that_is_no_name_is_not_written_as_code(cls: str) -> None:
    for default in (True, False):
        inventory = builders.llama(cls=cls, is_default_config=default)
        code = snippet(plan_of(inventory, QV))
        assert cls not in code
        ast.parse(code)
