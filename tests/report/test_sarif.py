import json
from typing import Any

import pytest
from checks import TEXT, UNKNOWN_MODEL, checked_of, file_of, finding_of, some_files, spot_of

from lorascope.checking import RULES
from lorascope.checking.checked import CheckedFile
from lorascope.core.recipe import Spot
from lorascope.report.sarif import sarif


def run_of(*files: CheckedFile) -> dict[str, Any]:
    value = json.loads(json.dumps(sarif(files)))
    assert set(value) == {"$schema", "version", "runs"}
    assert value["version"] == "2.1.0"
    [run] = value["runs"]
    assert isinstance(run, dict)
    return run


def result_of(finding: Any, text: str | None = TEXT) -> dict[str, Any]:
    [result] = run_of(file_of(checked_of(finding), text=text))["results"]
    assert isinstance(result, dict)
    return result


def test_rules_are_described() -> None:
    driver = run_of()["tool"]["driver"]
    assert driver["name"] == "lorascope"
    assert driver["version"]
    assert [rule["id"] for rule in driver["rules"]] == [rule.code for rule in RULES]
    for rule in driver["rules"]:
        assert rule["name"].isalnum()
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}


def test_results_name_rules_and_places() -> None:
    run = run_of(*some_files())
    assert [result["ruleId"] for result in run["results"]] == ["LT001", "LT002", "LT032", "LT006"]
    for result in run["results"]:
        if result["ruleIndex"] != -1:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note", "error"]


def test_a_rule_that_is_not_listed_has_no_index() -> None:
    assert result_of(finding_of("LT000"))["ruleIndex"] == -1
    assert result_of(finding_of("LT002"))["ruleIndex"] == 1


def test_a_result_in_full() -> None:
    result = result_of(finding_of())
    assert result["message"]["text"] == "vproj: It matches no module. Write v_proj."
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "adapter/adapter_config.json"},
                "region": {"startLine": 3, "startColumn": 42, "endLine": 3, "endColumn": 49},
            }
        }
    ]


def region_of(spot: Spot, text: str) -> dict[str, int]:
    [location] = result_of(finding_of(spot=spot), text)["locations"]
    region: dict[str, int] = location["physicalLocation"]["region"]
    return region


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (TEXT, '"vproj"'),
        ("a:\n  - q\n  - v\nb: 1\n", "- q\n  - v\n"),
        ("a:\n  - q\n  - v\nb: 1\n", "- q\n  - v"),
        ("層: [層の, q]\n", "層の"),
        ("a: 1\r\nb: q\r\n", "q"),
        ("a: q", "q"),
    ],
)
def test_a_region_is_what_is_meant(text: str, part: str) -> None:
    region = region_of(spot_of(text, part), text)
    lines = text.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
    start = starts[region["startLine"] - 1] + region["startColumn"] - 1
    end = starts[region["endLine"] - 1] + region["endColumn"] - 1
    assert text[start:end] == part


def test_without_a_place_the_file_is_named() -> None:
    [location] = result_of(finding_of(spot=None))["locations"]
    assert "region" not in location["physicalLocation"]


def test_without_a_text_the_start_is_named() -> None:
    [location] = result_of(finding_of(), None)["locations"]
    assert location["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 42}


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("configs/my adapter.yaml", "configs/my%20adapter.yaml"),
        ("/runs/100%.yaml", "file:///runs/100%25.yaml"),
        ("-", "-"),
        ("../層.yaml", "../%E5%B1%A4.yaml"),
    ],
)
def test_paths_are_uris(path: str, uri: str) -> None:
    [result] = run_of(file_of(checked_of(finding_of()), path=path))["results"]
    [location] = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_a_regular_expression_is_no_link() -> None:
    entry = r".*layers\.[0-9](q|v)_proj"
    text = result_of(finding_of(entry=entry))["message"]["text"]
    assert text.startswith(r".*layers\.\[0-9\](q|v)_proj: ")
    assert "\\[q" not in result_of(finding_of(entry="[q, v]"))["message"]["text"]


def test_what_could_not_be_checked_is_told() -> None:
    [invocation] = run_of(*some_files())["invocations"]
    assert invocation["executionSuccessful"] is False
    told = {
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: each
        for each in invocation["toolExecutionNotifications"]
    }
    assert set(told) == {"train.yaml", "broken.yaml"}
    assert told["broken.yaml"]["message"]["text"] == "broken.yaml is no YAML. Mend line 3."
    assert {each["level"] for each in told.values()} == {"error"}
    [fine] = run_of(file_of(checked_of(finding_of())))["invocations"]
    assert fine == {"executionSuccessful": True, "toolExecutionNotifications": []}


@pytest.mark.parametrize("path", ["--targets", "-"])
def test_what_is_no_file_has_no_location(path: str) -> None:
    [result] = run_of(CheckedFile(path, (checked_of(finding_of()),), TEXT, is_file=False))[
        "results"
    ]
    assert result["locations"] == []
    unknown = CheckedFile(path, (UNKNOWN_MODEL,), is_file=False)
    [notification] = run_of(unknown)["invocations"][0]["toolExecutionNotifications"]
    assert notification["locations"] == []
