"""Read what a serving engine does with LoRA from its published source, and write it as data.

Nothing of the engine is built, imported or run. Usage:
python conformance/engine_facts.py [vllm] [sglang] [--version 0.33.0] [--source DIR] [--check]
  --version  which release (of one engine); without it the newest
  --source   a directory that holds the package instead (a checkout); needs --version
  --check    write nothing; exit status 1 if what is there differs
Writes `src/lorascope/serving/vllm.json` and `sglang.json`. What a script cannot derive is in
`engines.toml`, which names the file and function that says it; a test holds the two together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import sglang_facts
import vllm_facts
from packaging.version import Version

SERVING = Path(__file__).parents[1] / "src" / "lorascope" / "serving"
READERS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "vllm": vllm_facts.facts,
    "sglang": sglang_facts.facts,
}
_PAGE = "application/vnd.pypi.simple.v1+json"
_SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help="vllm, sglang; both if none")
    parser.add_argument("--version")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    engines = arguments.engines or list(READERS)
    if not set(engines) <= READERS.keys():
        parser.error(f"engines are {', '.join(READERS)}")
    if (arguments.version or arguments.source) and len(engines) != 1:
        parser.error("--version and --source are of one engine: name it")
    if arguments.source and not arguments.version:
        parser.error("--source needs --version, which the data states")
    different = [
        engine
        for engine in engines
        if not _read(engine, arguments.version, arguments.source, check=arguments.check)
    ]
    return 1 if different and arguments.check else 0


def _read(engine: str, version: str | None, source: Path | None, *, check: bool) -> bool:
    """Read one engine; return whether its data was up to date."""
    path = SERVING / f"{engine}.json"
    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            archive = _download(engine, version, Path(folder))
            root, version, name = _unpacked(archive, engine), _version(archive.name), archive.name
        else:
            root, name = _root(source, engine), "checkout"
        facts = {"version": version, "archive": name, **READERS[engine](root)}
    text = as_text(facts)
    is_same = path.is_file() and path.read_text("utf-8") == text
    classes = facts["classes"].values()
    unsure = sum(row.get("takes", ()) is None for row in classes)
    state = "unchanged" if is_same else "differs" if check else "written"
    print(
        f"{engine} {version}: {len(facts['architectures'])} architectures, {len(classes)} classes,"
        f" {unsure} whose layers only a config decides; {path.name} {state}"
    )
    if not check:
        path.write_text(text, encoding="utf-8")
    return is_same


def as_text(facts: Mapping[str, Any]) -> str:
    """Write facts as JSON with one line a class, so that a new release shows what has changed."""
    lines = []
    for key, value in facts.items():
        if key == "classes":
            rows = ",\n".join(f"  {_json(name)}: {_json(row)}" for name, row in value.items())
            lines.append(f' "classes": {{\n{rows}\n }}')
        else:
            lines.append(f" {_json(key)}: {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _download(engine: str, version: str | None, folder: Path) -> Path:
    """Get a release from the index that pip uses: its source archive, or else a wheel.

    A wheel holds the same Python files. pip itself would run the archive's build to learn its name.
    """
    with _opened(f"{_index()}/{engine}/", _PAGE) as page:
        files = json.load(page)["files"]
    files = [each for each in files if not each.get("yanked")]
    releases = {Version(_version(each["filename"])) for each in files}
    wanted = Version(version) if version else max(v for v in releases if not v.is_prerelease)
    of_release = [each for each in files if Version(_version(each["filename"])) == wanted]
    if not of_release:
        raise SystemExit(f"{engine} {wanted} is not in {_index()}.")
    of_release.sort(key=lambda each: (not each["filename"].endswith(".tar.gz"), each["size"]))
    target = folder / of_release[0]["filename"]
    with _opened(urljoin(f"{_index()}/{engine}/", of_release[0]["url"])) as archive:
        target.write_bytes(archive.read())
    expected = of_release[0]["hashes"].get("sha256")
    if expected and hashlib.sha256(target.read_bytes()).hexdigest() != expected:
        raise SystemExit(f"{target.name} did not arrive as the index describes it.")
    return target


def _index() -> str:
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return (os.environ.get("PIP_INDEX_URL") or done.stdout.strip() or _PYPI).rstrip("/")


_PYPI = "https://pypi.org/simple"


def _opened(url: str, accept: str = "*/*") -> Any:
    if not url.startswith("https://"):
        raise SystemExit(f"{url} is no https address.")
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310
    return urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310


def _version(name: str) -> str:
    return name.removesuffix(".tar.gz").split("-")[1]


def _unpacked(archive: Path, package: str) -> Path:
    """Unpack the Python files of an archive, and return the directory that holds the package."""
    target = archive.parent / "source"
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            for name in _python(opened.namelist()):
                opened.extract(name, target)
    else:
        with tarfile.open(archive) as opened:
            members = [m for m in opened.getmembers() if m.isfile() and m.name.endswith(".py")]
            opened.extractall(target, members, filter="data")
    return _root(target, package)


def _python(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.endswith(".py") and ".." not in name]


def _root(folder: Path, package: str) -> Path:
    for candidate in (folder, folder / "python", *sorted(folder.glob("*"))):
        if (candidate / package / "__init__.py").is_file():
            return candidate
    raise SystemExit(f"{folder} holds no package {package}")


if __name__ == "__main__":
    sys.exit(main())
