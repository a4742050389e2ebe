import shlex

import pytest
from real_models import GPT2, LLAMA, MIXTRAL, PHI, VISION, exported, lost, wanted

from lorascope.core.export import Trainer
from lorascope.exporting.verl import EXPORTER


def said(text: str) -> dict[str, str]:
    words = shlex.split(text.replace("\\\n", " "), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


@pytest.mark.parametrize("name", [LLAMA, PHI, MIXTRAL, VISION, GPT2])
@pytest.mark.parametrize("preset", ["qv", "all-linear"])
def test_one_rank_without_dropout_is_exact(name: str, preset: str) -> None:
    assert exported(Trainer.VERL, name, preset).losses == ()


def test_overrides_of_the_default_plan() -> None:
    assert said(exported(Trainer.VERL, LLAMA).text) == {
        "actor_rollout_ref.model.path": "meta-llama/Llama-3.1-8B",
        "actor_rollout_ref.model.lora_rank": "8",
        "actor_rollout_ref.model.lora_alpha": "16",
        "actor_rollout_ref.model.target_modules": "[q_proj,v_proj]",
    }


def test_experts_need_an_override_with_a_plus() -> None:
    text = exported(Trainer.VERL, MIXTRAL, "all-linear").text
    assert "+actor_rollout_ref.model.target_parameters" in said(text)


def test_some_layers_become_a_quoted_pattern_or_names() -> None:
    found = exported(Trainer.VERL, LLAMA, layers="30-31")
    value = said(found.text)["actor_rollout_ref.model.target_modules"]
    assert found.losses == ()
    assert value.startswith(('"', "["))
    assert "layers_to_transform" not in found.text


def test_a_backslash_is_doubled_only_before_a_quote() -> None:
    plan = wanted(LLAMA, more={"target_modules": r".*\.q_proj"})
    draft = next(iter(EXPORTER.drafts(plan)))
    assert said(EXPORTER.write(draft, plan))["actor_rollout_ref.model.target_modules"] == (
        r'".*\.q_proj"'
    )


def test_ranks_dropout_and_saved_modules_are_lost() -> None:
    more = {"modules_to_save": ["lm_head"]}
    found = exported(Trainer.VERL, LLAMA, "extended", more, dropout=0.05)
    assert lost(found) == [("r", 96), ("modules_to_save", 1), ("lora_dropout", 0)]
    assert "one rank" in found.losses[0].hint


def test_rslora_is_written_as_the_alpha_that_gives_its_scale() -> None:
    found = exported(Trainer.VERL, LLAMA, more={"use_rslora": True, "r": 16, "lora_alpha": 16})
    assert found.losses == ()
    assert said(found.text)["actor_rollout_ref.model.lora_alpha"] == "64"
