import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from jsonschema import Draft202012Validator

import builders
from lorascope.core.inventory import Inventory
from lorascope.report.schemas import schema_text

Capture = pytest.CaptureFixture[str]
Serve = Callable[[Inventory], None]


def test_plan_prints_targets_and_sums(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "plan", "tiny")
    assert (result.code, result.err) == (0, "")
    assert "Plan: qv" in result.out
    assert "model.layers.{0-2}.self_attn.v_proj" in result.out
    assert '"target_modules": ["q_proj", "v_proj"]' in result.out


def test_options_reach_the_plan(llama: Inventory, capsys: Capture) -> None:
    arguments = ["--roles", "q=4,down=2", "--alpha", "8", "--dropout", "0", "--layers", "1-2"]
    result = run(capsys, "plan", "tiny", "--json", "--rslora", *arguments, "--exclude", "layers.2")
    assert (result.code, result.err) == (0, "")
    plan = json.loads(result.out)
    assert [(t["path"], t["rank"]) for t in plan["targets"]] == [
        ("model.layers.1.self_attn.q_proj", 4),
        ("model.layers.1.mlp.down_proj", 2),
    ]
    assert plan["adapter_config"]["use_rslora"] is True
    assert plan["adapter_config"]["lora_dropout"] == 0


def test_experts_can_be_asked_for_and_refused(serve: Serve, capsys: Capture) -> None:
    serve(builders.mixture())
    counts = [
        len(
            json.loads(run(capsys, "plan", "x", "--preset", "all-linear", "--json", *o).out)[
                "targets"
            ]
        )
        for o in ((), ("--experts",), ("--no-experts",))
    ]
    assert counts[0] == counts[1] == counts[2] + 4


def test_a_budget_is_kept(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "plan", "tiny", "--max-params", "0.5k", "--json")
    plan = json.loads(result.out)
    assert plan["trainable_params"] <= 500 < plan["trainable_params"] * (1 + 1 / 5) + 1


def test_a_task_says_why(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "plan", "tiny", "--task", "math")
    assert "Plan: all-linear" in result.out
    assert "Why" in result.out


@pytest.mark.parametrize("more", [(), ("--preset", "extended"), ("--dora",)])
def test_json_keeps_to_its_schema(llama: Inventory, capsys: Capture, more: tuple[str, ...]) -> None:
    result = run(capsys, "plan", "tiny", "--json", *more)
    Draft202012Validator(json.loads(schema_text("plan"))).validate(json.loads(result.out))


def test_compare_shows_every_preset_and_the_default_of_peft(
    llama: Inventory, capsys: Capture
) -> None:
    result = run(capsys, "plan", "tiny", "--compare")
    assert (result.code, result.err) == (0, "")
    rows = ["qv", "attention", "extended", "ffn", "vod", "all-linear", "peft-default"]
    table = [line.split()[0] for line in result.out.splitlines() if line and line[0] != " "]
    assert [name for name in table if name in rows] == rows


def test_compare_json_keeps_to_its_schema(serve: Serve, capsys: Capture) -> None:
    serve(builders.mixture())
    result = run(capsys, "plan", "tiny", "--compare", "--json", "--rank", "4")
    value = json.loads(result.out)
    Draft202012Validator(json.loads(schema_text("compare"))).validate(value)
    by_name = {plan["preset"]: plan for plan in value["plans"]}
    assert by_name["qv"]["trainable_params"] == 4 * (48 + 36)
    assert [finding["code"] for finding in by_name["ffn"]["findings"]] in ([], ["impossible"])


def test_snippet_is_all_that_stdout_holds(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "plan", "tiny", "--snippet")
    assert (result.code, result.err) == (0, "")
    compile(result.out, "snippet", "exec")
    assert "get_peft_model" in result.out


def test_snippet_runs_and_gives_what_the_plan_counts(
    capsys: Capture, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    from transformers import AutoConfig, LlamaConfig

    from lorascope.build import inventory_of
    from lorascope.roles import assign

    config = LlamaConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=32,
    )
    from dataclasses import replace

    from transformers import LlamaForCausalLM

    inventory = assign(inventory_of(LlamaForCausalLM(config)))
    serve(replace(inventory, model=replace(inventory.model, is_default_config=True)))
    code = run(capsys, "plan", "llama", "--snippet", "--preset", "extended").out
    monkeypatch.setattr(AutoConfig, "for_model", lambda model_type: config)
    exec(compile(code, "snippet", "exec"), {})  # noqa: S102
    assert code.rstrip().rpartition("# ")[2] in capsys.readouterr().out


class TestWriting:
    def test_writes_the_configuration_and_says_where(
        self, llama: Inventory, capsys: Capture, tmp_path: Path
    ) -> None:
        folder = tmp_path / "new" / "adapter"
        result = run(capsys, "plan", "tiny", "-o", str(folder))
        assert result.code == 0
        assert result.err == f"Wrote {folder / 'adapter_config.json'}\n"
        config = json.loads((folder / "adapter_config.json").read_text())
        assert config["target_modules"] == ["q_proj", "v_proj"]
        assert [path.name for path in folder.iterdir()] == ["adapter_config.json"]

    def test_the_file_is_what_the_json_says(
        self, llama: Inventory, capsys: Capture, tmp_path: Path
    ) -> None:
        result = run(capsys, "plan", "tiny", "-o", str(tmp_path), "--json")
        written = json.loads((tmp_path / "adapter_config.json").read_text())
        assert written == json.loads(result.out)["adapter_config"]

    def test_peft_loads_it(self, llama: Inventory, capsys: Capture, tmp_path: Path) -> None:
        peft = pytest.importorskip("peft")
        run(capsys, "plan", "tiny", "--preset", "extended", "-o", str(tmp_path))
        loaded = peft.LoraConfig.from_pretrained(str(tmp_path))
        assert loaded.r == 8
        assert loaded.rank_pattern

    def test_the_mode_is_that_of_any_new_file(
        self, llama: Inventory, capsys: Capture, tmp_path: Path
    ) -> None:
        plain = tmp_path / "plain"
        plain.touch()
        run(capsys, "plan", "tiny", "-o", str(tmp_path))
        mode = stat.S_IMODE((tmp_path / "adapter_config.json").stat().st_mode)
        assert mode == stat.S_IMODE(plain.stat().st_mode)

    def test_the_same_again_is_fine(
        self, llama: Inventory, capsys: Capture, tmp_path: Path
    ) -> None:
        for _ in range(2):
            assert run(capsys, "plan", "tiny", "-o", str(tmp_path)).code == 0

    @pytest.mark.parametrize("before", ['{"r": 64}', "not JSON", "\xff"])
    def test_a_different_file_is_kept_unless_forced(
        self, llama: Inventory, capsys: Capture, tmp_path: Path, before: str
    ) -> None:
        path = tmp_path / "adapter_config.json"
        path.write_text(before, "latin-1")
        result = run(capsys, "plan", "tiny", "-o", str(tmp_path))
        assert result.code == 2
        assert result.err == (
            f"Error: {path} exists and differs from this plan.\n"
            "Use --force to overwrite it, or another directory.\n"
        )
        assert path.read_text("latin-1") == before
        assert run(capsys, "plan", "tiny", "-o", str(tmp_path), "--force").code == 0
        assert json.loads(path.read_text())["r"] == 8

    def test_a_file_in_the_way(self, llama: Inventory, capsys: Capture, tmp_path: Path) -> None:
        blocker = tmp_path / "file"
        blocker.write_text("mine")
        for folder in (blocker, blocker / "below"):
            result = run(capsys, "plan", "tiny", "-o", str(folder))
            assert result.code == 2
            assert "cannot be written: " in result.err
            assert "Name a directory that you may write to" in result.err
        assert blocker.read_text() == "mine"

    def test_a_read_only_directory_is_left_as_it_was(
        self,
        llama: Inventory,
        capsys: Capture,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.replace", refuse)
        result = run(capsys, "plan", "tiny", "-o", str(tmp_path), "--json")
        assert result.code == 2
        assert "cannot be written: Permission denied." in result.err
        assert json.loads(result.out)["error"]["type"] == "OutputError"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "failure", [OSError(28, "No space left on device"), KeyboardInterrupt()]
    )
    def test_nothing_is_left_half_written(
        self,
        llama: Inventory,
        capsys: Capture,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        failure: BaseException,
    ) -> None:
        path = tmp_path / "adapter_config.json"
        path.write_text('{"old": true}')

        def fail(*_: object) -> None:
            raise failure

        monkeypatch.setattr(Path, "replace", fail)
        result = run(capsys, "plan", "tiny", "-o", str(tmp_path), "--force")
        assert result.code == (130 if isinstance(failure, KeyboardInterrupt) else 2)
        assert path.read_text() == '{"old": true}'
        assert [each.name for each in tmp_path.iterdir()] == ["adapter_config.json"]


def test_an_empty_directory_name_is_refused(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "plan", "tiny", "-o", "")
    assert (result.code, result.out) == (2, "")
    assert "--output is empty" in result.err


def test_a_pipe_where_the_configuration_belongs_hangs_nothing(
    llama: Inventory, capsys: Capture, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "adapter_config.json")
    result = run(capsys, "plan", "tiny", "-o", str(tmp_path))
    assert result.code == 2
    assert "exists and differs" in result.err


def test_a_budget_beyond_all_models_is_refused(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "plan", "tiny", "--max-params", "9" * 30)
    assert result.code == 2
    assert "1,000,000,000,000,000" in result.err
