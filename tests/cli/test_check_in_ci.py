"""What is published for hooks, workflows and settings is what the program takes."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lorascope.cli.check_settings import Settings
from lorascope.cli.parser import build_parser

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / "examples" / "github-actions-check.yml").read_text("utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
PAGE = (ROOT / "docs" / "check.md").read_text("utf-8")


def parsed(command: str) -> Any:
    """The options of a command; what the program does not take raises."""
    words = shlex.split(command.partition(" > ")[0])
    assert words[0] == "lorascope"
    return build_parser()[0].parse_args(words[1:])


def steps() -> Iterator[dict[str, Any]]:
    for job in WORKFLOW["jobs"].values():
        yield from job["steps"]


def test_workflow_runs_commands_that_exist() -> None:
    commands = [step["run"] for step in steps() if step.get("run", "").startswith("lorascope")]
    forms = [parsed(command).format_output for command in commands]
    assert forms == ["github", "sarif"]


def test_workflow_uploads_the_file_that_it_writes() -> None:
    (upload,) = [step for step in steps() if "upload-sarif" in step.get("uses", "")]
    (written,) = [step["run"] for step in steps() if "> " in step.get("run", "")]
    assert written.endswith(f"> {upload['with']['sarif_file']}")
    assert upload["if"] == "always()", "findings give exit code 1 and are uploaded all the same"
    permissions = WORKFLOW["jobs"]["code-scanning"]["permissions"]
    assert permissions["security-events"] == "write"


def test_workflow_uses_its_variables() -> None:
    text = " ".join(step.get("run", "") for step in steps())
    assert set(re.findall(r"\$(\w+)", text)) == set(WORKFLOW["env"])
    assert True in WORKFLOW, "YAML reads the key `on` as a boolean"


def test_hook_takes_files() -> None:
    (hook,) = HOOKS
    assert (hook["id"], hook["language"]) == ("lorascope-check", "python")
    options = parsed(f"{hook['entry']} a/adapter_config.json b/adapter_config.json")
    assert (options.command, len(options.paths)) == ("check", 2)


@pytest.mark.parametrize(
    ("path", "is_checked"),
    [
        ("adapter_config.json", True),
        ("runs/1/adapter_config.json", True),
        ("runs/adapter_config.json.bak", False),
        ("my_adapter_config.json", False),
        ("adapter_configxjson", False),
    ],
)
def test_hook_picks_adapters(path: str, is_checked: bool) -> None:
    assert bool(re.search(HOOKS[0]["files"], path)) is is_checked


def test_page_shows_hooks_that_exist() -> None:
    whole, part = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    hooks = [hook for repository in whole["repos"] for hook in repository["hooks"]] + part
    assert {hook["id"] for hook in hooks} == {hook["id"] for hook in HOOKS}
    for hook in hooks:
        parsed(shlex.join([*HOOKS[0]["entry"].split(), *hook.get("args", []), "a.yaml"]))


def test_page_shows_settings_that_exist() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    table = tomllib.loads(text)["tool"]["lorascope"]
    assert set(table) | {"path"} == set(Settings.__dataclass_fields__)


def test_page_shows_commands_that_exist() -> None:
    commands = re.findall(r"(?:\$ |`)(lorascope check [^`\n]*)", PAGE)
    assert len(commands) >= 3
    for command in commands:
        parsed(command)


def test_page_shows_python_that_runs() -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    compile(text, "check.md", "exec")


def test_page_names_options_that_exist() -> None:
    check = build_parser()[1]["check"]
    known = {name for action in check._actions for name in action.option_strings}
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    assert set(re.findall(r"`(--[\w-]+)", prose)) <= known
