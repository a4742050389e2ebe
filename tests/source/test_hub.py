"""The Hub's answers, first as huggingface_hub's own exceptions, then from a server on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.file_download
import pytest
from checkpoint_files import safetensors_bytes
from huggingface_hub import errors

from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.source.hub import NotCachedError, fetch_file
from lorascope.source.references import HubName

NAME = HubName("meta-llama/Llama-3.1-8B", "v1")


class _Response:
    """What the exceptions read of an HTTP response."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        self.headers: dict[str, str] = {}
        self.request = None


def _http(kind: type[errors.HfHubHTTPError], status: int) -> errors.HfHubHTTPError:
    error = kind.__new__(kind)
    Exception.__init__(error, "the library's own message")
    error.response = _Response(status)  # type: ignore[assignment]
    return error


def _local(cause: BaseException | None) -> errors.LocalEntryNotFoundError:
    error = errors.LocalEntryNotFoundError("not cached")
    error.__cause__ = cause
    return error


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def _fetch(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> ModelReferenceError:
    def head(url: str, *, timeout: float) -> None:
        assert timeout <= 10
        raise error

    monkeypatch.setattr(huggingface_hub.file_download, "get_hf_file_metadata", head)
    with pytest.raises(ModelReferenceError) as caught:
        fetch_file(NAME, "config.json", offline=False)
    return caught.value


@pytest.mark.parametrize(
    ("error", "what", "hint"),
    [
        (_http(errors.GatedRepoError, 403), "Llama-3.1-8B@v1 is gated", "HF_TOKEN"),
        (_http(errors.RepositoryNotFoundError, 404), "has no public repository", "HF_TOKEN"),
        (_http(errors.RevisionNotFoundError, 404), "has no revision 'v1'", "branch, tag"),
        (_http(errors.DisabledRepoError, 403), "has disabled access", None),
        (_http(errors.HfHubHTTPError, 401), "refused the token", "hf auth login"),
        (_http(errors.HfHubHTTPError, 503), "The Hub answered 503", "Try again later"),
        (_http(errors.HfHubHTTPError, 429), "The Hub answered 429", "Try again later"),
        (errors.HFValidationError("bad"), "is not a valid Hub id", "owner/name"),
        (PermissionError(13, "Permission denied"), "the Hub: Permission denied.", "--offline"),
        (ConnectionError("reset by peer\nmore"), "(reset by peer)", "Check the connection"),
        (_local(ConnectionError("no route to host")), "(no route to host)", "lorascope models"),
        (_local(TimeoutError()), "(TimeoutError)", "Check the connection"),
        (_local(None), "could not be fetched", "--offline"),
        (_local(_http(errors.HfHubHTTPError, 502)), "The Hub answered 502", "Try again later"),
    ],
)
def test_each_failure_is_one_clear_message(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, what: str, hint: str | None
) -> None:
    raised = _fetch(monkeypatch, error)
    assert what in raised.what
    assert "\n" not in str(raised)
    if hint is None:
        assert raised.hint is None
    else:
        assert hint in (raised.hint or "")


@pytest.mark.parametrize(
    "error",
    [_http(errors.GatedRepoError, 403), _local(ConnectionError("down")), _local(None)],
)
def test_the_hint_names_the_built_in_example(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    assert "built-in example has its figures: Llama-3.1-8B" in str(_fetch(monkeypatch, error))


def test_offline_and_not_cached() -> None:
    with pytest.raises(NotCachedError) as caught:
        fetch_file(NAME, "config.json", offline=True)
    assert caught.value.what.startswith(
        "config.json of meta-llama/Llama-3.1-8B@v1 is not in the local Hub cache"
    )


def test_a_file_that_the_repository_lacks_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def head(*args: object, **options: object) -> None:
        raise _http(errors.RemoteEntryNotFoundError, 404)

    monkeypatch.setattr(huggingface_hub.file_download, "get_hf_file_metadata", head)
    assert fetch_file(NAME, "config.json", offline=False) is None


def test_a_file_too_large_for_a_config_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def head(*args: object, **options: object) -> SimpleNamespace:
        return SimpleNamespace(size=200_000_000)

    monkeypatch.setattr(huggingface_hub.file_download, "get_hf_file_metadata", head)
    with pytest.raises(ModelConfigError, match="has 200,000,000 bytes; expected at most"):
        fetch_file(NAME, "config.json", offline=False)


CONFIG = json.dumps({"model_type": "llama", "num_hidden_layers": 2}).encode()
WEIGHTS = safetensors_bytes({"model.norm.weight": ("BF16", (64,))})
FILES = {
    "/owner/open/resolve/v1/config.json": CONFIG,
    "/owner/open/resolve/v1/model.safetensors": WEIGHTS,
}
REFUSALS = {
    "/owner/gated/": (403, {"X-Error-Code": "GatedRepo"}),
    "/owner/absent/": (401, {"X-Error-Code": "RepoNotFound"}),
    "/owner/open/resolve/v9/": (404, {"X-Error-Code": "RevisionNotFound"}),
    "/owner/broken/": (500, {}),
}
ASK = """
import sys
from lorascope.core.errors import LorascopeError
from lorascope.source import resolve
for reference in sys.argv[2:]:
    try:
        source = resolve(reference, offline=sys.argv[1] == "offline")
        tensors = None if sys.argv[1] == "config" else source.tensors()
        print(source.origin, source.revision, dict(source.config), tensors and tensors[0])
    except LorascopeError as error:
        print(type(error).__name__, error)
"""


class _Hub(BaseHTTPRequestHandler):
    """As much of the Hub as fetching a file and a range of one takes."""

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        for start, (status, headers) in REFUSALS.items():
            if self.path.startswith(start):
                self._reply(status, headers, b"", send=send)
                return
        content = FILES.get(self.path)
        if content is None:
            self._reply(404, {"X-Error-Code": "EntryNotFound"}, b"", send=send)
        else:
            headers = {"ETag": '"0123"', "X-Repo-Commit": "c" * 40}
            self._reply(200, headers, content, send=send)

    def _reply(self, status: int, headers: dict[str, str], content: bytes, *, send: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if send:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _ask(endpoint: str, home: Path, mode: str, *references: str, **more: str) -> list[str]:
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment = kept | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    environment.pop("HF_TOKEN", None)
    environment |= more
    shown = subprocess.run(
        [sys.executable, "-c", ASK, mode, *references],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shown.stderr == ""
    return shown.stdout.splitlines()


def test_against_a_server(endpoint: str, tmp_path: Path) -> None:
    found, revision, gated, absent, no_file, broken = _ask(
        endpoint,
        tmp_path,
        "online",
        "owner/open@v1",
        "owner/open@v9",
        "owner/gated",
        "owner/absent",
        "owner/open@v2",
        "owner/broken",
    )
    assert found.startswith("hub v1 {'model_type': 'llama', 'num_hidden_layers': 2}")
    assert "StoredTensor(name='model.norm.weight', shape=(64,), dtype='BF16')" in found
    assert "owner/open has no revision 'v9'" in revision
    assert "owner/gated is gated" in gated
    assert "The Hub has no public repository owner/absent" in absent
    assert "owner/open has no config.json and no adapter_config.json" in no_file
    assert "The Hub answered 500" in broken
    again, other = _ask(endpoint, tmp_path, "offline", "owner/open@v1", "owner/open@v9")
    assert again.startswith("hub v1 {'model_type': 'llama'")
    assert "not in the local Hub cache" in other


def test_no_server_at_all_is_told_at_once_and_a_cached_file_serves(
    endpoint: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    (line,) = _ask("http://127.0.0.1:9", tmp_path, "online", "meta-llama/Llama-3.1-8B")
    assert "The Hub cannot be reached for meta-llama/Llama-3.1-8B" in line
    assert "Llama-3.1-8B" in line.partition("built-in example has its figures")[2]
    assert time.monotonic() - started < 10
    _ask(endpoint, tmp_path, "online", "owner/open@v1")
    (line,) = _ask("http://127.0.0.1:9", tmp_path, "config", "owner/open@v1")
    assert line.startswith("hub v1 {'model_type': 'llama'")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("HF_HUB_ETAG_TIMEOUT", "abc", "'abc'"),
        ("HF_HUB_ETAG_TIMEOUT", "", "''"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "x", "'x'"),
        ("HF_ENDPOINT", "http://[::", "Invalid IPv6 URL"),
        ("HTTPS_PROXY", "socks5://x:1", "SOCKS"),
        ("HTTPS_PROXY", "http://[::", "Invalid port"),
        ("HF_TOKEN", "hf_\u00fcber", "codec"),
    ],
)
def test_a_wrong_setting_is_named(
    endpoint: str, tmp_path: Path, variable: str, value: str, reason: str
) -> None:
    (line,) = _ask(endpoint, tmp_path, "online", "owner/open@v1", **{variable: value})
    assert line.startswith("ModelReferenceError owner/open@v1 cannot be fetched: ")
    assert reason in line
    assert variable in line.partition("Mend or unset ")[2]


@pytest.mark.parametrize("kind", [ConnectionError, ValueError])
def test_no_message_shows_the_token(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    raised = _fetch(monkeypatch, kind("Illegal header value b'Bearer hf_secret\x01'"))
    assert "secret" not in str(raised)
    assert "a header with the token was refused" in raised.what


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (line,) = _ask(endpoint, tmp_path, "online", "owner/open", HF_HUB_ETAG_TIMEOUT="1")
        assert "The Hub cannot be reached for owner/open" in line
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize("repo_id", ["owner/..", "owner/.", "owner/a--b", "-o/x", "o/x.git"])
def test_an_impossible_id_is_no_matter_of_settings(
    monkeypatch: pytest.MonkeyPatch, repo_id: str, offline: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/cert.pem")
    with pytest.raises(ModelReferenceError) as caught:
        fetch_file(HubName(repo_id, None), "config.json", offline=offline)
    assert caught.value.what == f"{repo_id} is not a valid Hub id, nor a path that exists."
    assert "owner/name" in (caught.value.hint or "")
    assert "SSL" not in str(caught.value)
