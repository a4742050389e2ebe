"""Layers, towers, hazards and precedence of rows, on inventories made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import container, embedding, inventory_of, linear, llama, mixture
from lorascope.core.inventory import Module
from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.roles import assign
from lorascope.roles.blocks import block_path, layer_numbers
from lorascope.roles.matcher import Matcher
from lorascope.roles.tables import parse_table


def test_assignment_leaves_its_argument_alone_and_is_idempotent() -> None:
    before = llama()
    copy = replace(before, modules=tuple(before.modules))
    once = assign(before)
    assert before == copy
    assert assign(once) == once


def test_a_name_that_no_row_knows_stays_unknown() -> None:
    module = assign(inventory_of([linear("model.layers.0.zig.zag", (8, 8))])).by_path[
        "model.layers.0.zig.zag"
    ]
    assert (module.role, module.evidence, module.rule) == (Role.UNKNOWN, Evidence.UNKNOWN, None)


def test_a_wrong_earlier_role_is_not_kept() -> None:
    stale = linear("model.layers.0.zig.zag", (8, 8), Role.ATTENTION_Q)
    assert assign(inventory_of([stale])).modules[0].role is Role.UNKNOWN


def test_everything_in_a_block_has_its_layer_and_nothing_else_has_one() -> None:
    layers = {module.path: module.layer for module in assign(llama(2)).modules}
    assert layers["model.layers.1"] == 1
    assert layers["model.layers.1.input_layernorm"] == 1
    assert layers["model.layers.0.self_attn.q_proj"] == 0
    assert layers["model.embed_tokens"] is None
    assert layers["lm_head"] is None
    assert layers["model"] is None


def test_the_layer_of_an_expert_is_its_block() -> None:
    path = "model.layers.5.mlp.experts.17.up_proj"
    assert assign(inventory_of([linear(path, (8, 8))])).by_path[path].layer == 5
    stacked = assign(mixture(2)).by_path["model.layers.1.mlp.experts.down_proj"]
    assert (stacked.layer, stacked.role) == (1, Role.MOE_EXPERTS_DOWN)


STAGES = {"stages": frozenset({"blocks"}), "block": frozenset({""})}


@pytest.mark.parametrize(
    ("path", "block"),
    [
        ("model.layers.3.mlp.experts.5.w1", "model.layers.3"),
        ("encoder.stages.1.blocks.0.attn.q", "encoder.stages.1.blocks.0"),
        ("encoder.stages.1.norm", "encoder.stages.1"),
        ("encoder.block.2.0.mlp.fc1", "encoder.block.2.0"),
        ("encoder.block.2.layer.0.SelfAttention.q", "encoder.block.2"),
        ("model.layers.3", None),
        ("lm_head", None),
    ],
)
def test_the_block_is_the_child_of_the_outermost_list(path: str, block: str | None) -> None:
    assert block_path(path, STAGES) == block


def test_blocks_inside_stages_are_counted_through() -> None:
    blocks = ["e.stages.0.blocks.0", "e.stages.0.blocks.1", "e.stages.1.blocks.0", "d.layers.7"]
    assert layer_numbers(blocks) == dict(zip(blocks, (0, 1, 2, 7), strict=True))


def test_the_tower_that_the_config_gave_is_kept_below_a_misleading_name() -> None:
    path = "model.visual.layers.0.self_attn.q_proj"
    told = linear(path, (8, 8), tower=Tower.AUDIO)
    assert assign(inventory_of([told])).by_path[path].tower is Tower.AUDIO
    assert assign(inventory_of([linear(path, (8, 8))])).by_path[path].tower is Tower.VISION


def test_encoder_and_decoder_side_by_side_are_towers() -> None:
    paths = [f"model.{side}.layers.0.self_attn.q_proj" for side in ("encoder", "decoder")]
    inventory = assign(inventory_of([*(linear(path, (8, 8)) for path in paths)]))
    assert [module.tower for module in inventory.modules] == [Tower.ENCODER, Tower.DECODER]
    assert inventory.model.main_towers == (Tower.ENCODER, Tower.DECODER)


def test_an_encoder_alone_is_no_tower_of_its_own() -> None:
    modules = [
        embedding("embeddings.word_embeddings", 8, 8),
        linear("encoder.layer.0.attention.self.query", (8, 8)),
    ]
    inventory = assign(inventory_of(modules))
    assert {module.tower for module in inventory.modules} == {Tower.TEXT}
    assert inventory.model.main_towers == (Tower.TEXT,)


def test_a_model_of_patches_without_tokens_is_vision() -> None:
    patches = Module(
        "embeddings.patch_embeddings.projection",
        "Conv2d",
        Kind.CONVOLUTION,
        in_features=3,
        out_features=8,
        kernel=(16, 16),
    )
    query = linear("encoder.layer.0.attention.self.query", (8, 8))
    inventory = assign(inventory_of([patches, query], model_type="vit"))
    assert inventory.model.main_towers == (Tower.VISION,)
    assert inventory.by_path[query.path].hazards == ("perception_tower",)


def test_cross_attention_is_told_from_self_attention() -> None:
    paths = ("encoder.layer.0.attention.self.key", "encoder.layer.0.crossattention.self.key")
    inventory = assign(inventory_of([linear(path, (8, 8)) for path in paths]))
    assert [module.cross_attention for module in inventory.modules] == [False, True]


def test_both_sides_of_a_tie_are_marked() -> None:
    inventory = assign(mixture())
    assert inventory.by_path["lm_head"].hazards == ("tied",)
    assert inventory.by_path["model.embed_tokens"].hazards == ("tied",)
    assert assign(llama()).by_path["lm_head"].hazards == ()


def test_the_output_of_a_multihead_attention_is_dead() -> None:
    holder = Module(
        "layers.0.attn", "MultiheadAttention", Kind.MULTIHEAD_ATTENTION, in_features=8,
        out_features=24,
    )  # fmt: skip
    inventory = assign(inventory_of([holder, linear("layers.0.attn.out_proj", (8, 8))]))
    assert inventory.by_path["layers.0.attn"].role is Role.ATTENTION_QKVO
    assert inventory.by_path["layers.0.attn.out_proj"].hazards == ("forward_never_called",)


def test_the_class_of_the_holder_tells_linear_attention_from_attention() -> None:
    path = "model.layers.0.self_attn.q_proj"
    for cls, role in (
        ("KimiLinearDeltaAttention", Role.LINEAR_ATTENTION_Q),
        ("KimiLinearAttention", Role.ATTENTION_Q),
    ):
        holder = container("model.layers.0.self_attn", cls=cls)
        assert assign(inventory_of([holder, linear(path, (8, 8))])).by_path[path].role is role


def test_a_family_wins_over_longer_generic_rows_and_longer_rows_over_shorter() -> None:
    generic = parse_table(
        "g",
        'level = "generic"\n'
        '[[row]]\npattern = "q"\nrole = "attention.q"\nsource = "s"\n'
        '[[row]]\npattern = "b.q"\nrole = "attention.k"\nsource = "s"\n'
        '[[row]]\npattern = "#"\nrole = "attention.o"\nsource = "s"\n'
        '[[row]]\npattern = "list.7"\nrole = "head.lm"\nsource = "s"\n',
    )
    family = parse_table(
        "f",
        'level = "family"\n'
        '[[row]]\npattern = "q"\nrole = "attention.v"\nmodel_types = "odd*"\nsource = "s"\n',
    )
    matcher = Matcher((*generic, *family))

    def role(path: str, model_type: str = "llama") -> Role | None:
        rule = matcher.find(linear(path, (8, 8)), "", model_type)
        return None if rule is None else rule.role

    assert role("a.q") is Role.ATTENTION_Q
    assert role("b.q") is Role.ATTENTION_K
    assert role("b.q", "oddity") is Role.ATTENTION_V
    assert role("list.3") is Role.ATTENTION_O
    assert role("list.7") is Role.HEAD_LM
    assert role("q.other") is None
