"""The published KITTI detections judged by the KITTI labels, against figures counted elsewhere."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vidal.evaluate.average_precision import evaluate_detections
from vidal.evaluate.matching import match_clip
from vidal.evaluate.true_errors import true_errors
from vidal.formats import kitti_tracking
from vidal.types import Annotations, Detections

REAL = Path(__file__).parents[4] / "shared" / "data" / "kitti_tracking"


def clips(found: str, name: str, neutral: str) -> Iterator[tuple[Detections, Annotations]]:
    if not REAL.is_dir():
        pytest.skip(f"no {REAL}")
    for clip in kitti_tracking.read(REAL, classes=(name,), ignore=(neutral,)):
        if not (clip.annotations.labels == 0).any():
            continue
        text = gzip.decompress((REAL / found / f"{clip.name}.txt.gz").read_bytes()).decode()
        rows = np.array([line.split(",") for line in text.split()], dtype=np.float64)
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        frames, n = clip.annotations.frames, len(rows)
        yield (
            Detections(
                classes=(name,),
                scanned=np.ones(frames, bool),
                frame=rows[:, 0],
                boxes=rows[:, 1:5],
                scores=rows[:, 5],
                labels=np.zeros(n),
                probs=np.full((n, 2), 0.5),
                features=np.zeros((n, 0)),
                embedding=np.zeros((frames, 0)),
            ),
            clip.annotations,
        )


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("source", "floor", "errors"),
    [
        # 1,423 misses were counted with scores >= 0.5; one score is exactly 0.5.
        (("rrc2d_car", "Car", "Van"), 0.3, [107, 1158]),
        (("rrc2d_car", "Car", "Van"), 0.5, [50, 1424]),
        (("rrc2d_pedestrian", "Pedestrian", "Person_sitting"), 0.3, [628, 653]),
        (("rrc2d_pedestrian", "Pedestrian", "Person_sitting"), 0.5, [389, 687]),
    ],
)
def test_errors_of_published_detections_agree_with_an_independent_count(source, floor, errors):
    counts = sum(
        true_errors(match_clip(*pair, score_floor=floor)).per_frame.sum(axis=0)
        for pair in clips(*source)
    )
    assert counts.tolist() == errors


@pytest.mark.realdata
def test_average_precision_of_the_published_car_detections_is_high():
    report = evaluate_detections(clips("rrc2d_car", "Car", "Van"), classes=("Car",))
    assert report.clips == 11
    assert report.objects[0] == 12578
    # Recall at score 0.5 is 11,154 / 12,578 = 0.887, which bounds AP50@0.5.
    assert 0.87 < report.map50_confident < 0.887
    assert report.map50_confident < report.map50 < 0.96
