import ast
from typing import Any

import pytest
from real_models import GPT2, LLAMA, MIXTRAL, PHI, VISION, exported, inventory, lost, wanted

from lorascope.core.errors import ExportError, SpecificationError
from lorascope.core.export import Trainer
from lorascope.exporting.exporter import Draft
from lorascope.exporting.megatron_bridge import EXPORTER
from lorascope.exporting.megatron_names import places


def said(text: str) -> tuple[str, dict[str, Any]]:
    call = ast.parse(text).body[-1]
    assert isinstance(call, ast.Assign)
    assert isinstance(call.value, ast.Call)
    pairs = {str(each.arg): ast.literal_eval(each.value) for each in call.value.keywords}
    return ast.unparse(call.value.func), pairs


@pytest.mark.parametrize("name", [LLAMA, VISION])
@pytest.mark.parametrize("preset", ["attention", "ffn", "all-linear"])
def test_whole_fused_linears_are_exact(name: str, preset: str) -> None:
    found = exported(Trainer.MEGATRON_BRIDGE, name, preset)
    assert found.losses == ()
    assert said(found.text)[0] == "CanonicalLoRA"


def test_the_call() -> None:
    kind, arguments = said(exported(Trainer.MEGATRON_BRIDGE, LLAMA, "attention").text)
    assert kind == "CanonicalLoRA"
    assert arguments == {
        "target_modules": ["linear_q", "linear_k", "linear_v", "linear_proj"],
        "dim": 8,
        "alpha": 16,
        "dropout": 0.0,
    }


def test_query_and_value_alone_would_fail_in_its_first_step() -> None:
    found = exported(Trainer.MEGATRON_BRIDGE, LLAMA)
    assert lost(found) == [("targets", 32)]
    assert found.losses[0].paths[0].endswith("k_proj")
    assert "fails in its first step" in found.losses[0].hint
    draft = Draft({"class": "CanonicalLoRA", "target_modules": ["linear_q"], "dim": 8, "alpha": 8})
    with pytest.raises(SpecificationError, match="without linear_k, linear_v"):
        EXPORTER.adapts(draft, wanted(LLAMA))


def test_some_layers_are_written_out() -> None:
    found = exported(Trainer.MEGATRON_BRIDGE, LLAMA, "attention", layers="0-1")
    assert found.losses == ()
    assert "decoder.layers.1.self_attention.linear_q" in said(found.text)[1]["target_modules"]


def test_a_vision_tower_kept_from_transformers_has_its_names() -> None:
    known = {place.path: place.name for place in places(inventory(VISION))}
    assert known["model.visual.blocks.0.attn.qkv"] == "visual.blocks.0.attn.qkv"
    assert known["model.language_model.layers.3.self_attn.q_proj"] == (
        "language_model.decoder.layers.3.self_attention.linear_qkv"
    )


def test_ranks_and_saved_modules_are_lost() -> None:
    found = exported(Trainer.MEGATRON_BRIDGE, LLAMA, "attention", {"rank_pattern": {"o_proj": 4}})
    assert ("r", 32) in lost(found)
    more = {"modules_to_save": ["lm_head"]}
    found = exported(Trainer.MEGATRON_BRIDGE, LLAMA, "attention", more)
    assert lost(found) == [("modules_to_save", 1)]


@pytest.mark.parametrize("name", [PHI, MIXTRAL, GPT2])
def test_models_without_a_bridge_are_refused(name: str) -> None:
    with pytest.raises(ExportError, match="has no bridge"):
        exported(Trainer.MEGATRON_BRIDGE, name)
