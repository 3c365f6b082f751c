"""A small clip, and selections of it by hand."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vidal.selection.result import ClipResult, SelectionResult
from vidal.types import (
    Clip,
    Detections,
    ErrorEstimate,
    Explanation,
    FrameRef,
    Query,
    SkippedClip,
)
from vidal.types.verdicts import ALARM, CORRECT, Verdicts
from vidal.video import open_clip, write_video

CLASSES = ("car", "pedestrian", "<b>odd</b>")

sys.path.insert(0, str(Path(__file__).parent.parent))  # synthetic_runs.py


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Clip:
    """20 frames of 64 x 48; brightness grows with the frame."""
    path = tmp_path_factory.mktemp("clips") / "drive.mp4"
    images = (np.full((48, 64, 3), 10 * index, np.uint8) for index in range(20))
    write_video(path, images, Fraction(10), quality=1)
    return open_clip(path)


def a_table(frames: int) -> Detections:
    """Frame 4: car 0.9, car 0.6 (false alarm), pedestrian 0.2 (below); frame 9: car 0.8."""
    return Detections(
        classes=CLASSES,
        scanned=np.ones(frames, bool),
        frame=[4, 4, 4, 9],
        boxes=[[2, 3, 12, 23], [30, 10, 80, 40], [5, 5, 9, 9], [0, 0, 20, 20]],
        scores=[0.9, 0.6, 0.2, 0.8],
        labels=[0, 0, 1, 0],
        probs=np.zeros((4, 4)),
        features=np.zeros((4, 0)),
        embedding=np.zeros((frames, 0)),
    )


def an_estimate() -> ErrorEstimate:
    """Row 1 is a false alarm; a pedestrian is missed on frame 4; a candidate is none on 9."""
    return ErrorEstimate(
        rows=[0, 1, 3],
        false_positive=[False, True, False],
        false_positive_confidence=[0.25, 0.75, 0.0],
        missed_frame=[4, 9],
        missed_boxes=[[-5, 20, 10, 40], [1, 1, 5, 5]],
        missed_label=[1, 0],
        missed=[True, False],
        missed_confidence=[0.875, 0.25],
        energy=1.5,
        link_share=1.0,
    )


def verdicts() -> Verdicts:
    """The same by expected errors, learned from labels."""
    said = an_estimate()
    return Verdicts(
        "expected errors",
        said.rows,
        [CORRECT, ALARM, CORRECT],
        said.false_positive_confidence,
        missed_frame=[4],
        missed_boxes=[[-5, 20, 10, 40]],
        missed_label=[1],
        missed_score=[0],
        missed=[0.875],
    )


def a_result(video: Clip, *, clip: str = "drive-0a", **changes) -> SelectionResult:
    """Frames 4 (score 2) and 17 (score NaN) of one clip, with detections and estimates."""
    named = replace(video, id=clip)
    scores = np.arange(named.frames, dtype=np.float64)
    scores[15:] = np.nan
    labelled = np.zeros(named.frames, bool)
    labelled[[0, 1]] = True
    loaded = ClipResult(
        named,
        a_table(named.frames),
        an_estimate(),
        scores,
        np.ones(named.frames, bool),
        labelled,
        verdicts(),
    )
    query = Query(
        round=2,
        frames=(FrameRef(clip, 4), FrameRef(clip, 17)),
        scores=np.array([2.0, np.nan]),
        explanation=Explanation(
            ("1 likely false alarm (car), 1 likely miss (pedestrian)", "no score"),
            {"false_positives": np.array([1, 0]), "doubt": np.array([0.5, np.nan])},
        ),
        budget=3,
    )
    values = {
        "query": query,
        "clips": {clip: named},
        "skipped": (SkippedClip(video.path.parent / "broken.mp4", "no video stream"),),
        "load": {clip: loaded}.__getitem__,
        "strategy": "temporal-coherence",
        "classes": CLASSES,
        "threshold": 0.5,
        "budget_text": "10%",
        "budget_base": "20 frames of 1 clip",
        "settings": {"seed": 7, "nested": {"gap": np.int64(3), "limit": math.nan}},
        "versions": {"vidal": "0.1.0"},
        "notes": ("Few links.",),
    }
    return SelectionResult(**(values | changes))


def a_random_result(video: Clip) -> SelectionResult:
    """The same frames by a strategy without detector and scores."""
    result = a_result(video)
    old = result.load("drive-0a")
    loaded = replace(old, detections=None, estimate=None, judged=None, scores=np.full(20, np.nan))
    query = replace(
        result.query,
        scores=np.full(2, np.nan),
        explanation=Explanation(("drawn at random", "drawn at random"), {}),
    )
    return replace(
        result, load=lambda name: loaded, classes=(), strategy="random", query=query, notes=()
    )


class Page(HTMLParser):
    """Collects tags with their attributes, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def classes(self, tag: str) -> list[str]:
        return [attrs.get("class") or "" for name, attrs in self.tags if name == tag]


def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def build() -> SimpleNamespace:
    """The builders of this file: pytest's importlib mode lets no test import them."""
    return SimpleNamespace(
        table=a_table,
        estimate=an_estimate,
        verdicts=verdicts,
        result=a_result,
        random=a_random_result,
        Page=Page,
        page=page,
    )
