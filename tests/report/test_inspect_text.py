import re
from dataclasses import replace

import pytest

import builders
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.report.inspect_rows import own_params, sections
from lorascope.report.inspect_text import inspect_text
from lorascope.report.layout import UNLIMITED

MODELS = {
    "llama": builders.llama(),
    "mixture": builders.mixture(61, 256),
    "multimodal": builders.multimodal(),
}


def text_of(inventory: Inventory, width: int = UNLIMITED, **more: object) -> str:
    return "\n".join(line.plain for line in inspect_text(inventory, width, **more))


def row_of(text: str, name: str) -> list[str]:
    """The columns of the one row about `name`."""
    (found,) = [line for line in text.splitlines() if name in re.split(r"\s{2,}", line)]
    return re.split(r"\s{2,}", found.strip())


def printed_sums(text: str) -> tuple[int, int, int, int]:
    """Parameters and LoRA parameters: added up over printed rows, and as the total says."""
    params = lora = 0
    for line in text.splitlines():
        match = re.search(r"([\d,]+)\s+[<>]?[\d.]+%(?:\s+([\d,]+|–))?$", line)
        if match is None or "all of" in line:
            continue
        numbers = [int((part or "0").replace(",", "").replace("–", "0")) for part in match.groups()]
        if line.split()[0] == "total":
            return params, lora, *numbers
        params += numbers[0]
        lora += numbers[1]
    raise AssertionError("no total printed")


@pytest.mark.parametrize("inventory", MODELS.values(), ids=MODELS)
def test_printed_rows_add_up_to_the_printed_total(inventory: Inventory) -> None:
    params, lora, total, total_lora = printed_sums(text_of(inventory))
    assert params == total == inventory.model.total_params
    assert lora == total_lora == sum(m.lora_params_per_rank for m in inventory.adaptable)


@pytest.mark.parametrize("inventory", MODELS.values(), ids=MODELS)
def test_narrowed_rows_add_up_too(inventory: Inventory) -> None:
    shown = [m for m in inventory.listed if m.role.group == "attention"]
    text = text_of(inventory, modules=shown)
    params, lora, total, total_lora = printed_sums(text)
    assert params == total == inventory.model.total_params
    assert lora == total_lora == sum(m.lora_params_per_rank for m in shown)
    assert "left out by the options" in text


@pytest.mark.parametrize("inventory", MODELS.values(), ids=MODELS)
def test_group_sums_are_those_of_their_rows(inventory: Inventory) -> None:
    own = own_params(inventory)
    assert sum(own.values()) == inventory.model.total_params
    for section in sections(inventory, inventory.listed):
        for group in section.groups:
            members = [
                m
                for m in inventory.listed
                if m.tower is section.tower and m.role.group == group.group
            ]
            assert group.params == sum(own[m.path] for m in members)
            assert sum(row.count for row in group.rows) == len(members)


def test_header_states_sizes_and_how_it_was_built() -> None:
    text = text_of(builders.llama(is_default_config=True))
    assert "LlamaForCausalLM" in text
    assert "llama (default config of the type)" in text
    assert "hidden 8, intermediate 16, layers 3, heads 4 (key and value 2), vocabulary 32" in text
    assert "2,272 (2.27 k), bfloat16" in text
    assert "on the meta device, transformers 5.23.0, torch 2.13.0" in text


def test_header_states_the_widths_that_modules_have() -> None:
    text = text_of(builders.mixture())
    assert "hidden 8, intermediate 16, expert width 16, layers 3" in text, "layer 0 is dense"
    experts = replace(
        builders.mixture(),
        modules=tuple(m for m in builders.mixture().modules if m.role.group != "ffn"),
    )
    assert "hidden 8, expert width 16, layers 3" in text_of(experts)


@pytest.mark.parametrize("order", ["kvqo", "oqvk"])
def test_rows_stand_in_the_order_of_their_roles(order: str) -> None:
    modules = [
        builders.linear(f"{part}{name}", (2, 2), Role(f"attention.{name}"), cross_attention=cross)
        for part, cross in (("self", False), ("cross", True))
        for name in order
    ]
    lines = text_of(builders.inventory_of(modules)).splitlines()
    shown = [re.split(r"\s{2,}", line.strip()) for line in lines if " · " in line]
    names = [row[2] for row in shown if row[1:2] == ["·"]]
    assert names == [f"{part}{name}" for part in ("self", "cross") for name in "qkvo"]


def test_what_is_outside_the_towers_of_an_encoder_decoder() -> None:
    shared = builders.embedding("shared", 4, 2)
    modules = [shared, builders.linear("encoder.q", (2, 2), tower=Tower.ENCODER)]
    towers = (Tower.ENCODER, Tower.DECODER)
    text = text_of(builders.inventory_of(modules, main_towers=towers))
    assert "outside the towers" in text.splitlines()


def test_bare_parameters_are_not_called_what_no_adapter_fits() -> None:
    modules = [builders.container("projector", (4, 6)), builders.linear("q", (2, 2))]
    text = text_of(builders.inventory_of(modules))
    assert row_of(text, "norms, bare parameters and others outside the rows above")[1] == "24"


def test_layers_fold_into_one_row() -> None:
    row = row_of(text_of(builders.llama()), "model.layers.{0-2}.self_attn.k_proj")
    assert row == [
        "k",
        "·",
        "model.layers.{0-2}.self_attn.k_proj",
        "3",
        "8 → 4",
        "96",
        "4.2%",
        "36",
    ]


def test_expert_parameters_show_their_experts() -> None:
    row = row_of(text_of(builders.mixture(61, 256)), "model.layers.{1-60}.mlp.experts.gate_up_proj")
    assert row[3:6] == ["60", "8 → 32 × 256", "3,932,160"]


def test_a_module_list_of_experts_folds_into_three_rows() -> None:
    modules = [builders.container("")]
    for layer in range(61):
        for expert in range(256):
            path = f"layers.{layer}.experts.{expert}.w1"
            modules.append(builders.linear(path, (4, 4), Role.MOE_EXPERTS_GATE, layer=layer))
    text = text_of(builders.inventory_of(modules))
    assert row_of(text, "layers.{0-60}.experts.{0-255}.w1")[3] == "15,616"
    assert len(text.splitlines()) < 20


def test_what_is_tied_counts_once_and_says_to_what() -> None:
    row = row_of(text_of(builders.mixture()), "= model.embed_tokens")
    assert row[:4] == ["lm", "·", "lm_head", "= model.embed_tokens"]
    assert row[6] == "0"


def test_towers_stand_apart_and_say_that_presets_leave_them_out() -> None:
    lines = text_of(builders.multimodal()).splitlines()
    text, vision, projector = (
        lines.index("text tower"),
        lines.index("vision tower (presets leave it out unless --tower vision asks for it)"),
        next(i for i, line in enumerate(lines) if line.startswith("projector between")),
    )
    assert text < vision < projector
    assert any("vision.layers.{0-1}.attn.q_proj" in line for line in lines[vision:projector])
    assert not any("vision." in line for line in lines[:vision])


def test_hazards_are_marked_and_explained() -> None:
    text = text_of(builders.mixture())
    assert row_of(text, "model.layers.{1-2}.mlp.gate")[1] == "!"
    assert row_of(text, "model.layers.{1-2}.mlp.gate")[3] == "(Qwen3MoeTopKRouter)"
    assert row_of(text, "model.layers.{1-2}.mlp.gate")[-1] == "–"
    assert "router (2): routes tokens to experts" in text
    assert text.index("Hazards") < text.index("router (2)")


def test_many_hazardous_patterns_are_counted_not_listed() -> None:
    modules = [
        builders.linear(f"{name}.proj", (2, 2), hazards=("state_space_kernel",)) for name in "abcde"
    ]
    text = text_of(builders.inventory_of(modules))
    assert "a.proj, b.proj, c.proj and 2 more patterns" in text


def test_evidence_is_marked() -> None:
    modules = [
        builders.linear("a", (2, 2), Role.ATTENTION_Q, evidence=Evidence.OBSERVED),
        builders.linear("b", (2, 2), Role.ATTENTION_K),
        builders.linear("c", (2, 2)),
    ]
    text = text_of(builders.inventory_of(modules))
    assert [row_of(text, name)[1] for name in "abc"] == ["✓", "·", "?"]
    assert "✓ observed in a forward pass (1), · by a name rule (1), ? unknown (1)" in text


def test_unusual_classes_are_named() -> None:
    conv = replace(
        builders.linear("conv", (3, 8), Role.EMBEDDING_PATCH),
        cls="Conv2d",
        kind=Kind.CONVOLUTION,
        kernel=(14, 14),
    )
    row = row_of(text_of(builders.inventory_of([conv])), "conv")
    assert row[3] == "(Conv2d)"
    assert row[5] == "3 → 8, kernel 14×14"


def test_notes_come_last_with_control_characters_escaped() -> None:
    text = text_of(builders.llama(notes=("Sizes \x1b[31mdiffer.",)))
    assert text.endswith("Notes\n  - Sizes \\x1b[31mdiffer.")


def test_a_hostile_name_reaches_no_terminal() -> None:
    modules = [builders.linear("a\x1b]0;title\x07[bold]b", (2, 2))]
    text = text_of(builders.inventory_of(modules, reference="\x1b[2J[red]x"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"a\x1b]0;title\x07[bold]b" in text
    assert text.startswith(r"\x1b[2J[red]x")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("inventory", MODELS.values(), ids=MODELS)
def test_text_keeps_to_the_width(inventory: Inventory, width: int) -> None:
    lines = inspect_text(inventory, width)
    assert max(line.width for line in lines) <= width


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_every_pattern_stays_whole_at_any_width(width: int) -> None:
    wide, narrow = text_of(MODELS["mixture"]), text_of(MODELS["mixture"], width)
    patterns = re.findall(r"\S+\{\S+", wide)
    assert len(patterns) >= 7
    for pattern in patterns:
        assert pattern in narrow


def test_all_modules_can_be_shown() -> None:
    inventory = builders.llama()
    text = text_of(inventory, modules=inventory.modules)
    assert "containers and norms" in text.splitlines()
    assert row_of(text, "model.layers.{0-2}.input_layernorm")[:2] == [
        "model.layers.{0-2}.input_layernorm",
        "(LlamaRMSNorm)",
    ]
    assert "role unknown" not in text
    assert "?" not in text
    params, _, total, _ = printed_sums(text)
    assert params == total
