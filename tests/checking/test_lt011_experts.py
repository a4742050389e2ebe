"""LT011 to LT016: mixtures of experts, whose weights are stacked parameters."""

from __future__ import annotations

from typing import Any

import pytest
from check_models import subject
from one_rule import found

from lorascope.checking import Example
from lorascope.checking.rules.lt011_routed_experts_frozen import RULE as FROZEN
from lorascope.checking.rules.lt012_dropout_on_parameters import RULE as DROPOUT
from lorascope.checking.rules.lt013_part_of_fused_experts import RULE as PART
from lorascope.checking.rules.lt014_shared_expert_rewritten import RULE as REWRITTEN
from lorascope.checking.rules.lt015_router_adapted import RULE as ROUTER
from lorascope.checking.rules.lt016_parameter_matches_nothing import RULE as NOTHING
from lorascope.core.recipe import Edit, Tool

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
FEED_FORWARD = ["gate_proj", "up_proj", "down_proj"]
EXPERTS = ["experts.gate_up_proj", "experts.down_proj"]
AXOLOTL = "base_model: x\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"


@pytest.mark.parametrize("model", ["Llama-4-Scout", "Qwen1.5-MoE-A2.7B", "Jamba"])
@pytest.mark.parametrize(
    "targets", ["all-linear", [*ATTENTION, *FEED_FORWARD], ".*(q|v|gate|up|down)_proj"]
)
def test_experts_stay_frozen_beside_what_is_like_them(model: str, targets: Any) -> None:
    [finding] = found(FROZEN, model, {"target_modules": targets})
    assert finding.severity == "warning"
    assert "stay frozen" in finding.message
    assert 'target_parameters: ["experts.gate_up_proj", "experts.down_proj"]' in finding.hint


def test_names_that_are_in_experts_only_are_told_as_one() -> None:
    [finding] = found(FROZEN, "gpt-oss-20b", {"target_modules": [*ATTENTION, *FEED_FORWARD]})
    assert finding.message.startswith("'gate_proj', 'up_proj', 'down_proj' match no module here.")
    assert "91.4%" in finding.message
    assert finding.severity == "warning"


def test_nothing_but_names_of_experts_is_an_error() -> None:
    [finding] = found(FROZEN, "gpt-oss-20b", {"target_modules": FEED_FORWARD})
    assert finding.severity == "error"


def test_names_that_match_nothing_beside_adapted_experts_may_go() -> None:
    config = {"target_modules": ["q_proj", "up_proj"], "target_parameters": EXPERTS}
    [finding] = found(FROZEN, "gpt-oss-20b", config)
    assert (finding.severity, finding.hint) == ("info", "Remove 'up_proj'.")


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("gpt-oss-20b", {"target_modules": ATTENTION}),
        ("Llama-4-Scout", {"target_modules": ATTENTION}),
        ("Llama-4-Scout", {}),
        ("Mixtral-8x7B", {}),
        ("Qwen1.5-MoE-A2.7B", {"target_modules": ["shared_expert.down_proj"]}),
        ("DeepSeek-V3", {"target_parameters": ["shared_experts.down_proj.weight"]}),
        # PEFT rewrites these to the experts.
        ("Qwen3-30B-A3B", {"target_modules": [*ATTENTION, *FEED_FORWARD]}),
        ("Qwen3-30B-A3B", {"target_modules": "all-linear"}),
        ("Llama-3.1-8B", {"target_modules": "all-linear"}),
    ],
)
def test_experts_left_alone_on_purpose_or_adapted(model: str, config: dict[str, Any]) -> None:
    if "target_parameters" in config:
        config = {"target_modules": [], **config}
    assert found(FROZEN, model, config) == ()


def test_word_of_a_tool_for_every_linear_counts() -> None:
    text = "model_name_or_path: x\nfinetuning_type: lora\nlora_target: all\n"
    [finding] = found(FROZEN, "Qwen3-30B-A3B", text, tool=Tool.LLAMAFACTORY)
    assert finding.entry == "all"
    assert "llamafactory has no key for them" in finding.hint
    text = f"{AXOLOTL}lora_target_linear: true\n"
    [finding] = found(FROZEN, "gpt-oss-20b", text, tool=Tool.AXOLOTL)
    assert "lora_target_parameters" in finding.hint
    assert (finding.where, finding.entry) == ("", "lora_target_linear")
    assert finding.spot is not None
    assert text[finding.spot.start :].startswith("lora_target_linear")


def test_dropout_is_told_of_target_parameters() -> None:
    config = {"target_modules": ["q_proj"], "target_parameters": EXPERTS, "lora_dropout": 0.1}
    [finding] = found(DROPOUT, "gpt-oss-20b", config)
    assert finding.message.startswith("target_parameters reaches 48 parameters")
    assert finding.edits == (Edit("lora_dropout", None, 0.0),)


def test_dropout_is_told_of_what_peft_rewrites() -> None:
    config = {"target_modules": "all-linear", "lora_dropout": 0.05}
    [finding] = found(DROPOUT, "Qwen3-30B-A3B", config)
    assert "PEFT rewrites 'all-linear' to target_parameters" in finding.message


def test_dropout_that_a_tool_sets_by_default_is_told_as_such() -> None:
    command = (
        "trl sft --model_name_or_path x --use_peft "
        "--lora_target_modules q_proj gate_proj up_proj down_proj"
    )
    [finding] = found(DROPOUT, "Qwen3-30B-A3B", command, tool=Tool.TRL)
    assert "0.05 by the tool's default" in finding.message
    assert finding.edits == ()


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("Qwen3-30B-A3B", {"target_modules": ATTENTION}),
        ("gpt-oss-20b", {"target_modules": "all-linear"}),
        ("gpt-oss-20b", {"target_modules": [*ATTENTION, *FEED_FORWARD]}),
        ("Qwen1.5-MoE-A2.7B", {"target_modules": FEED_FORWARD}),
        ("gpt-oss-20b", {"target_modules": ["q_proj"], "target_parameters": ["experts.w1"]}),
    ],
)
def test_dropout_where_no_parameter_is_adapted(model: str, config: dict[str, Any]) -> None:
    assert found(DROPOUT, model, {**config, "lora_dropout": 0.05}) == ()


@pytest.mark.parametrize(
    ("model", "targets", "entry", "lacking"),
    [
        ("Qwen3-30B-A3B", ["up_proj", "down_proj"], "up_proj", "gate_proj"),
        ("Mixtral-8x7B", ["q_proj", "w3"], "w3", "w1"),
        ("Mixtral-8x7B", ["experts.0.w1"], "experts.0.w1", "w3"),
        ("Qwen3-30B-A3B", r".*\.(q|gate)_proj", r".*\.(q|gate)_proj", "up_proj"),
    ],
)
def test_part_of_fused_experts(model: str, targets: Any, entry: str, lacking: str) -> None:
    [finding] = found(PART, model, {"target_modules": targets})
    assert finding.entry == entry
    assert finding.hint.startswith(f"Add {lacking}")


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("Qwen3-30B-A3B", FEED_FORWARD),
        ("Qwen1.5-MoE-A2.7B", ["gate_proj"]),
        ("Llama-3.1-8B", ["gate_proj"]),
        ("Mixtral-8x7B", ["w2"]),
        # LT014 tells what is wrong with it.
        ("DeepSeek-V3", ["shared_experts.gate_proj"]),
    ],
)
def test_no_part_of_fused_experts(model: str, targets: list[str]) -> None:
    assert found(PART, model, {"target_modules": targets}) == ()


@pytest.mark.parametrize(
    "targets",
    [
        ["q_a_proj", "shared_experts.down_proj"],
        [f"shared_experts.{name}" for name in FEED_FORWARD],
        ["shared_experts.gate_proj"],
        ["model.layers.0.mlp.down_proj"],
        r".*shared_experts\.(gate|up|down)_proj",
    ],
)
def test_shared_and_dense_linears_become_routed_experts(targets: Any) -> None:
    [finding] = found(REWRITTEN, "DeepSeek-V3", {"target_modules": targets})
    assert finding.severity == "error"
    assert ".weight" in finding.hint


def test_hint_for_a_shared_expert_adapts_just_that() -> None:
    config = {"target_modules": ["shared_experts.down_proj"]}
    [finding] = found(REWRITTEN, "DeepSeek-V3", config)
    assert 'target_parameters: ["shared_experts.down_proj.weight"]' in finding.hint
    mended = Example(
        "DeepSeek-V3",
        {"target_modules": [], "target_parameters": ["shared_experts.down_proj.weight"]},
    )
    roles = {row.role.value for _, row in subject(mended).adapted}
    assert roles == {"moe.shared.down"}


@pytest.mark.parametrize("targets", [[*ATTENTION, *FEED_FORWARD], "all-linear"])
def test_bare_names_leave_shared_linears_out(targets: Any) -> None:
    [finding] = found(REWRITTEN, "DeepSeek-V3", {"target_modules": targets})
    assert finding.severity == "warning"
    assert "leaves out 183 dense or shared-expert linears" in finding.message


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("Qwen3-30B-A3B", {"target_modules": FEED_FORWARD}),
        ("Qwen1.5-MoE-A2.7B", {"target_modules": ["shared_expert.down_proj"]}),
        ("DeepSeek-V3", {"target_modules": ["q_a_proj", "experts.0.down_proj"]}),
        (
            "DeepSeek-V3",
            {
                "target_modules": ["down_proj"],
                "target_parameters": ["mlp.down_proj.weight", "shared_experts.down_proj.weight"],
            },
        ),
    ],
)
def test_nothing_is_taken_from_shared_experts(model: str, config: dict[str, Any]) -> None:
    assert found(REWRITTEN, model, config) == ()


def test_router_named_in_a_list() -> None:
    [finding] = found(ROUTER, "Mixtral-8x7B", {"target_modules": ["q_proj", "gate"]})
    assert finding.edits == (Edit("target_modules", "gate", ()),)


def test_router_alone_is_not_edited_away() -> None:
    [finding] = found(ROUTER, "Mixtral-8x7B", {"target_modules": ["gate"]})
    assert finding.edits == ()


def test_router_that_is_linear_can_be_excluded() -> None:
    config = {"target_modules": "all-linear"}
    [finding] = found(ROUTER, "Llama-4-Scout", config)
    assert 'exclude_modules: ["router"]' in finding.hint
    assert found(ROUTER, "Llama-4-Scout", {**config, "exclude_modules": ["router"]}) == ()


def test_router_that_peft_rewrites_cannot_be_excluded() -> None:
    config = {"target_modules": "all-linear", "exclude_modules": ["gate"]}
    [finding] = found(ROUTER, "Qwen3-30B-A3B", config)
    assert "exclude_modules does not reach it" in finding.hint
    assert found(ROUTER, "Qwen3-30B-A3B", {"target_modules": [*ATTENTION, *FEED_FORWARD]}) == ()


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("Llama-3.1-8B", "all-linear"),
        # It weighs the shared expert and chooses nothing.
        ("Qwen1.5-MoE-A2.7B", "all-linear"),
        ("gpt-oss-20b", "all-linear"),
    ],
)
def test_no_router(model: str, targets: str) -> None:
    assert found(ROUTER, model, {"target_modules": targets}) == ()


@pytest.mark.parametrize(
    ("model", "entry", "hint"),
    [
        # The experts' name in a checkpoint that is quantized, where each is a linear.
        ("gpt-oss-20b", "experts.gate_up_projs", "nearest real name is experts.gate_up_proj."),
        ("gpt-oss-20b", ".*experts.gate_up_proj", "expert parameters are experts.gate_up_proj,"),
        ("gpt-oss-20b", "mlp.experts", "Name what it holds: mlp.experts.gate_up_proj,"),
        ("gpt-oss-20b", "v_proj", "or put it into target_modules."),
        ("Qwen3-8B", "mlp.experts.gate_up_proj", "has no stacked expert parameters"),
    ],
)
def test_parameter_that_is_none(model: str, entry: str, hint: str) -> None:
    config = {"target_modules": ["q_proj"], "target_parameters": [entry]}
    [finding] = found(NOTHING, model, config)
    assert (finding.entry, finding.severity) == (entry, "warning")
    assert hint in finding.hint


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]},
        {"target_modules": ["q_proj"], "target_parameters": ["layers.0.mlp.experts.down_proj"]},
        {"target_modules": ["q_proj"], "target_parameters": ["q_norm.weight", "lm_head.weight"]},
        # Its comma is told by LT033, that nothing at all matches by LT001.
        {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj,"]},
        {"target_modules": [], "target_parameters": ["experts.w1"]},
    ],
)
def test_parameter_that_is_one_or_another_rules_matter(config: dict[str, Any]) -> None:
    assert found(NOTHING, "Qwen3-30B-A3B", config) == ()
