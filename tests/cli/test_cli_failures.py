"""Whatever goes wrong: one message, the right exit code, no traceback."""

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from commands import run, spawn
from jsonschema import Draft202012Validator

from lorascope.cli import load as load_module
from lorascope.cli.main import main
from lorascope.cli.progress import working
from lorascope.core.errors import MissingDependencyError, ModelReferenceError
from lorascope.core.inventory import Inventory
from lorascope.report.schemas import schema_text

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


@pytest.fixture
def fail_with(monkeypatch: Patch) -> Callable[[BaseException], None]:
    def fail_with(error: BaseException) -> None:
        def load(options: object) -> NoReturn:
            raise error

        monkeypatch.setattr(load_module, "load", load)

    return fail_with


def test_an_error_is_one_message_with_a_hint(
    fail_with: Callable[[BaseException], None], capsys: Capture
) -> None:
    fail_with(ModelReferenceError("'x\x1b[2J' names nothing.", "Try 'y'."))
    result = run(capsys, "inspect", "x")
    assert result.code == 2
    assert result.err == "Error: 'x\\x1b[2J' names nothing.\nTry 'y'.\n"
    assert result.out == ""


def test_with_json_the_error_is_json_too(
    fail_with: Callable[[BaseException], None], capsys: Capture
) -> None:
    fail_with(ModelReferenceError("'x' names nothing.", "Try 'y'."))
    result = run(capsys, "plan", "x", "--json")
    assert result.code == 2
    assert result.err == "Error: 'x' names nothing.\nTry 'y'.\n"
    value = json.loads(result.out)
    Draft202012Validator(json.loads(schema_text("error"))).validate(value)
    assert value["error"] == {
        "type": "ModelReferenceError",
        "message": "'x' names nothing.",
        "hint": "Try 'y'.",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "x", "--json", "--names"),
        ("check", "--json"),
        ("check", "--format-output", "json"),
        ("check", "--format-output=json"),
    ],
)
def test_a_wrong_command_line_with_json_is_json_too(
    arguments: tuple[str, ...], capsys: Capture
) -> None:
    result = run(capsys, *arguments)
    assert result.code == 2
    assert json.loads(result.out)["error"]["type"] == "UsageError"


def test_missing_torch_says_which_command_installs_it(
    fail_with: Callable[[BaseException], None], capsys: Capture
) -> None:
    hint = "Install them with: pip install 'lorascope[torch]'"
    fail_with(MissingDependencyError("torch is not installed.", hint))
    assert hint in run(capsys, "inspect", "x").err


@pytest.mark.parametrize(
    "error", [RuntimeError("odd\x1b"), MemoryError(), RecursionError("deep"), KeyError("k")]
)
def test_the_unexpected_asks_for_a_report_in_one_line(
    fail_with: Callable[[BaseException], None], capsys: Capture, error: Exception
) -> None:
    fail_with(error)
    result = run(capsys, "inspect", "x")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"lorascope failed unexpectedly ({type(error).__name__}: ")
    assert "LORASCOPE_DEBUG=1" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("error", [RuntimeError("odd"), ModelReferenceError("known")])
def test_debugging_shows_the_traceback(
    fail_with: Callable[[BaseException], None], monkeypatch: Patch, error: Exception
) -> None:
    fail_with(error)
    monkeypatch.setenv("LORASCOPE_DEBUG", "1")
    with pytest.raises(type(error)):
        main(["inspect", "x"])


def test_interruption_is_one_line(
    fail_with: Callable[[BaseException], None], capsys: Capture
) -> None:
    fail_with(KeyboardInterrupt())
    result = run(capsys, "plan", "x", "--json")
    assert (result.code, result.out, result.err) == (130, "", "Interrupted.\n")


def test_ctrl_c_stops_a_process_that_is_at_work(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "from lorascope.cli import load, main\n"
        # A shell that started the tests in the background lets them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def at_work(options):\n"
        "    print('at work', flush=True)\n"
        "    time.sleep(60)\n"
        "load.load = at_work\n"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "plan", "llama", "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "Interrupted.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_left_before_gives_141() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = spawn("models", stdout=write, stderr=subprocess.PIPE, capture_output=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@needs_dev_full
@pytest.mark.parametrize(
    "arguments", [("models",), ("models", "--json"), ("--help",), ("--version",)]
)
def test_a_full_disk_is_one_message(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = spawn(*arguments, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: Standard output cannot be written: No space left")
    assert "Traceback" not in done.stderr


def test_closed_output_is_one_message(monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["models"]) == 2
    assert capsys.readouterr().err.startswith("Error: Standard output is closed.")


def test_all_output_closed_still_ends_well(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["models"]) == 2


def test_nothing_is_shown_while_it_works_in_a_pipe(monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setattr("lorascope.cli.progress._PATIENCE", 0.0)
    with working("building"):
        time.sleep(0.05)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_sign_of_life(monkeypatch: Patch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("lorascope.cli.progress._PATIENCE", 0.0)
    with contextlib.suppress(KeyError), working("building [bold]x\x1b[2J"):
        time.sleep(0.5)
        raise KeyError
    assert "building [bold]x\\x1b[2J …" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K"), "and it is wiped at the end"


def test_what_is_quick_shows_no_sign(monkeypatch: Patch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with working("building"):
        pass
    assert terminal.getvalue() == ""


def test_a_terminal_gets_colour_and_its_width(llama: Inventory, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60"}
    process = subprocess.Popen(
        [sys.executable, "-m", "lorascope.cli", "models"],
        stdout=follower,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    printed = b""
    with contextlib.suppress(OSError):  # how a pseudo-terminal says that all have left
        while piece := os.read(leader, 65536):
            printed += piece
    os.close(leader)
    assert process.wait(timeout=60) == 0
    assert b"\x1b[1;36m" in printed
    assert b"Llama-3.1-8B" in printed


def test_a_quick_start_imports_nothing_heavy() -> None:
    heavy = {"rich", "json", "dataclasses", "importlib.metadata", "torch", "difflib", "shutil"}
    code = (
        "import sys, io; from lorascope.cli.main import main; sys.stdout = io.StringIO();"
        f"main(['--help']); sys.stderr.write(' '.join(sorted({heavy!r} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_base_install_answers_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'peft', 'accelerate'): sys.modules[name] = None\n"
        "from lorascope.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )

    def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LORASCOPE_CACHE": str(tmp_path)},
        )

    assert without_torch("models").returncode == 0
    refused = without_torch("inspect", "llama")
    assert refused.returncode == 2
    assert "pip install 'lorascope[torch]'" in refused.stderr
    assert "Traceback" not in refused.stderr
