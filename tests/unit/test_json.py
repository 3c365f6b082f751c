"""JSON has no NaN: what vidal writes and publishes can be read by any reader."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "tools" / "results").glob("*.json"))
NO_MEASURED_NUMBERS = {
    "vidal/campaign/record.py",
    "vidal/cli/datasets.py",
    "vidal/cli/gather.py",
    "vidal/cli/import_labels.py",
    "vidal/cli/init.py",
    "vidal/cli/pull.py",
    "vidal/cli/push.py",
    "vidal/cli/scenes.py",
    "vidal/cli/select.py",
    "vidal/cli/select_campaign.py",
    "vidal/cli/status.py",
    "vidal/campaign/config_file.py",
    "vidal/cli/strategies.py",
    "vidal/cli/train.py",
    "vidal/cli/withdraw.py",
    "vidal/detect/checkpoints.py",
    "vidal/formats/bdd100k.py",
    "vidal/report/place.py",
    "vidal/scenes/scene_files.py",
    "vidal/store/own.py",
    "vidal/store/tables.py",
    "vidal/testing/detectors.py",
}
"""Files whose JSON holds names, counts and settings, or boxes of tables that refuse NaN."""
HASHED_ONLY = {
    ("vidal/report/query_files.py", "content_digest"),
    ("vidal/formats/_label_studio_min.py", "_without_twins"),
    ("vidal/formats/_label_studio_min.py", "place"),
}
"""Functions that hash or compare what somebody may have written by hand."""


def refused(name):
    raise AssertionError(f"{name} is no JSON")


def writers():
    """(file, function, whether NaN is refused) of every ``json.dumps`` in the package."""
    for path in sorted((ROOT / "vidal").rglob("*.py")):
        for place in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(place, ast.FunctionDef):
                continue
            for node in ast.walk(place):
                if not isinstance(node, ast.Call):
                    continue
                if ast.unparse(node.func) in ("json.dumps", "json.dump"):
                    strict = any(
                        each.arg == "allow_nan" and ast.unparse(each.value) == "False"
                        for each in node.keywords
                    )
                    yield path.relative_to(ROOT).as_posix(), place.name, strict


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_published_results_are_json(path):
    json.loads(path.read_text(encoding="utf-8"), parse_constant=refused)


def test_there_are_published_results():
    assert len(RESULTS) >= 10


def test_writers_of_measured_numbers_refuse_nan():
    lax = {(file, function) for file, function, strict in writers() if not strict}
    assert {each for each in lax if each[0] not in NO_MEASURED_NUMBERS} == HASHED_ONLY
    assert {file for file, _, strict in writers() if strict} >= {
        "vidal/cli/evaluate.py",
        "vidal/cli/simulate.py",
        "vidal/report/query_files.py",
        "vidal/simulation/results.py",
    }
