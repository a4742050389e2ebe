import json
from typing import Any

import pytest
from exported import READ, llama
from hypothesis import given
from hypothesis import strategies as st

import builders
from lorascope.api.configured import configured
from lorascope.core.errors import ExportError, LorascopeError
from lorascope.core.export import Exported, Form, Loss, Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Tool
from lorascope.core.spec import LoraSpec
from lorascope.exporting import exporters
from lorascope.exporting.export import export
from lorascope.exporting.exporters import EXPORTERS, exporter_of
from lorascope.formats import hand, read_recipes
from lorascope.formats.dialects import DIALECTS
from lorascope.matching import match
from lorascope.matching.configured import Configured

MODELS = {
    "llama": llama(),
    "mixture": builders.completed(
        builders.mixture(base_model="Qwen/Qwen3-30B-A3B", task_type="CAUSAL_LM")
    ),
}
NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "lm_head", "0", "router")
OF_PEFT = tuple(each for each in READ if each not in (Trainer.TORCHTUNE, Trainer.MLX_LM))


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    model = draw(st.sampled_from(sorted(MODELS)))
    names = draw(st.lists(st.sampled_from(NAMES[:6]), min_size=1, unique=True))
    fields: dict[str, Any] = {
        "r": draw(st.sampled_from([1, 8, 16])),
        "lora_alpha": draw(st.sampled_from([8, 16, 24.5])),
        "lora_dropout": draw(st.sampled_from([0.0, 0.05])),
        "target_modules": draw(
            st.sampled_from([names, "all-linear", rf".*layers\.\d+\..*({'|'.join(names)})"])
        ),
        "exclude_modules": draw(st.sampled_from([None, ["model.layers.1.self_attn.q_proj"]])),
        "layers_to_transform": draw(st.sampled_from([None, None, [0], [1, 2]])),
        "rank_pattern": draw(st.sampled_from([{}, {}, {"q_proj": 4}, {r".*\.1\..*": 2}])),
        "use_rslora": draw(st.booleans()),
        "use_dora": draw(st.sampled_from([False, False, True])),
        "bias": draw(st.sampled_from(["none", "none", "all"])),
        "modules_to_save": draw(st.sampled_from([None, None, ["lm_head"]])),
        "init_lora_weights": draw(st.sampled_from([True, True, "pissa", False])),
    }
    if fields["target_modules"] == "all-linear":
        fields["layers_to_transform"] = None
    if model == "mixture" and draw(st.booleans()):
        fields |= {"target_parameters": ["experts.down_proj"], "lora_dropout": 0.0}
        fields |= {"use_dora": False}
    return model, fields


@given(to=st.sampled_from(OF_PEFT), data=configurations())
def test_what_is_said_is_what_is_adapted(to: Trainer, data: tuple[str, dict[str, Any]]) -> None:
    model, fields = data
    try:
        wanted = configured(fields, MODELS[model])
    except LorascopeError:
        return  # PEFT refuses it
    try:
        found = export(wanted, to)
    except ExportError:
        return
    spec = given_to_peft(found, MODELS[model])
    got = match(MODELS[model], spec)
    is_same = (
        {each.path: each.rank for each in got.targets}
        == {each.path: each.rank for each in wanted.match.targets}
        and all(
            each.scaling == pytest.approx(wanted.adapted[each.path].scaling) for each in got.targets
        )
        and {each.path for each in got.saved} == wanted.saved
    )
    about = {loss.what for loss in found.losses} & {
        "targets", "r", "lora_alpha", "modules_to_save",
    }  # fmt: skip
    assert is_same is not bool(about)
    if to is Trainer.PEFT:
        assert found.losses == ()
    assert ("bias" in {loss.what for loss in found.losses}) is (spec.bias != wanted.spec.bias)
    assert spec.use_dora is wanted.spec.use_dora


def given_to_peft(found: Exported, inventory: Inventory) -> LoraSpec:
    """Read an exported text as `lorascope check` does."""
    [recipe] = read_recipes(found.text, found.file_name)
    assert recipe.tool == found.to.value
    return LoraSpec.from_dict(hand(recipe, inventory))


def test_every_tool_has_its_exporter() -> None:
    assert set(EXPORTERS) == set(Trainer)
    for to in READ:
        exporter = exporter_of(to)
        assert exporter.to is to
        [dialect] = [each for each in DIALECTS if each.tool == Tool(to.value)]
        assert exporter.version == dialect.version
        assert exporter.form in Form


def test_a_tool_without_an_exporter_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "EXPORTERS", {Trainer.VERL: "no_such_file"})
    with pytest.raises(ExportError, match="Nothing can be written for verl yet"):
        exporter_of(Trainer.VERL)


def test_of_several_drafts_the_one_with_the_fewest_losses() -> None:
    found = export(_wanted(rank_pattern={"q_proj": 4}, lora_alpha=2.5), Trainer.TRL)
    assert sorted({loss.what for loss in found.losses}) == ["lora_alpha", "r"]


def test_a_loss_names_the_modules_in_order() -> None:
    found = export(_wanted(target_modules=["up_proj", "q_proj"]), Trainer.TORCHTUNE)
    [loss] = found.losses
    assert isinstance(loss, Loss)
    assert "model.layers.0.mlp" in loss.paths[0]


def test_peft_keeps_fields_that_choose_no_modules() -> None:
    config = json.loads(export(_wanted(loftq_config={"loftq_bits": 4}), Trainer.PEFT).text)
    assert config["loftq_config"] == {"loftq_bits": 4}


def _wanted(**fields: Any) -> Configured:
    known = {"target_modules": ["q_proj", "v_proj"], "lora_alpha": 16}
    return configured(known | fields, MODELS["llama"])
