import json
from pathlib import Path

import pytest

import builders
import lorascope
from lorascope.cli.write_config import write_adapter_config
from lorascope.core.errors import ExportError, SpecificationError, UnnamedModelError
from lorascope.core.export import Trainer
from lorascope.core.inventory import Inventory
from lorascope.planning.presets import PRESETS


def llama() -> Inventory:
    return builders.completed(
        builders.llama(
            base_model="meta-llama/Llama-3.1-8B",
            task_type="CAUSAL_LM",
            input_embedding="model.embed_tokens",
            output_embedding="lm_head",
        )
    )


def test_a_plan_is_written_for_a_tool() -> None:
    plan = lorascope.plan(llama(), "attention")
    found = lorascope.export(plan, "axolotl", model=llama())
    assert found.to is Trainer.AXOLOTL
    assert found.losses == ()
    assert "from preset attention for tiny\n" in found.text


@pytest.mark.parametrize("preset", PRESETS)
def test_peft_gets_what_a_plan_writes(preset: str, tmp_path: Path) -> None:
    plan = lorascope.plan(llama(), preset)
    path = write_adapter_config(tmp_path, plan.adapter_config, force=False)
    found = lorascope.export(plan, Trainer.PEFT, model=llama())
    assert json.loads(found.text) == json.loads(path.read_text())
    assert found.text == path.read_text()


def test_what_would_be_lost_is_refused() -> None:
    plan = lorascope.plan(llama(), "extended")
    with pytest.raises(ExportError) as caught:
        lorascope.export(plan, "trl", model=llama())
    assert caught.value.what == (
        "TRL 1.16.0 cannot say all of preset extended for tiny: 9 modules would get another rank "
        "from TRL: model.layers.0.mlp.gate_proj 8 instead of 4, …."
    )
    assert "lossy=True" in (caught.value.hint or "")
    found = lorascope.export(plan, "trl", model=llama(), lossy=True)
    assert [loss.what for loss in found.losses] == ["r"]


def test_a_mapping() -> None:
    fields = {"target_modules": "all-linear", "r": 4, "lora_alpha": 8}
    found = lorascope.export(fields, "llamafactory", model=llama())
    assert "lora_target: q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj\n" in found.text


def test_a_tool_that_is_not_known() -> None:
    with pytest.raises(ExportError, match=r"No tool is called 'axolotll'\. Known are peft, trl"):
        lorascope.export({"target_modules": ["q_proj"]}, "axolotll", model=llama())


def test_a_configuration_that_peft_refuses() -> None:
    with pytest.raises(SpecificationError, match="PEFT refuses this configuration"):
        lorascope.export({"target_modules": ["nothing"]}, "trl", model=llama())


def test_a_model_is_planned_for() -> None:
    found = lorascope.export(llama(), "axolotl", preset="attention", rank=4)
    assert "lora_r: 4\n" in found.text
    assert "lora_target_modules: [q_proj, k_proj, v_proj, o_proj]\n" in found.text


def test_a_name_that_is_no_file_is_a_model() -> None:
    text = lorascope.export("Qwen2.5-0.5B", "trl", preset="qv").text
    assert "--model_name_or_path Qwen/Qwen2.5-0.5B" in text


def test_no_dropout_is_planned_for_a_tool_that_has_none() -> None:
    found = lorascope.export(llama(), "verl")
    assert found.notes[0] == "The plan has no dropout, since verl has none."
    with pytest.raises(ExportError, match="LoRA dropout"):
        lorascope.export(llama(), "verl", dropout=0.1)


def test_plan_options_beside_a_configuration() -> None:
    with pytest.raises(ExportError, match="preset is given with a configuration"):
        lorascope.export({"target_modules": ["q_proj"]}, "trl", preset="qv")


def test_a_configuration_without_a_model_says_what_to_give() -> None:
    with pytest.raises(UnnamedModelError) as caught:
        lorascope.export({"target_modules": ["q_proj"]}, "trl")
    assert caught.value.hint == "Give it: lorascope.export(…, model=…)."
