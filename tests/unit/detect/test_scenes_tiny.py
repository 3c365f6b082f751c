"""The shipped checkpoint: its size, its record, what it finds in scenes it was not fitted to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidal import scenes
from vidal.boxes import area, match
from vidal.detect import DetectOptions, load_detector
from vidal.detect.load import shipped_checkpoint
from vidal.types import Frame, FrameRef

RECORD = Path(__file__).parents[3] / "tools" / "results" / "scenes_tiny.json"
UNSEEN = 424242
"""Neither the seed of training nor that of the record."""


def test_the_checkpoint_is_under_six_megabytes_and_the_one_on_record() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    detector = load_detector("scenes-tiny", device="cpu")
    assert shipped_checkpoint().stat().st_size < 6_000_000
    assert detector.classes == scenes.CLASSES
    assert detector.key["weights"] == record["weights"]
    assert detector.notes["train"]["seed"] == record["train"]["seed"] != record["test"]["seed"]
    assert record["test"]["map50"] >= 0.78


def test_the_checkpoint_was_trained_in_one_go_and_chosen_without_the_test_clips() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["train"]["resumed"] is False
    seeds = [record[part]["seed"] for part in ("train", "validation", "test")]
    assert len(set(seeds)) == 3
    notes = load_detector("scenes-tiny", device="cpu").notes
    for part in ("train", "validation", "test"):
        assert notes[part] == record[part]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_most_clear_objects_of_unseen_clips_are_found_with_confidence(precision: str) -> None:
    options = DetectOptions(precision=precision)  # type: ignore[arg-type]
    detector = load_detector("scenes-tiny", device="cpu", options=options)
    specs = scenes.plan(4, UNSEEN, split="test", frames=(9, 9), rate=10)
    clear = found = wrong = sure = 0
    for spec in specs:
        rows = list(scenes.render(replace(spec, condition="spring")))[::4]
        table = detector.detect(
            [Frame(FrameRef(spec.name, n), image) for n, (image, _) in enumerate(rows)]
        )
        for number, (_, truth) in enumerate(rows):
            mine = table.keep((table.frame == number) & (table.scores > 0.5))
            taken, hit = match(mine.boxes, mine.scores, truth.boxes)
            large = area(truth.boxes) >= 20**2
            clear += int(large.sum())
            found += int((hit & large).sum())
            sure += len(mine)
            wrong += int((taken < 0).sum())
    assert clear > 15
    assert found >= 0.8 * clear
    assert wrong <= 0.35 * sure


def test_the_two_precisions_agree_on_what_is_there() -> None:
    spec = scenes.plan(1, UNSEEN, split="test", frames=(1, 1), rate=10)[0]
    frame = Frame(FrameRef("a", 0), next(scenes.render(spec))[0])
    tables = [
        load_detector(
            "scenes-tiny",
            device="cpu",
            options=DetectOptions(precision=precision, score_floor=0.5),  # type: ignore[arg-type]
        ).detect([frame])
        for precision in ("fp32", "bf16")
    ]
    assert len(tables[0]) > 1
    assert abs(len(tables[0]) - len(tables[1])) <= 1
    np.testing.assert_allclose(tables[0].embedding, tables[1].embedding, atol=0.1)
