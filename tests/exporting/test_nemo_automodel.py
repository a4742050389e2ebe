import pytest
import yaml
from real_models import GPT2, LLAMA, MIXTRAL, PHI, VISION, exported, lost

from lorascope.core.errors import ExportError
from lorascope.core.export import Trainer
from lorascope.exporting.nemo_automodel import wildcard_match


@pytest.mark.parametrize("name", [LLAMA, PHI, VISION])
@pytest.mark.parametrize("preset", ["qv", "all-linear"])
def test_linears_of_one_rank_are_exact(name: str, preset: str) -> None:
    assert exported(Trainer.NEMO_AUTOMODEL, name, preset).losses == ()


def test_the_file() -> None:
    said = yaml.safe_load(exported(Trainer.NEMO_AUTOMODEL, LLAMA, dropout=0.05).text)
    assert said["model"]["pretrained_model_name_or_path"] == "meta-llama/Llama-3.1-8B"
    assert said["peft"] == {
        "_target_": "nemo_automodel.components._peft.lora.PeftConfig",
        "target_modules": ["*.q_proj", "*.v_proj"],
        "dim": 8,
        "alpha": 16,
        "dropout": 0.05,
        "dropout_position": "pre",
    }


def test_the_vision_tower_is_left_out_by_the_pattern() -> None:
    said = yaml.safe_load(exported(Trainer.NEMO_AUTOMODEL, VISION, "ffn").text)
    assert said["model"]["_target_"].startswith("nemo_automodel.NeMoAutoModelForImageTextToText")
    assert said["peft"]["target_modules"][0] == "model.language_model.layers.*.mlp.gate_proj"


def test_some_layers_are_written_out_and_exact() -> None:
    found = exported(Trainer.NEMO_AUTOMODEL, LLAMA, layers="0-1")
    assert found.losses == ()
    assert "model.layers.1.self_attn.v_proj" in found.text


def test_head_and_dora_are_said() -> None:
    more = {"target_modules": ["q_proj", "lm_head"], "use_dora": True}
    found = exported(Trainer.NEMO_AUTOMODEL, LLAMA, more=more)
    assert found.losses == ()
    peft = yaml.safe_load(found.text)["peft"]
    assert (peft["target_modules"], peft["use_dora"]) == (["*.q_proj", "lm_head"], True)


def test_experts_of_transformers_and_ranks_and_saved_modules_are_lost() -> None:
    assert lost(exported(Trainer.NEMO_AUTOMODEL, MIXTRAL, "all-linear")) == [("targets", 64)]
    assert lost(exported(Trainer.NEMO_AUTOMODEL, LLAMA, "extended")) == [("r", 96)]
    more = {"modules_to_save": ["lm_head"]}
    assert lost(exported(Trainer.NEMO_AUTOMODEL, LLAMA, more=more)) == [("modules_to_save", 1)]


def test_a_model_without_linears_is_refused() -> None:
    with pytest.raises(ExportError, match=r"nn\.Linear"):
        exported(Trainer.NEMO_AUTOMODEL, GPT2)


@pytest.mark.parametrize(
    ("pattern", "name", "is_named"),
    [
        ("*.layers.0.*.linear_qkv", "decoder.layers.0.self_attention.linear_qkv", True),
        ("*.layers.0.*.linear_qkv", "decoder.layers.1.self_attention.linear_qkv", False),
        ("*layers.1.*", "model.layers.10.mlp", False),
        ("*layers.1.*", "model.layers.1.mlp", True),
        (".*fc.*", "model.mlp.fc1", True),
        ("*_proj", "model.layers.0.q_proj", True),
    ],
)
def test_wildcards_are_those_of_its_own_examples(pattern: str, name: str, is_named: bool) -> None:
    assert wildcard_match(pattern, name) is is_named
