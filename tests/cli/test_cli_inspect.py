import json
from collections.abc import Callable

import pytest
from commands import run
from jsonschema import Draft202012Validator

import builders
from lorascope.core.inventory import Inventory
from lorascope.report.schemas import schema_text

Capture = pytest.CaptureFixture[str]
Serve = Callable[[Inventory], None]


def test_inspect_prints_the_table(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "inspect", "tiny")
    assert (result.code, result.err) == (0, "")
    assert "LlamaForCausalLM" in result.out
    assert "model.layers.{0-2}.self_attn.q_proj" in result.out
    assert "\x1b" not in result.out, "no colour in a pipe"


def test_names_are_all_that_stdout_holds(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "inspect", "tiny", "--names")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [module.path for module in llama.adaptable]


def test_names_can_be_narrowed(llama: Inventory, capsys: Capture) -> None:
    arguments = ["inspect", "tiny", "--names", "--role", "q", "--role", "ffn.down"]
    assert run(capsys, *arguments, "--layer", "1-2").out.splitlines() == [
        f"model.layers.{layer}.{name}"
        for layer in (1, 2)
        for name in ("self_attn.q_proj", "mlp.down_proj")
    ]


def test_narrowing_by_tower(serve: Serve, capsys: Capture) -> None:
    serve(builders.multimodal())
    result = run(capsys, "inspect", "tiny", "--names", "--tower", "vision", "--role", "attention.v")
    assert result.out.splitlines() == [f"vision.layers.{i}.attn.v_proj" for i in range(2)]


def test_all_names_every_module(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "inspect", "tiny", "--names", "--all")
    assert result.out.splitlines() == [module.path for module in llama.modules if module.path]


@pytest.mark.parametrize("more", [(), ("--all",), ("--role", "moe"), ("--layer", "1")])
def test_json_keeps_to_its_schema(serve: Serve, capsys: Capture, more: tuple[str, ...]) -> None:
    serve(builders.mixture())
    result = run(capsys, "inspect", "tiny", "--json", *more)
    assert (result.code, result.err) == (0, "")
    Draft202012Validator(json.loads(schema_text("inspect"))).validate(json.loads(result.out))


def test_json_can_be_narrowed(serve: Serve, capsys: Capture) -> None:
    serve(builders.mixture())
    result = run(capsys, "inspect", "tiny", "--json", "--role", "moe.router")
    assert [m["path"] for m in json.loads(result.out)["modules"]] == [
        "model.layers.1.mlp.gate",
        "model.layers.2.mlp.gate",
    ]


def test_a_hostile_name_reaches_no_terminal(serve: Serve, capsys: Capture) -> None:
    serve(builders.inventory_of([builders.linear("a\x1b[2J\nb", (2, 2))]))
    for form in ((), ("--names",), ("--json",)):
        result = run(capsys, "inspect", "tiny", *form)
        assert "\x1b" not in result.out
        assert "a\nb" not in result.out
    assert run(capsys, "inspect", "tiny", "--names").out == "a\\x1b[2J\\nb\n"


def test_a_long_name_is_never_cut(serve: Serve, capsys: Capture) -> None:
    name = "layer." * 100 + "proj"
    serve(builders.inventory_of([builders.linear(name, (2, 2))]))
    assert run(capsys, "inspect", "tiny", "--names").out == f"{name}\n"
    assert name in run(capsys, "inspect", "tiny").out


def test_an_unknown_role_names_the_nearest(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "inspect", "tiny", "--role", "atention.q")
    assert result.code == 2
    assert result.err.startswith(
        "Error: --role: 'atention.q' is no role. Did you mean attention.q?"
    )
    assert result.out == ""


def test_asking_for_what_the_model_lacks_says_what_it_has(
    llama: Inventory, capsys: Capture
) -> None:
    result = run(capsys, "inspect", "tiny", "--names", "--tower", "vision", "--layer", "7")
    assert result.code == 2
    assert result.err == (
        "Error: tiny has no module for --tower vision --layer.\n"
        "Its roles are attention.k, attention.o, attention.q, attention.v, embedding.token,"
        " ffn.down, ffn.gate, ffn.up, head.lm. Its towers are text. Its layers are 0-2.\n"
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_keeps_to_the_width_asked(serve: Serve, capsys: Capture, width: int) -> None:
    serve(builders.mixture(61, 256))
    result = run(capsys, "inspect", "tiny", "--width", str(width))
    assert max(map(len, result.out.splitlines())) <= width


def test_columns_states_the_width_of_a_pipe_too(
    llama: Inventory, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = run(capsys, "inspect", "tiny").out
    monkeypatch.setenv("COLUMNS", "60")
    narrow = run(capsys, "inspect", "tiny").out
    assert max(map(len, narrow.splitlines())) <= 60 < max(map(len, wide.splitlines()))
    for meaningless in ("0", "", "wide", "-5"):
        monkeypatch.setenv("COLUMNS", meaningless)
        assert run(capsys, "inspect", "tiny").out == wide


def test_colour_can_be_forced_and_forbidden(
    llama: Inventory, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    plain = run(capsys, "inspect", "tiny").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run(capsys, "inspect", "tiny").out
    assert "\x1b[36m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[36m" not in run(capsys, "inspect", "tiny").out
    monkeypatch.delenv("NO_COLOR")
    assert "".join(part.split("m", 1)[-1] for part in coloured.split("\x1b[")) == plain


def test_output_in_an_encoding_without_arrows(
    llama: Inventory, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    from lorascope.cli.main import main

    assert main(["inspect", "tiny"]) == 0
    sys.stdout.seek(0)
    text = sys.stdout.read()
    assert "8 -> 16" in text
    assert "model.layers.{0-2}.mlp.up_proj" in text


@pytest.mark.parametrize(
    ("options", "expected"), [((), None), (("--observe",), True), (("--no-observe",), False)]
)
def test_whether_to_observe_is_passed_on(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], expected: object
) -> None:
    from lorascope import api

    asked: list[object] = []

    def inspect(model: str, **more: object) -> Inventory:
        asked.append(more["observe"])
        return builders.observed()

    monkeypatch.setattr(api, "inspect", inspect)
    assert run(capsys, "inspect", "tiny", *options).code == 0
    assert asked == [expected]


def test_what_was_observed_is_printed(serve: Serve, capsys: Capture) -> None:
    serve(builders.observed())
    text = run(capsys, "inspect", "tiny").out
    assert "✓ observed in a forward pass" in text
    assert "  - q, k and v read one tensor (3 times).\n" in text
    assert "forward_never_called (3, observed)" in text
    value = json.loads(run(capsys, "inspect", "tiny", "--json").out)
    Draft202012Validator(json.loads(schema_text("inspect"))).validate(value)
    calls = {m["path"]: m["observed"]["call"] for m in value["modules"]}
    assert calls["lm_head"] == "not_reached"


@pytest.mark.parametrize("width", [60, 100, 160])
def test_what_was_observed_keeps_to_the_width(serve: Serve, capsys: Capture, width: int) -> None:
    serve(builders.observed())
    text = run(capsys, "inspect", "tiny", "--width", str(width)).out
    assert max(map(len, text.splitlines())) <= width
