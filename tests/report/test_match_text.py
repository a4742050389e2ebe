import re
from dataclasses import replace

import pytest
from plans import match_of

import builders
from lorascope.matching.result import Match, TrainedTokens
from lorascope.report.layout import UNLIMITED
from lorascope.report.match_text import match_text

LLAMA = builders.llama()


def text_of(match: Match, width: int = UNLIMITED) -> str:
    return "\n".join(line.plain for line in match_text(match, LLAMA, width))


def test_each_entry_says_what_it_hits_and_why() -> None:
    text = text_of(match_of(LLAMA))
    assert "target_modules 'q_proj' hits 3" in text
    assert "Their full names end with it.\n      model.layers.{0-2}.self_attn.q_proj" in text
    assert "target_modules 'vproj' hits nothing\n    No module is called so." in text


def test_an_entry_that_hits_nothing_stands_out() -> None:
    (line,) = [each for each in match_text(match_of(LLAMA), LLAMA, 200) if "'vproj'" in each.plain]
    assert "red" in line.spans[0].style


def test_adapted_rows_add_up() -> None:
    text = text_of(match_of(LLAMA))
    table = text[text.index("Adapted, as PEFT 0.21.2") : text.index("  trainable")]
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()[2:] if line.strip()]
    *rows, total = rows
    assert [row[0] for row in rows] == ["attention.q", "attention.v"]
    assert sum(int(row[6]) for row in rows) == int(total[-1]) == 8 * (48 + 36)
    assert rows[0][-1] == "list suffix"


def test_sums_saved_excluded_and_warnings_are_shown() -> None:
    tokens = (TrainedTokens("model.embed_tokens", 2, 16),)
    text = text_of(match_of(LLAMA, trained_tokens=tokens, bias_params=7))
    assert "688 parameters" in text
    assert re.search(r"trained whole +score \(16\)", text)
    assert re.search(r"tokens +2 rows of model.embed_tokens \(16\)", text)
    assert re.search(r"biases +7", text)
    assert re.search(r"excluded +lm_head", text)
    assert "- One entry hits nothing." in text


def test_what_peft_makes_of_the_configuration_is_shown_where_it_differs() -> None:
    found = match_of(LLAMA)
    assert '"target_parameters": ["experts.gate_up_proj"]' in text_of(found)
    assert "as PEFT leaves it" not in text_of(replace(found, effective=found.spec))


def test_a_configuration_without_targets_says_so() -> None:
    assert "No targets; PEFT takes its default" in text_of(match_of(LLAMA, entries=()))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_keeps_to_the_width(width: int) -> None:
    assert max(line.width for line in match_text(match_of(LLAMA), LLAMA, width)) <= width


def test_a_hostile_entry_reaches_no_terminal() -> None:
    found = match_of(LLAMA)
    entry = replace(found.entries[0], entry="\x1b[2J", reason="because \x07")
    assert not set("\x1b\x07") & set(text_of(replace(found, entries=(entry,))))
