import pytest
import yaml
from real_models import GPT2, LLAMA, MIXTRAL, PHI, VISION, exported, lost

from lorascope.core.errors import ExportError
from lorascope.core.export import Trainer

SWITCHES = ("query", "key", "value", "projection", "mlp", "head")


def switched(text: str) -> str:
    said = yaml.safe_load(text)
    return " ".join(name for name in SWITCHES if said[f"lora_{name}"])


@pytest.mark.parametrize(
    ("preset", "on"),
    [
        ("qv", "query value"),
        ("attention", "query key value projection"),
        ("all-linear", "query key value projection mlp"),
    ],
)
def test_whole_groups_of_llama_are_exact(preset: str, on: str) -> None:
    found = exported(Trainer.LITGPT, LLAMA, preset)
    assert (found.losses, switched(found.text)) == ((), on)


def test_the_file() -> None:
    said = yaml.safe_load(exported(Trainer.LITGPT, LLAMA, dropout=0.05).text)
    assert said["checkpoint_dir"] == "checkpoints/meta-llama/Llama-3.1-8B"
    assert (said["lora_r"], said["lora_alpha"], said["lora_dropout"]) == (8, 16, 0.05)


def test_part_of_the_feed_forward_is_lossy() -> None:
    found = exported(Trainer.LITGPT, LLAMA, "vod")
    assert lost(found) == [("targets", 32)]
    assert "all layers together" in found.losses[0].hint


def test_some_layers_and_ranks_and_saved_modules_are_lossy() -> None:
    assert lost(exported(Trainer.LITGPT, LLAMA, layers="0-1")) == [("targets", 60)]
    assert lost(exported(Trainer.LITGPT, LLAMA, "extended")) == [("r", 96)]
    more = {"modules_to_save": ["lm_head"]}
    assert lost(exported(Trainer.LITGPT, LLAMA, more=more)) == [("modules_to_save", 1)]


def test_what_transformers_fuses_has_several_pairs_of_factors() -> None:
    found = exported(Trainer.LITGPT, PHI, "all-linear")
    assert switched(found.text) == "query key value projection mlp"
    assert [loss.message[:29] for loss in found.losses] == [
        "LitGPT trains 3 pairs of fact",
        "LitGPT trains 2 pairs of fact",
    ]


def test_a_mixture_adapts_its_router_as_well() -> None:
    found = exported(Trainer.LITGPT, MIXTRAL, "all-linear")
    assert found.losses[0].paths[0] == "model.layers.0.mlp.gate"
    assert lost(exported(Trainer.LITGPT, MIXTRAL)) == []


@pytest.mark.parametrize("name", [VISION, GPT2])
def test_models_it_does_not_have_are_refused(name: str) -> None:
    with pytest.raises(ExportError, match="has no model of the type"):
        exported(Trainer.LITGPT, name)


def test_an_alpha_that_is_no_whole_number_is_lossy() -> None:
    found = exported(Trainer.LITGPT, LLAMA, more={"use_rslora": True, "r": 8, "lora_alpha": 8})
    assert lost(found) == [("lora_alpha", 64)]
