import re

import pytest
from checks import LLAMA, TEXT, UNKNOWN_MODEL, UNREAD, checked_of, file_of, finding_of, some_files
from plans import match_of

import builders
from lorascope.checking.checked import CheckedFile
from lorascope.core.errors import OutputError, RecipeError
from lorascope.core.recipe import Tool
from lorascope.core.spec import LoraSpec
from lorascope.matching import EntryMatch, Where
from lorascope.report.check_text import check_text
from lorascope.report.layout import UNLIMITED


def text_of(*files: CheckedFile, width: int = UNLIMITED, fixable: bool = True) -> str:
    return "\n".join(line.plain for line in check_text(files, width, fixable=fixable))


def test_one_configuration_in_full() -> None:
    text = text_of(file_of(checked_of(finding_of(paths=("model.layers.0.self_attn.v_proj",)))))
    assert (
        text
        == """\
adapter/adapter_config.json  peft
  model           tiny (LlamaForCausalLM, 2.27 k parameters)
  trains          6 modules; 688 parameters, 30.3% of the model's 2,272
  saved whole     score
  as PEFT has it  target_parameters ["experts.gate_up_proj"]
  target_modules
    'q_proj'        3  model.layers.{0-2}.self_attn.q_proj
    'v_proj'        3  model.layers.{0-2}.self_attn.v_proj
    'vproj'   nothing  No module is called so.

  3:42 warning LT002 target_modules 'vproj'
    3 │   "target_modules": ["q_proj", "v_proj", "vproj"]
      │                                          ^^^^^^^
    It matches no module.
    Write v_proj. [--fix]

1 configuration checked: 1 warning.
1 can be mended with --fix; --diff shows how."""
    )


def test_what_is_fine_says_so() -> None:
    text = text_of(file_of(checked_of()))
    assert text.endswith("\n1 configuration checked: nothing found.")
    assert "--fix" not in text


def test_severities_stand_out() -> None:
    lines = check_text(some_files(), UNLIMITED)
    styles = {
        code: span.style
        for line in lines
        for span in line.spans
        for code in re.findall(r"(?:error|warning|info) (LT\d+)", span.text)
    }
    assert styles == {
        "LT001": "bold red",
        "LT002": "yellow",
        "LT032": "cyan",
        "LT006": "bold red",
    }


def test_summary_adds_up() -> None:
    text = text_of(*some_files())
    heads = re.findall(r"^  (?:\d+:\d+ )?(error|warning|info) LT\d{3}", text, re.MULTILINE)
    summary = text[text.rindex("\n\n") :]
    assert "2 configurations checked: 2 errors, 1 warning, 1 for your information." in summary
    assert [heads.count(each) for each in ("error", "warning", "info")] == [2, 1, 1]
    assert "1 file could not be read." in summary
    assert "1 other file without a LoRA configuration left out." in summary
    assert "1 configuration could not be checked against its model." in summary
    assert "2 can be mended with --fix" in summary
    assert text.count("[--fix]") == 2


def test_several_files_are_grouped() -> None:
    text = text_of(*some_files())
    titles = [line for line in text.splitlines() if re.match(r"[a-z]+[./]", line)]
    assert titles == [
        "adapter/adapter_config.json  peft",
        "train.yaml  line 12  axolotl",
        "broken.yaml",
    ]
    assert "\n\ntrain.yaml" in text
    assert "\n\nbroken.yaml\n  broken.yaml is no YAML.\n    Mend line 3.\n" in text


def test_several_configurations_of_one_file() -> None:
    second = checked_of(recipe={"name": "line 30"})
    text = text_of(file_of(checked_of(recipe={"name": "line 12"}), second))
    assert "\n\nadapter/adapter_config.json  line 30  peft\n" in text
    assert text.endswith("2 configurations checked: nothing found.")


def test_without_its_model_a_configuration_says_why() -> None:
    text = text_of(file_of(UNKNOWN_MODEL, UNKNOWN_MODEL))
    assert "  model  owner/tiny\n  - Its tensors are not compared.\n" in text
    assert "  Not checked against its model: The Hub has no owner/tiny.\n" in text
    assert "    Name it as MODEL.\n" in text
    assert "2 configurations could not be checked against their models." in text


def test_a_stand_in_for_the_model_is_named() -> None:
    note = "The Hub did not give owner/tiny; the built-in example tiny stands in."
    text = text_of(file_of(checked_of(inventory=builders.llama(notes=(note, "It is small.")))))
    assert note in text
    assert "It is small." not in text


def test_a_refusal_trains_nothing() -> None:
    match = match_of(LLAMA, targets=(), saved=(), trainable_params=0, refused="No such modules.")
    told = finding_of("LT001", "error")
    text = text_of(file_of(checked_of(told, match=match)))
    assert re.search(r"trains +nothing: PEFT refuses\n", text)
    assert "saved whole" not in text


def test_refused_before_anything_is_selected() -> None:
    subject = {"match": None, "entries": (), "refused": "lora_alpha is missing."}
    told = text_of(file_of(checked_of(finding_of("LT001", "error"), subject=subject)))
    assert re.search(r"trains +nothing: PEFT refuses\n", told)
    untold = text_of(file_of(checked_of(finding_of(), subject=subject)))
    assert re.search(r"trains +nothing: lora_alpha is missing\.\n", untold)


def test_keys_are_those_of_the_file() -> None:
    recipe = {"tool": Tool.AXOLOTL, "key_of": {"target_modules": "lora_target_modules"}}
    text = text_of(file_of(checked_of(finding_of(), recipe=recipe)))
    assert "\n  lora_target_modules\n" in text
    assert "warning LT002 lora_target_modules 'vproj'" in text
    assert " target_modules" not in text.replace('"target_modules"', "")


def test_without_a_text_there_is_no_excerpt() -> None:
    text = text_of(file_of(checked_of(finding_of()), text=None, path="--targets"))
    assert "\n  warning LT002 target_modules 'vproj'\n    It matches no module.\n" in text
    assert "│" not in text


def test_fixes_are_named_only_where_they_can_be_written() -> None:
    text = text_of(*some_files(), fixable=False)
    assert "--fix" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_text_keeps_to_the_width(width: int) -> None:
    long = ", ".join(f"name_{i}" for i in range(60))
    finding = finding_of(entry=long, message="It matches nothing. " * 9, hint="Write it. " * 20)
    lines = check_text([*some_files(), file_of(checked_of(finding))], width)
    wide = [line.plain.split() for line in lines if line.width > width]
    assert [words for words in wide if len(words) > 1] == []  # a name is never cut
    assert width == 40 or not wide


def test_narrow_text_still_says_everything() -> None:
    text = text_of(file_of(checked_of(finding_of())), width=40)
    assert text.count("'q_proj'") == text.count("'v_proj'") == 1
    assert re.search(r"'q_proj' +3\n +model\.layers\.\{0-2\}\.self_attn\.q_proj\n", text)
    assert "  3:42 warning LT002\n    target_modules 'vproj'\n    3 │ … [" in text


def test_long_names_are_whole_in_findings_and_short_in_the_list() -> None:
    name = "model.layers." + "a_very_long_name_" * 20
    entry = EntryMatch(Where.TARGET_MODULES, name, 0, (), "No module is called so.")
    checked = checked_of(finding_of(entry=name, spot=None), subject={"entries": (entry,)})
    text = text_of(file_of(checked), width=80)
    assert f"'{name}'" in text
    assert f"'{name[:60]}…'" in text


def test_entries_that_hit_nothing_are_shown_first_of_many() -> None:
    hits = [
        EntryMatch(Where.TARGET_MODULES, f"e{i}", 1, (f"model.e{i}",), "It is so called.")
        for i in range(30)
    ]
    missed = EntryMatch(Where.TARGET_MODULES, "w_proj", 0, (), "None.", ("q_proj", "o_proj"))
    text = text_of(file_of(checked_of(subject={"entries": (*hits, missed)})))
    assert re.search(r"'w_proj'  nothing  nearest: q_proj, o_proj\n    and 19 more", text)
    assert len(re.findall(r"'\w+'", text)) == 12


def test_the_same_entry_many_times() -> None:
    hit = EntryMatch(Where.TARGET_MODULES, "q", 1, ("model.q",), "It is so called.")
    text = text_of(file_of(checked_of(subject={"entries": (hit,) * 300})))
    assert text.count("'q'") == 12
    assert "and 288 more" in text


def test_many_experts_take_few_lines() -> None:
    model = builders.mixture(layers=48, experts=256)
    paths = tuple(
        f"model.layers.{layer}.mlp.experts.{expert}.{name}_proj"
        for layer in range(48)
        for expert in range(256)
        for name in ("gate", "up", "down")
    )
    entry = EntryMatch(Where.TARGET_MODULES, "experts", len(paths), paths, "They end so.")
    spec = LoraSpec(target_modules=("q_proj",), rank_pattern=dict.fromkeys(paths[:300], 4))
    match = match_of(model, effective=spec, entries=(entry,))
    text = text_of(file_of(checked_of(inventory=model, match=match)), width=100)
    assert len(text.splitlines()) < 20
    assert "36,864" in text
    assert "model.layers.{0-47}.mlp.experts.{0-255}.gate_proj" in text
    assert "model.layers.{0-47}.mlp.experts.{0-255}.down_proj" in text


def test_nothing_hostile_reaches_a_terminal() -> None:
    bad = "\x1b[2J\x07\x9b31m\u202e"
    entry = EntryMatch(Where.TARGET_MODULES, bad, 0, (), bad, (bad,))
    hit = EntryMatch(Where.TARGET_MODULES, bad, 1, (f"model.{bad}",), bad)
    text = f"targets: [{bad}]\n"
    finding = finding_of(entry=bad, message=bad, hint=bad, where=bad, paths=(bad,))
    checked = checked_of(
        finding,
        recipe={"origin": f"{bad}.yaml", "name": bad, "base_model": bad},
        subject={"entries": (entry, hit)},
        notes=(bad,),
    )
    files = [file_of(checked, text=TEXT.replace("vproj", bad)), file_of(checked, text=text)]
    unknown = checked_of(inventory=None, recipe={"base_model": bad}, problem=UNREAD.error)
    for width in (40, UNLIMITED):
        shown = text_of(*files, file_of(unknown), CheckedFile(bad, error=UNREAD.error), width=width)
        assert all(line.isprintable() for line in shown.splitlines())
        assert "\\x1b[2J" in shown


def test_standard_input_is_called_so() -> None:
    error = RecipeError("It holds nothing.")
    text = text_of(CheckedFile("-", error=error, is_file=False))
    assert text.startswith("standard input\n")
    assert text_of(CheckedFile("-", error=error)).startswith("-\n")


def test_what_could_not_be_written_was_read() -> None:
    broken = CheckedFile("a.yaml", (checked_of(),), TEXT, error=OutputError("a.yaml is read-only."))
    text = text_of(broken)
    assert "1 file could not be written." in text
    assert "could not be read" not in text


def test_a_result_is_one_line_as_a_value() -> None:
    findings = finding_of(), finding_of("LT010", "error"), finding_of("LT001", "error")
    checked = checked_of(*findings)
    words = "2 errors, 1 warning (LT001, LT002, LT010)"
    assert repr(checked) == f"<Checked adapter/adapter_config.json: {words}>"
    assert repr(file_of(checked)) == f"<CheckedFile adapter/adapter_config.json: {words}>"
    assert repr(checked_of()) == "<Checked adapter/adapter_config.json: nothing found>"
    assert repr(UNKNOWN_MODEL) == "<Checked train.yaml: 1 error (LT006); ModelReferenceError>"
    assert repr(UNREAD) == "<CheckedFile broken.yaml: nothing found; RecipeError>"
