"""What presets and options mean on models of each kind, and what the plan says of it."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import inventory

from builders import llama, mixture, multimodal
from clock import calls
from lorascope.core.errors import PlanError
from lorascope.core.inventory import HAZARDS, Inventory
from lorascope.core.plan import Plan
from lorascope.planning import PRESETS, TASKS, PlanRequest, compare, make_plan
from lorascope.planning.compare import IMPOSSIBLE, PEFT_DEFAULT, SAME
from lorascope.planning.evidence import EXPERTS_ADVICE


def _plan(known: Inventory, **options: Any) -> Plan:
    return make_plan(known, PlanRequest(**options))


def _names(plan: Plan) -> set[str]:
    return {target.path.rpartition(".")[2] for target in plan.targets}


def _said(plan: Plan) -> str:
    return "\n".join(advice.text for advice in plan.advice)


def test_the_default_is_the_classic() -> None:
    plan = _plan(llama())
    config = plan.adapter_config
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (8, 16, 0.05)
    assert (config["bias"], config["peft_type"]) == ("none", "LORA")
    assert plan.trainable_params == 3 * 8 * ((8 + 8) + (8 + 4))
    assert plan.covered_params == 3 * (64 + 32)


def test_extended_keeps_alpha_over_rank_and_two_to_one() -> None:
    plan = _plan(llama(), preset="extended", rank=16)
    assert {(t.role.group, t.rank, t.alpha) for t in plan.targets} == {
        ("attention", 16, 32),
        ("ffn", 8, 16),
    }
    config = plan.adapter_config
    assert (config["r"], config["lora_alpha"]) == (16, 32)
    assert config["rank_pattern"] == {"gate_proj": 8, "up_proj": 8, "down_proj": 8}
    assert config["alpha_pattern"] == {"gate_proj": 16, "up_proj": 16, "down_proj": 16}
    assert "SGLang refuses the adapter" in _said(plan)


def test_an_odd_rank_is_no_multiple_of_the_extended_unit() -> None:
    with pytest.raises(PlanError, match="--rank is 5; preset extended needs a multiple of 2"):
        _plan(llama(), preset="extended", rank=5)


def test_alpha_belongs_to_the_main_targets() -> None:
    plan = _plan(llama(), preset="extended", rank=8, alpha=6)
    assert {(t.rank, t.alpha) for t in plan.targets} == {(8, 6), (4, 3)}


@pytest.mark.parametrize(
    ("name", "preset", "names"),
    [
        ("phi3", "qv", {"qkv_proj"}),
        ("phi3", "ffn", {"gate_up_proj", "down_proj"}),
        ("phi3", "vod", {"qkv_proj", "o_proj", "down_proj"}),
        ("gpt2", "ffn", {"c_fc", "c_proj"}),
        ("falcon", "qv", {"query_key_value"}),
        ("deepseek_v3", "qv", {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj"}),
        ("deepseek_lite", "qv", {"q_proj", "kv_a_proj_with_mqa", "kv_b_proj"}),
        ("mamba", "all-linear", {"in_proj"}),
        ("jamba", "qv", {"q_proj", "v_proj"}),
        ("falcon_h1", "attention", {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("qwen3_next", "qv", {"q_proj", "v_proj", "in_proj_qkvz"}),
        ("t5", "qv", {"q", "v"}),
        ("t5", "ffn", {"wi", "wo"}),
        ("whisper", "ffn", {"fc1", "fc2"}),
        ("bert_seq_cls", "attention", {"query", "key", "value", "dense"}),
        ("gemma3", "vod", {"v_proj", "o_proj", "down_proj"}),
        (
            "qwen3_moe",
            "all-linear",
            {
                *("q_proj", "k_proj", "v_proj", "o_proj"),
                *("gate_proj", "up_proj", "down_proj", "gate_up_proj"),
            },
        ),
    ],
)
def test_a_preset_means_the_models_own_names(name: str, preset: str, names: set[str]) -> None:
    assert _names(_plan(inventory(name), preset=preset)) == names


def test_fused_projections_are_told() -> None:
    assert "q and v can only mean qkv_proj on this model: k is adapted as well." in _said(
        _plan(inventory("phi3"))
    )
    assert "gate and up are one fused projection here, gate_up_proj" in _said(
        _plan(inventory("phi3"), preset="ffn")
    )


def test_latent_attention_is_told() -> None:
    said = _said(_plan(inventory("deepseek_v3")))
    assert "q means q_a_proj and q_b_proj" in said
    assert "v means kv_a_proj_with_mqa and kv_b_proj. They make k as well" in said


@pytest.mark.parametrize("preset", ["qv", "attention", "extended", "ffn", "vod"])
def test_a_model_without_the_roles_is_told_what_it_has(preset: str) -> None:
    with pytest.raises(PlanError) as caught:
        _plan(inventory("mamba"), preset=preset)
    assert "This model has no " in caught.value.what
    assert "LoRA can train: ssm." in caught.value.what
    assert caught.value.hint == "Try --preset all-linear."


def test_what_cannot_be_trained_is_no_alternative() -> None:
    with pytest.raises(PlanError) as caught:
        _plan(inventory("mamba"), roles=("ssm.dt",))
    before, _, after = caught.value.what.partition("LoRA can train: ")
    assert "This model has no ssm.dt that LoRA can train (3 Linear (dt_proj): " in before
    assert "ssm.in" in after
    assert "ssm.dt" not in after


def test_hazards_are_left_out_and_told() -> None:
    said = _said(_plan(inventory("mamba"), preset="all-linear"))
    assert f"Left out: dt_proj (3), {HAZARDS['forward_never_called']}." in said
    assert f"Left out: x_proj (3), {HAZARDS['forward_bypassed_by_kernel']}." in said
    assert f"Left out: out_proj (3), {HAZARDS['state_space_kernel']}." in said


def test_routers_heads_and_other_towers_are_never_chosen() -> None:
    for name in ("qwen3_moe", "qwen2_moe", "deepseek_v3", "mixtral", "gemma3", "qwen3_next"):
        known = inventory(name)
        for preset in PRESETS:
            try:
                plan = _plan(known, preset=preset, experts=True)
            except PlanError:
                continue
            roles = {target.role.value for target in plan.targets}
            assert not [role for role in roles if "router" in role or role.startswith("head")]
            assert {target.tower for target in plan.targets} <= set(known.model.main_towers)


def test_experts_are_included_as_asked() -> None:
    known = inventory("qwen2_moe")
    assert _names(_plan(known, preset="ffn")) == {"gate_proj", "up_proj", "down_proj"}
    assert "gate_up_proj" in _names(_plan(known, preset="ffn", experts=True))
    assert "gate_up_proj" in _names(_plan(known, preset="all-linear"))
    assert "gate_up_proj" not in _names(_plan(known, preset="all-linear", experts=False))


def test_frozen_experts_are_counted() -> None:
    known = mixture()
    experts = 2 * (4 * 32 * 8 + 4 * 8 * 16)
    assert f"Routed experts: {experts / 1000:.2f} k of " in _said(_plan(known))
    assert "stay frozen" not in _said(_plan(known, preset="all-linear"))


def test_the_experts_option_is_offered_only_where_it_would_do_something() -> None:
    assert "--experts" not in _said(_plan(inventory("mixtral")))
    said = _said(_plan(inventory("mixtral"), preset="extended"))
    assert "stay frozen. --experts includes those that are meant." in said
    assert "has gate, up and down in its routed experts only" in said


def test_a_hybrid_says_how_many_layers_are_reached() -> None:
    assert "Only 2 of 4 layers have such modules." in _said(_plan(inventory("jamba")))
    assert "layers have such modules" not in _said(_plan(inventory("llama")))
    assert "layers have such modules" not in _said(_plan(inventory("llama"), layers="1"))
    assert "layers have such modules" not in _said(_plan(inventory("t5")))


def test_dropout_is_0_where_parameters_are_adapted() -> None:
    plan = _plan(inventory("qwen3_moe"), preset="all-linear", dropout=0.1)
    assert plan.adapter_config["lora_dropout"] == 0.0
    assert "lora_dropout is 0 instead of 0.1" in _said(plan)
    assert _plan(inventory("qwen3_moe")).adapter_config["lora_dropout"] == 0.05


@pytest.mark.parametrize("options", [{"dora": True}, {"init": "pissa"}], ids=str)
def test_what_parameters_do_not_take_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="does not take it for .*target_parameters"):
        _plan(inventory("qwen3_moe"), preset="all-linear", **options)


@pytest.mark.parametrize("options", [{"dora": True}, {"init": "olora"}], ids=str)
@pytest.mark.parametrize("experts", [None, False])
@pytest.mark.parametrize("name", ["deepseek_v3", "qwen3_next"])
def test_linears_that_must_be_named_as_parameters_are_told_as_the_cause(
    name: str, experts: bool | None, options: dict[str, Any]
) -> None:
    with pytest.raises(PlanError) as caught:
        _plan(inventory(name), preset="all-linear", experts=experts, **options)
    assert "have to name gate_proj, up_proj and down_proj" in caught.value.what
    assert "also outside the routed experts" in caught.value.what
    assert caught.value.hint == "Drop the option, or use --preset attention."
    assert _plan(inventory(name), preset="attention", **options, rank=2).targets


def test_stacked_experts_alone_can_be_left_out() -> None:
    with pytest.raises(PlanError, match="leave the routed experts out, or use --preset attention"):
        _plan(inventory("gpt_oss"), preset="all-linear", dora=True)
    assert _plan(inventory("gpt_oss"), preset="all-linear", dora=True, experts=False).targets


def test_dense_feed_forwards_beside_rewritten_experts_are_named_as_parameters() -> None:
    plan = _plan(inventory("deepseek_v3"), preset="ffn")
    assert plan.adapter_config["target_modules"] == []
    assert plan.adapter_config["target_parameters"] == [
        "gate_proj.weight",
        "up_proj.weight",
        "down_proj.weight",
    ]
    assert "PEFT rewrites these names in target_modules" in _said(plan)


def test_roles_replace_a_preset_with_own_ranks() -> None:
    plan = _plan(llama(), roles=("q=8", "v=2", "ffn.down"), rank=4)
    assert {(t.role.value, t.rank, t.alpha) for t in plan.targets} == {
        ("attention.q", 8, 16),
        ("attention.v", 2, 4),
        ("ffn.down", 4, 8),
    }


def test_a_fused_projection_cannot_have_two_ranks() -> None:
    with pytest.raises(PlanError, match="q and v both mean .*qkv_proj.*with different ranks"):
        _plan(inventory("phi3"), roles=("q=8", "v=4"))


@pytest.mark.parametrize(
    ("name", "role", "paths"),
    [
        ("t5", "head.lm", {"lm_head"}),
        ("whisper", "head.lm", {"proj_out"}),
        ("llama", "lm", {"lm_head"}),
        ("t5", "embedding.token", {"encoder.embed_tokens", "decoder.embed_tokens"}),
    ],
)
def test_a_head_outside_the_towers_is_found_by_its_role(
    name: str, role: str, paths: set[str]
) -> None:
    assert {target.path for target in _plan(inventory(name), roles=(role,)).targets} == paths


def test_a_role_of_another_tower_is_told_with_the_tower() -> None:
    with pytest.raises(PlanError) as caught:
        _plan(inventory("llava"), roles=("embedding.patch",))
    assert caught.value.what.startswith("The text tower has no embedding.patch, which --roles asks")
    assert caught.value.hint == "Adapt the vision tower with --tower vision."
    with pytest.raises(PlanError) as caught:
        _plan(inventory("t5"), roles=("q", "head.lm"), towers=("encoder",))
    assert caught.value.what.startswith("The encoder tower has no head.lm, which --roles asks for")
    assert caught.value.hint == "Adapt the text tower with --tower text."


def test_a_role_that_lora_cannot_train_is_told_with_its_class() -> None:
    with pytest.raises(PlanError) as caught:
        _plan(inventory("qwen3_moe"), roles=("moe.router",))
    assert (
        "This model has no moe.router that LoRA can train (3 Qwen3MoeTopKRouter (gate): PEFT's LoRA"
        " does not take this class), which --roles asks for" in caught.value.what
    )
    with pytest.raises(
        PlanError, match=r"no ssm.dt that LoRA can train \(3 Linear \(dt_proj\): its"
    ):
        _plan(inventory("mamba"), roles=("ssm.dt",))


def test_a_lacking_role_is_answered_with_those_that_the_model_has() -> None:
    with pytest.raises(PlanError) as caught:
        _plan(inventory("llama"), roles=("ssm",))
    assert caught.value.hint == (
        "Here --roles takes q, k, v, o, gate, up, down, embedding.token or head.lm."
    )
    with pytest.raises(PlanError, match="takes .*, gate, up, down, ssm, moe.experts, embedding"):
        _plan(inventory("jamba"), roles=("linear_attention",))
    with pytest.raises(PlanError, match="takes q, k, v, o, moe.experts, embedding.token or head"):
        _plan(inventory("mixtral"), roles=("ssm",))


def test_the_end_of_one_role_means_that_role() -> None:
    plan = _plan(inventory("mixtral"), roles=("experts.down=4",))
    assert {(target.role.value, target.rank) for target in plan.targets} == {
        ("moe.experts.down", 4)
    }
    shared = _plan(inventory("qwen2_moe"), roles=("shared.up",))
    assert {target.role.value for target in shared.targets} == {"moe.shared.up"}


def test_a_role_named_in_full_is_meant_exactly() -> None:
    with pytest.raises(PlanError, match=r"no attention.q, which --roles asks for"):
        _plan(inventory("phi3"), roles=("attention.q",))


def test_a_role_that_the_model_lacks_is_refused_though_others_are_there() -> None:
    with pytest.raises(PlanError, match="no gate, which --roles asks for"):
        _plan(inventory("gpt2"), roles=("q", "gate"))


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({"layers": "0,2"}, (["q_proj", "v_proj"], [0, 2])),
        ({"exclude": ("model.layers.1",)}, (["q_proj", "v_proj"], [0, 2])),
        ({"exclude": ("v_proj",)}, (["q_proj"], None)),
        (
            {"exclude": ("model.layers.1.self_attn.v_proj",)},
            (r"model\.layers\.(\d+\.self_attn\.q_proj|(0|2)\.self_attn\.v_proj)", None),
        ),
    ],
)
def test_layers_and_exclusions_take_the_shortest_exact_form(
    options: dict[str, Any], form: tuple[Any, Any]
) -> None:
    config = _plan(llama(), **options).adapter_config
    assert (config["target_modules"], config["layers_to_transform"]) == form


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layers": "7"}, "--layers asks for layer 7, which this model does not have"),
        ({"exclude": ("v_prj",)}, "--exclude v_prj: this model has no module of that name"),
        ({"towers": ("vision",)}, "--tower vision: this model has no such tower; it has text"),
        ({"exclude": ("q_proj", "v_proj")}, "leave none of the 6 modules that preset qv means"),
    ],
)
def test_what_the_model_does_not_have_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        _plan(llama(), **options)
    assert told in str(caught.value)


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(PlanError, match="Nearest: v_proj"):
        _plan(llama(), exclude=("v_prj",))


def test_towers_are_left_out_unless_asked() -> None:
    known = multimodal()
    text = _plan(known)
    assert text.adapter_config["target_modules"] == ["self_attn.q_proj", "self_attn.v_proj"]
    assert "The vision tower stays frozen (4 modules)" in _said(text)
    vision = _plan(known, towers=("vision",))
    assert {t.path.partition(".")[0] for t in vision.targets} == {"vision"}
    both = _plan(known, towers=("text", "vision"))
    assert both.adapter_config["target_modules"] == ["q_proj", "v_proj"]


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("llama_seq_cls", ("score",)),
        ("bert_seq_cls", ("classifier",)),
        ("roberta_seq_cls", ("classifier",)),
        ("bert_token_cls", ("classifier",)),
        ("bert_qa", ("qa_outputs",)),
        ("distilbert_seq_cls", ("pre_classifier", "classifier")),
        ("llama", ()),
    ],
)
def test_heads_are_saved_whole(name: str, saved: tuple[str, ...]) -> None:
    plan = _plan(inventory(name))
    assert plan.saved_modules == saved
    listed = plan.adapter_config["modules_to_save"]
    assert set(listed or ()) <= set(saved)
    assert bool(listed) is bool(saved)


def test_a_budget_takes_the_largest_rank_that_fits() -> None:
    per_rank = 3 * ((8 + 8) + (8 + 4))
    for limit in (per_rank, 5 * per_rank - 1, 5 * per_rank, 5 * per_rank + 1):
        plan = _plan(llama(), max_params=limit)
        assert plan.trainable_params == limit // per_rank * per_rank
        assert plan.adapter_config["lora_alpha"] == 2 * plan.adapter_config["r"]


def test_a_budget_keeps_the_extended_mix() -> None:
    unit = 3 * (2 * ((8 + 8) + (8 + 4)) + 3 * (8 + 16))
    plan = _plan(llama(), preset="extended", max_params=7 * unit + unit - 1)
    assert {t.rank for t in plan.targets} == {14, 7}
    assert plan.trainable_params == 7 * unit


def test_a_budget_counts_the_head() -> None:
    known = inventory("bert_seq_cls")
    head = known.by_path["classifier"].total_params
    per_rank = _plan(known, rank=1).trainable_params - head
    plan = _plan(known, max_params=head + 3 * per_rank)
    assert {t.rank for t in plan.targets} == {3}


def test_a_budget_that_nothing_fits_says_by_how_much() -> None:
    with pytest.raises(PlanError) as caught:
        _plan(llama(), preset="all-linear", max_params=100)
    least = 3 * ((16 + 12 + 12 + 16) + 3 * 24)
    assert f"has {least} trainable parameters" in caught.value.what
    assert f"{least - 100} too many" in caught.value.what
    assert caught.value.hint == "--preset qv fits: 84 at rank 1."


@pytest.mark.parametrize("task", TASKS)
def test_a_task_chooses_and_shows_its_ground(task: str) -> None:
    plan = _plan(llama(), task=task)
    assert plan.preset == TASKS[task].preset
    assert plan.adapter_config["r"] == TASKS[task].rank
    grounds = {advice.ground for advice in plan.advice}
    assert grounds <= {None, "paper", "measured", "second-hand", "unverified", "weak", "none"}
    assert grounds - {None}
    assert all(a.source for a in plan.advice if a.ground not in (None, "none"))


def test_style_says_that_no_evidence_exists() -> None:
    advice = _plan(llama(), task="style").advice[0]
    assert advice.ground == "none"
    assert advice.source is None
    assert "no evidence either way" in advice.text


def test_a_task_divides_the_experts_rank() -> None:
    known = mixture()
    plan = _plan(known, task="math")
    assert {(t.role.group, t.rank, t.alpha) for t in plan.targets if "experts" in t.path} == {
        ("moe", 4, 8)
    }
    assert {t.rank for t in _plan(known, task="rl").targets} == {8}
    assert {t.rank for t in _plan(known, preset="all-linear").targets} == {8}


_DIVIDED = "Routed experts get the rank divided by the 2 experts active for a token"
_FULL = "Routed experts get the full rank; 2 of them are active for a token."


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"task": "math"}, _DIVIDED),
        ({"task": "math", "preset": "ffn", "experts": True}, _DIVIDED),
        ({"preset": "all-linear"}, f"{_FULL} A --task, except rl, divides"),
        ({"preset": "ffn", "experts": True}, f"{_FULL} A --task, except rl, divides"),
        ({"task": "rl"}, f"{_FULL} That is on purpose: for rl the ranks stay uniform."),
        ({"roles": ("moe.experts",), "task": "math"}, f"{_FULL} --roles gives them one of their"),
        ({"roles": ("moe.experts=1",)}, None),
        ({"preset": "qv"}, None),
    ],
    ids=str,
)
def test_the_evidence_on_experts_is_a_reason_only_where_it_was_followed(
    options: dict[str, Any], told: str | None
) -> None:
    plan = _plan(mixture(), **options)
    lines = [each.text for each in plan.advice if "active for a token" in each.text]
    as_reason = [line for line in lines if line == EXPERTS_ADVICE.text]
    facts = [line for line in lines if line != EXPERTS_ADVICE.text]
    assert bool(as_reason) is (told == _DIVIDED)
    assert [line.startswith(told or "") for line in facts] == [True] * (told is not None)


def test_what_target_parameters_cost_is_told() -> None:
    for name, preset in (("deepseek_v3", "ffn"), ("gpt_oss", "all-linear")):
        said = _said(_plan(inventory(name), preset=preset))
        assert "In every forward PEFT rebuilds the whole of each weight" in said
        assert "vLLM and SGLang have dropped the tensors of expert parameters" in said
    assert "rebuilds" not in _said(_plan(inventory("deepseek_v3")))


def test_compare_says_which_rows_are_the_same() -> None:
    rows = {plan.preset: plan for plan in compare(inventory("mixtral"), PlanRequest())}
    (finding,) = rows["extended"].findings
    assert (finding.code, finding.severity, finding.entry) == (SAME, "info", "extended")
    assert finding.message == (
        "On this model it adapts the same as qv, at the same ranks. gate, up and down are routed"
        " experts here."
    )
    assert finding.hint == "Include the routed experts with --experts."
    assert not rows["qv"].findings
    included = compare(inventory("mixtral"), PlanRequest(experts=True))
    assert not any(finding.code == SAME for plan in included for finding in plan.findings)
    assert not any(plan.findings for plan in compare(inventory("llama")))


def test_compare_says_in_a_sentence_that_peft_has_no_default() -> None:
    row = compare(llama(model_type="novel"))[-1]
    (finding,) = row.findings
    assert finding.message == (
        "PEFT has no default for model type novel. Without target_modules it raises."
    )
    assert finding.hint == ""


def test_compare_has_a_row_for_every_preset_and_for_peft() -> None:
    plans = compare(inventory("qwen3_moe"), PlanRequest(rank=2))
    assert [plan.preset for plan in plans] == [*PRESETS, PEFT_DEFAULT]
    assert all(plan.trainable_params > 0 for plan in plans[:-1])
    assert plans[0].adapter_config["r"] == 2


def test_compare_says_what_is_impossible() -> None:
    plans = compare(inventory("mamba"), PlanRequest())
    impossible = {p.preset: p.findings[0] for p in plans if not p.targets}
    assert set(impossible) >= {"qv", "attention", "extended", "ffn", "vod"}
    assert impossible["qv"].code == IMPOSSIBLE
    assert "This model has no q or v" in impossible["qv"].message


@pytest.mark.parametrize("preset", PRESETS)
def test_twice_the_layers_are_twice_the_work(preset: str) -> None:
    request = PlanRequest(preset=preset, experts=True)
    for build in (llama, lambda layers: mixture(layers, 256)):
        half, whole = build(16), build(32)
        took = [calls(lambda each=each: make_plan(each, request)) for each in (half, whole)]
        assert took[1] < 2.5 * took[0]
