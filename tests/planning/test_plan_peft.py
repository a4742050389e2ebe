"""PEFT carries every plan out to the last parameter: get_peft_model on real classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import ParamWrapper
from peft_judge import inject, planned_scales, saved_bytes, stated_bytes
from tiny_models import NAMES, inventory, on_meta, with_weights
from torch.nn.utils.parametrize import ParametrizationList

from lorascope.core.errors import PlanError
from lorascope.core.plan import Plan
from lorascope.matching.versions import behaviour_of
from lorascope.planning import PRESETS, PlanRequest, make_plan

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"layers": "0,2"},
    {"layers": "1"},
    {"experts": True},
    {"experts": False},
    {"rslora": True, "rank": 4, "alpha": 12},
    {"dora": True},
    {"bias": "lora_only"},
    {"bias": "all"},
    {"max_params": 20_000},
)

SAVES_BUFFERS = behaviour_of(peft.__version__).bias_all_matches_substring
"""With bias "all" PEFT 0.20 also saves buffers that have `bias` in their name; an inventory lists
parameters only."""

WITHOUT_ATTENTION = {"mamba"}
ONLY_EXPERTS = {"mixtral", "gpt_oss"}


def _request(**options: Any) -> PlanRequest:
    """A request for the installed PEFT."""
    return PlanRequest(**options, peft_version=peft.__version__)


def _judge(name: str, plan: Plan) -> None:
    known = inventory(name)
    injected = inject(on_meta(name), plan)
    assert injected.scales == planned_scales(plan, known)
    assert injected.trainable == plan.trainable_params
    if not (SAVES_BUFFERS and plan.adapter_config["bias"] == "all"):
        assert stated_bytes(injected.model) == plan.adapter_bytes
    heads = sum(known.by_path[path].total_params for path in plan.saved_modules)
    if plan.adapter_config["bias"] == "none":
        assert plan.trainable_params == heads + sum(target.params for target in plan.targets)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_carried_out(name: str, preset: str) -> None:
    request = _request(preset=preset)
    if name in WITHOUT_ATTENTION and preset != "all-linear":
        with pytest.raises(PlanError, match="This model has no"):
            make_plan(inventory(name), request)
        return
    if name in ONLY_EXPERTS and preset == "ffn":
        with pytest.raises(PlanError, match="--experts"):
            make_plan(inventory(name), request)
        return
    plan = make_plan(inventory(name), request)
    _judge(name, plan)


@pytest.mark.parametrize("options", OPTIONS[1:], ids=str)
@pytest.mark.parametrize("name", ["llama", "gpt2", "deepseek_v3", "mixtral", "t5", "bert_seq_cls"])
def test_every_option_is_carried_out(name: str, options: dict[str, Any]) -> None:
    made = 0
    for preset in ("qv", "extended", "all-linear"):
        try:
            plan = make_plan(inventory(name), _request(preset=preset, **options))
        except PlanError:
            continue
        made += 1
        _judge(name, plan)
        if limit := options.get("max_params"):
            assert plan.trainable_params <= limit
    assert made


@pytest.mark.parametrize("tower", ["vision", "projector"])
def test_a_tower_is_adapted_when_asked(tower: str) -> None:
    plan = make_plan(inventory("llava"), _request(preset="all-linear", towers=(tower,)))
    assert {target.tower.value for target in plan.targets} == {tower}
    _judge("llava", plan)


@pytest.mark.parametrize("name", ["t5", "whisper", "llama"])
def test_a_head_is_adapted_when_named(name: str) -> None:
    _judge(name, make_plan(inventory(name), _request(roles=("q=2", "head.lm=4"))))


ROLES = st.sampled_from(
    ["q", "v=4", "k=2", "o", "gate=3", "up=3", "down", "attention", "ffn=5", "moe.shared", "q=6"]
)


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, PlanRequest]:
    name = draw(st.sampled_from(NAMES))
    known = inventory(name)
    paths = [module.path for module in known.adaptable]
    layers = sorted({m.layer for m in known.adaptable if m.layer is not None})
    options: dict[str, Any] = {
        "exclude": draw(
            st.lists(
                st.sampled_from(paths).map(lambda p: p.split(".", draw(st.integers(0, 3)))[-1]),
                max_size=2,
            )
        ),
        "layers": draw(st.none() | st.lists(st.sampled_from(layers), min_size=1, unique=True)),
        "experts": draw(st.none() | st.booleans()),
        "rslora": draw(st.booleans()),
        "dora": draw(st.booleans()),
        "alpha": draw(st.none() | st.sampled_from([1, 7, 16, 0.5])),
        "bias": draw(st.sampled_from(["none", "lora_only", "all"])),
        "task": draw(st.none() | st.sampled_from(["math", "rl", "classification"])),
    }
    if draw(st.booleans()):
        options["roles"] = draw(st.lists(ROLES, min_size=1, max_size=3, unique=True))
    elif draw(st.booleans()):
        options["preset"] = draw(st.sampled_from(tuple(PRESETS)))
    if draw(st.booleans()):
        options["rank"] = 2 * draw(st.integers(1, 6))
    elif draw(st.booleans()):
        options["max_params"] = draw(st.integers(100, 200_000))
    return name, _request(**options)


@given(_requests())
def test_whatever_is_asked_is_carried_out_or_refused(asked: tuple[str, PlanRequest]) -> None:
    name, request = asked
    try:
        plan = make_plan(inventory(name), request)
    except PlanError:
        return
    if request.max_params is not None:
        assert plan.trainable_params <= request.max_params
    _judge(name, plan)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("llama", {}),
        ("llama", {"preset": "all-linear", "dora": True}),
        ("llama", {"roles": ("q", "embedding.token", "head.lm")}),
        ("llama", {"roles": ("q", "embedding.token"), "dora": True}),
        ("llama_seq_cls", {"preset": "extended"}),
        ("phi3", {"preset": "attention"}),
        ("gpt2", {"preset": "all-linear", "bias": "all"}),
        ("opt", {"bias": "lora_only"}),
        ("qwen3_moe", {"preset": "all-linear"}),
        ("deepseek_v3", {"preset": "all-linear", "rank": 3}),
        ("mixtral", {"preset": "extended", "experts": True}),
        ("t5", {"preset": "all-linear"}),
        ("bert_seq_cls", {"bias": "all"}),
        ("roberta_seq_cls", {"bias": "all"}),
        ("distilbert_seq_cls", {}),
        ("bert_token_cls", {}),
        ("bert_qa", {}),
        ("whisper", {"preset": "ffn"}),
        ("gemma3", {"preset": "vod"}),
    ],
    ids=str,
)
def test_the_file_has_the_size_that_the_plan_states(
    name: str, options: dict[str, Any], dtype: torch.dtype, tmp_path: Path
) -> None:
    known = inventory(name)
    stated = replace(known, model=replace(known.model, dtype=str(dtype).removeprefix("torch.")))
    plan = make_plan(stated, _request(**options))
    injected = inject(with_weights(name, dtype), plan)
    assert saved_bytes(injected.model, tmp_path) == plan.adapter_bytes


def test_the_configuration_round_trips(tmp_path: Path) -> None:
    plan = make_plan(inventory("deepseek_v3"), _request(preset="extended", experts=True))
    plan.to_peft().save_pretrained(str(tmp_path))
    loaded = LoraConfig.from_pretrained(str(tmp_path))
    for key, value in plan.adapter_config.items():
        got = getattr(loaded, key)
        assert (sorted(got) if isinstance(got, set) else got) == (
            sorted(value) if isinstance(got, set) else value
        ), key


def test_peft_leaves_the_plan_as_it_was() -> None:
    plan = make_plan(inventory("bert_seq_cls"), _request())
    before = repr(plan)
    inject(on_meta("bert_seq_cls"), plan)
    assert repr(plan) == before


@pytest.mark.parametrize("name", ["qwen3_moe", "deepseek_v3", "mixtral", "qwen2_moe"])
def test_what_is_named_as_a_parameter_trains_as_a_linear_would(name: str) -> None:
    plan = make_plan(inventory(name), _request(preset="all-linear", rank=2))
    model = inject(with_weights(name), plan).model
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for parameter in trained.values():
            parameter.normal_(std=0.1)
    tokens = torch.arange(24).reshape(2, 12)
    logits = model(input_ids=tokens, labels=tokens)
    logits.loss.backward()
    assert [n for n, p in trained.items() if p.grad is None or not p.grad.abs().sum()] == []
    merged = with_weights(name)
    for path, weight in _deltas(model).items():
        merged.get_parameter(path).data += weight
    torch.testing.assert_close(merged(input_ids=tokens).logits, logits.logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["deepseek_v3", "gpt_oss"])
def test_peft_rebuilds_what_target_parameters_name_in_every_forward(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `docs/presets.md` says of the cost: the whole weight, twice, one of them kept."""
    plan = make_plan(inventory(name), _request(preset="all-linear", rank=2))
    model = inject(with_weights(name), plan).model
    wrappers = [m for m in model.modules() if isinstance(m, ParamWrapper)]
    made: list[torch.Tensor] = []
    forward = ParametrizationList.forward

    def counted(self: ParametrizationList) -> torch.Tensor:
        made.append(forward(self))
        return made[-1]

    monkeypatch.setattr(ParametrizationList, "forward", counted)
    kept: list[torch.Tensor] = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
    )
    with hooks:
        model(input_ids=torch.arange(24).reshape(2, 12))
    assert len(made) == 2 * len(wrappers)
    storages = {tensor.untyped_storage().data_ptr() for tensor in kept}
    assert sum(t.untyped_storage().data_ptr() in storages for t in made) >= len(wrappers)


def _deltas(model: Any) -> dict[str, torch.Tensor]:
    """B·A·alpha/r of everything adapted, worked out here from the plain matrices."""
    found = {}
    for path, module in model.base_model.model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
        scale = module.lora_alpha["default"] / module.r["default"]
        name = path.replace(".base_layer", "")
        parameter = module.parameter_name if isinstance(module, ParamWrapper) else "weight"
        shape = module.get_base_layer().get_parameter(parameter).shape
        if len(shape) == 3:
            a = a.reshape(shape[0], -1, a.shape[-1])
            b = b.reshape(b.shape[0], -1, shape[0])
            delta = torch.einsum("ore,eri->eoi", b, a)
            delta = delta if delta.shape == shape else delta.transpose(1, 2)
        else:
            delta = b @ a
        found[f"{name}.{parameter}"] = scale * delta.detach()
    return found


@pytest.mark.parametrize(
    "init", [True, False, "gaussian", "olora", "pissa", "pissa_niter_2", "orthogonal", "eva"]
)
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_every_initialization_is_carried_out(name: str, init: bool | str) -> None:
    options: tuple[dict[str, Any], ...] = (
        {},
        {"dora": True},
        {"roles": ("q", "embedding.token")},
    )
    for more in options:
        if (name, init) == ("gpt2", "olora"):
            with pytest.raises(PlanError, match="PEFT gets it wrong on .*c_attn, which is a Conv1"):
                make_plan(inventory(name), _request(init=init, rank=4, **more))
            continue
        plan = make_plan(inventory(name), _request(init=init, rank=4, **more))
        injected = inject(with_weights(name), plan)
        assert injected.trainable == plan.trainable_params
        assert injected.scales == planned_scales(plan, inventory(name))


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_4", "orthogonal", "eva", "gaussian"])
def test_an_initialization_leaves_the_answers_of_a_conv1d_model(init: str) -> None:
    tokens = torch.arange(24).reshape(2, 12)
    before = with_weights("gpt2").eval()(input_ids=tokens).logits
    for preset in ("all-linear", "attention"):
        plan = make_plan(inventory("gpt2"), _request(preset=preset, init=init, rank=4))
        model = inject(with_weights("gpt2"), plan).model.eval()
        after = model(input_ids=tokens).logits
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("target", ["c_attn", "attn.c_proj"])
def test_peft_gets_olora_wrong_on_a_conv1d(target: str) -> None:
    """The reason why a plan refuses it. Once this fails, PEFT has mended it."""
    config = LoraConfig(
        r=4, target_modules=[target], fan_in_fan_out=True, init_lora_weights="olora"
    )
    tokens = torch.arange(24).reshape(2, 12)
    before = with_weights("gpt2").eval()(input_ids=tokens).logits
    model = get_peft_model(with_weights("gpt2"), config).eval()
    if target == "c_attn":
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            model(input_ids=tokens)
    else:
        assert (model(input_ids=tokens).logits - before).abs().max() > 0.01


@pytest.mark.parametrize(("init", "rank"), [("pissa", 17), ("olora", 33), ("orthogonal", 18)])
def test_a_rank_above_the_weights_own_is_refused(init: str, rank: int) -> None:
    with pytest.raises(PlanError, match=f"would get rank {rank}; expected .*at most"):
        make_plan(inventory("llama"), _request(init=init, rank=rank))


def test_a_model_of_many_layers_with_holes_takes_full_names() -> None:
    holes = ("model.layers.3.self_attn.v_proj", "model.layers.5.self_attn.q_proj")
    plan = make_plan(inventory("qwen3_moe_deep"), _request(exclude=holes))
    listed = plan.adapter_config["target_modules"]
    assert sorted(listed) == sorted(target.path for target in plan.targets)
    assert len(listed) == 2 * 12 - 2
    _judge("qwen3_moe_deep", plan)
