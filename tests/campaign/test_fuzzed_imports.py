"""Damaged and hostile files through the command line; tools/fuzz_imports.py runs more."""

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from fuzz_files import WRITERS
from fuzz_imports import begin, content, experiment, judged, why_silent
from fuzz_reading import said


def test_damaged_files_are_refused_or_taken_for_what_they_say(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, over the doubled names that are made here
        outcome = experiment(tmp_path, 66, seed=12)
    assert outcome["wrong"] == []
    assert outcome["refused"] > 20
    assert outcome["taken_as_the_file_says"] > 10


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    return begin(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("kind", WRITERS)
def test_the_other_reading_sees_what_a_good_file_says_and_that_a_record_differs(
    campaign, tmp_path, kind
):
    path = WRITERS[kind](campaign.good, tmp_path)
    told = said(path, kind.partition(" ")[0], campaign.good.size)
    assert sum(len(each.objects) for each in told) == sum(map(len, campaign.good.objects.values()))
    assert judged(campaign, path, kind.partition(" ")[0], ["--empty-ok"])[0] == "taken"
    rows = content(campaign.work)
    assert why_silent(campaign, path, kind.partition(" ")[0], rows, 0) is None
    clip, frame, x1, *rest = rows["boxes"][0]
    for changed in (
        (clip, frame, x1 + 0.5, *rest),
        (clip, frame, x1, *rest[:3], 1 - rest[3], -1, 0),
    ):
        other = {**rows, "boxes": [changed, *rows["boxes"][1:]]}
        assert why_silent(campaign, path, kind.partition(" ")[0], other, 0)
    lost = {**rows, "boxes": rows["boxes"][1:]}
    assert why_silent(campaign, path, kind.partition(" ")[0], lost, 0)
