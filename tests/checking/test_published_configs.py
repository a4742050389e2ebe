"""The parts of `conformance/published_configs.py`, on a checkout made here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).parents[2] / "conformance"
sys.path.insert(0, str(CONFORMANCE))

from published_bases import TABLE, StandIn, StandIns, read_table  # noqa: E402
from published_configs import result_of  # noqa: E402
from published_page import by_rule, page  # noqa: E402
from published_result import KNOWN, Known, Result, not_found, read_known  # noqa: E402
from published_texts import blocks, commit_of, texts  # noqa: E402

PAGE = """\
# Title
```bash
trl sft --model_name_or_path meta-llama/Llama-3.1-8B --use_peft --lora_target_modules q_proj, v_proj
```
- in a list:
  ```yaml
  base_model: m
  ```
```python
trl sft
```
"""
MODELS = (
    StandIn("meta-llama/llama-3.1-8b*", "Llama-3.1-8B"),
    StandIn("path:*/secret/*", None, why_not="the repository's own code"),
)


def checkout(folder: Path) -> Path:
    """Make a checkout with a page, a training file and what is none."""
    made = folder / "some-tool"
    (made / "docs").mkdir(parents=True)
    (made / "docs" / "page.md").write_text(PAGE)
    (made / ".git").mkdir()
    (made / ".git" / "x.yaml").write_text("base_model: m\nadapter: lora\n")
    (made / "a.yaml").write_text("base_model: m\nadapter: lora\nlora_r: [lora\n")
    (made / "b.yaml").write_text("name: ci\n")
    (made / "c.yml").write_text("base_model: m\nadapter:\ndatasets: []\n")
    (made / "notes.json").write_text('{"peft_type": "LORA"}')
    return made


def test_blocks_of_a_page_are_named_by_line_and_language() -> None:
    found = list(blocks("docs/page.md", PAGE))
    assert [(text.path, text.name) for text in found] == [
        ("docs/page.md:2", "docs/page.md:2.sh"),
        ("docs/page.md:6", "docs/page.md:6.yaml"),
    ]
    assert found[1].text == "base_model: m\n"
    assert (found[0].speaks_of_lora, found[1].speaks_of_lora) == (True, False)


def test_a_checkout_s_texts_are_those_that_check_would_read(tmp_path: Path) -> None:
    paths = [text.path for text in texts(checkout(tmp_path))]
    assert paths == ["a.yaml", "b.yaml", "c.yml", "docs/page.md:2", "docs/page.md:6"]
    assert commit_of(tmp_path) == "–"


def test_tables_are_well_formed() -> None:
    rows = read_table(TABLE.read_text("utf-8"))
    assert len({row.pattern for row in rows}) == len(rows)
    assert all((row.model is None) == bool(row.why_not) for row in rows)
    known = read_known(KNOWN.read_text("utf-8"))
    assert all(row.why.endswith(".") for row in known)


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("Meta-Llama/Llama-3.1-8B-Instruct", "t/a.yaml", "Llama-3.1-8B"),
        ("other/model", "t/secret/a.yaml", None),
        (None, "t/secret/a.yaml", "path:*/secret/*"),
        (None, "t/a.yaml", None),
    ],
)
def test_the_first_row_that_fits_stands_in(
    name: str | None, path: str, expected: str | None
) -> None:
    row = StandIns(Path(), MODELS).row(name, path)
    assert (row and (row.model or row.pattern)) == expected


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("published")
    return result_of(checkout(folder), StandIns(folder, MODELS))


def test_a_checkout_is_counted_and_checked(result: Result) -> None:
    assert (result.texts, result.of_no_tool, result.without_lora) == (5, 2, 1)
    [(path, why)] = result.unreadable
    assert path == "a.yaml"
    assert "not read as YAML" in why
    [one] = result.configurations
    assert (one.path, one.file, one.unknown_model) == ("docs/page.md:2", "docs/page.md", None)
    assert by_rule(result).startswith("E LT033 1")


def test_an_error_must_be_known_and_a_known_one_be_found(result: Result) -> None:
    known = Known("some-tool", "docs/page.md", "LT033", "q_proj,", "It is.")
    assert [finding.entry for _, finding in result.unexplained(())] == ["q_proj,"]
    assert list(result.unexplained((known,))) == []
    gone = Known("some-tool", "gone.md", "LT033", "q_proj,", "It was.")
    elsewhere = Known("another", "a.md", "LT033", "q_proj,", "It is.")
    assert not_found([result], (known, gone, elsewhere)) == (gone,)


def test_the_page_names_all_of_it(result: Result) -> None:
    known = Known("some-tool", "docs/page.md", "LT006", "(q|v)_proj", "It is.")
    text = page([result], (known,))
    assert "| some-tool | – | 5 | 2 | 1 | 1 | 1 | 1 |" in text
    assert "| some-tool | docs/page.md | LT006 | `(q\\|v)_proj` | It is. |" in text
    assert "- some-tool a.yaml" in text
