"""What the README shows can be run."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_python_example_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("LORASCOPE_CACHE", str(tmp_path))
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(code.group(1), names)  # noqa: S102 - our own README
    assert names["plan"].to_peft().r == 16


def test_no_placeholder_is_left():
    assert "@@" not in README.read_text(encoding="utf-8")


def test_every_page_that_is_linked_exists():
    text = README.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
