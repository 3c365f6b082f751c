"""Pixels and truth of rendered clips."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from hashlib import sha256

import cv2
import numpy as np
import pytest

from vidal.boxes import iou_pairs
from vidal.scenes import (
    SUBSETS,
    VISIBLE,
    FrameTruth,
    SceneSpec,
    annotations,
    plan,
    render,
    render_ids,
)

SPEC = SceneSpec("a", frames=4, seed=11)
SMALL = (150, 240)


def digest(spec: SceneSpec) -> str:
    total = sha256()
    for image, truth in render(spec):
        total.update(image.tobytes())
        total.update(truth.boxes.tobytes() + truth.labels.tobytes() + truth.track.tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("condition", ["spring", "rain", "night"])
def test_same_spec_gives_the_same_pixels_in_any_order(condition: str) -> None:
    one = replace(SPEC, condition=condition)
    other = replace(one, seed=12)
    first = digest(one)
    second = digest(other)
    assert (digest(other), digest(one)) == (second, first)
    assert first != second


def test_interleaved_clips_do_not_disturb_each_other() -> None:
    alone = [image for image, _ in render(SPEC)]
    other = render(replace(SPEC, seed=99))
    mixed = []
    for image, _ in render(SPEC):
        next(other)
        mixed.append(image)
    assert all(np.array_equal(a, b) for a, b in zip(alone, mixed, strict=True))


def test_same_pixels_with_other_thread_counts_and_in_another_process() -> None:
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = digest(SPEC)
        cv2.setNumThreads(3)
        three = digest(SPEC)
    finally:
        cv2.setNumThreads(threads)
    code = (
        "from hashlib import sha256\n"
        "from vidal.scenes import SceneSpec, render\n"
        "total = sha256()\n"
        "for image, t in render(SceneSpec('a', frames=4, seed=11)):\n"
        "    total.update(image.tobytes())\n"
        "    total.update(t.boxes.tobytes() + t.labels.tobytes() + t.track.tobytes())\n"
        "print(total.hexdigest())\n"
    )
    command = [sys.executable, "-c", code]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert one == three == elsewhere


def test_beginning_of_a_clip_does_not_depend_on_when_one_stops_reading() -> None:
    frames = render(SPEC)
    first, _ = next(frames)
    assert np.array_equal(first, next(render(SPEC))[0])


def test_images_are_rgb_of_the_asked_size() -> None:
    for size in ((300, 480), (180, 320), (240, 320)):
        image, _ = next(render(replace(SPEC, size=size, frames=1)))
        assert image.shape == (*size, 3)
        assert image.dtype == np.uint8


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, frames=12, seed=5),
        replace(SPEC, frames=12, seed=6, condition="night", area="town"),
        replace(SPEC, frames=12, seed=7, subset="wheelchair", spawn=SUBSETS["wheelchair"].spawn),
    ],
)
def test_boxes_are_the_tight_boxes_of_the_id_buffer_and_small_ones_are_left_out(
    spec: SceneSpec,
) -> None:
    small = 0
    for _, truth, ids in render_ids(spec):
        expected = set()
        for number in np.unique(ids[ids > 0]).tolist():
            y, x = np.nonzero(ids == number)
            if len(x) >= VISIBLE:
                expected.add((x.min(), y.min(), x.max() + 1, y.max() + 1, len(x)))
            else:
                small += 1
        rows = np.column_stack([truth.boxes, truth.visible]).astype(int)
        assert {tuple(row) for row in rows.tolist()} == expected
        assert len(rows) == len(expected)
    assert small > 0


def test_near_objects_hide_far_ones() -> None:
    """Some visible pixels are fewer than the object covers: the sum over objects is exact."""
    for _, truth, ids in render_ids(replace(SPEC, frames=6, seed=5)):
        shown = np.bincount(ids.ravel(), minlength=256)[1:]
        assert truth.visible.sum() == shown[shown >= VISIBLE].sum()


def clips_of(subset: str, count: int, frames: int) -> list[list[FrameTruth]]:
    specs = plan(count, 8, subset=subset, frames=(frames, frames), size=SMALL)
    return [[truth for _, truth in render(spec)] for spec in specs]


def test_labels_follow_the_subset() -> None:
    night = {label for clip in clips_of("night", 2, 5) for t in clip for label in t.labels}
    assert night <= {0}
    wheel = {label for clip in clips_of("wheelchair", 3, 12) for t in clip for label in t.labels}
    assert wheel <= {1, 2, 3}
    assert 3 in wheel
    default = {label for clip in clips_of("default", 4, 8) for t in clip for label in t.labels}
    assert 3 not in default


def test_objects_move_plausibly_from_frame_to_frame() -> None:
    overlaps = []
    for spec in plan(6, 21, frames=(40, 40)):
        table = annotations(truth for _, truth in render(spec))
        previous: dict[int, np.ndarray] = {}
        for index in range(table.frames):
            rows = table.on(index)
            now = dict(zip(table.track[rows].tolist(), table.boxes[rows], strict=True))
            both = now.keys() & previous.keys()
            if both:
                first = np.array([previous[track] for track in both])
                overlaps.extend(iou_pairs(first, np.array([now[track] for track in both])))
            previous = now
    assert len(overlaps) > 300
    assert np.median(overlaps) > 0.8
    assert np.percentile(overlaps, 10) > 0.5


def test_tracks_keep_their_class_and_last() -> None:
    labels: dict[int, set[int]] = defaultdict(set)
    frames: dict[int, int] = defaultdict(int)
    for _, truth in render(replace(SPEC, frames=30, seed=5)):
        assert len(set(truth.track.tolist())) == len(truth.track)
        for track, label in zip(truth.track.tolist(), truth.labels.tolist(), strict=True):
            labels[track].add(label)
            frames[track] += 1
    assert all(len(kinds) == 1 for kinds in labels.values())
    assert np.median(list(frames.values())) >= 8


def test_night_is_darker_than_day_and_winter_is_whiter_than_spring() -> None:
    def mean(condition: str) -> float:
        spec = replace(SPEC, condition=condition, area="town", frames=1, size=SMALL)
        return float(np.mean([next(render(replace(spec, seed=s)))[0].mean() for s in range(4)]))

    assert mean("night") < 0.45 * mean("spring")
    assert mean("winter") > mean("spring")


def test_rain_falls_and_takes_contrast() -> None:
    spec = replace(SPEC, area="highway", frames=1)

    def contrast(condition: str) -> float:
        images = [next(render(replace(spec, condition=condition, seed=s)))[0] for s in range(4)]
        saturation = [np.ptp(image.astype(int), axis=2).mean() for image in images]
        return float(np.mean(saturation))

    assert contrast("rain") < 0.7 * contrast("spring")


def test_annotations_gather_the_truth_of_all_frames() -> None:
    truths = [truth for _, truth in render(replace(SPEC, frames=5))]
    table = annotations(truths)
    assert table.frames == 5
    assert table.labelled.all()
    assert len(table) == sum(len(truth.labels) for truth in truths)
    for index, truth in enumerate(truths):
        rows = table.on(index)
        assert np.array_equal(table.boxes[rows], truth.boxes)
        assert np.array_equal(table.track[rows], truth.track)
    assert annotations([]).frames == 0


def test_boxes_lie_in_the_image() -> None:
    for spec in plan(4, 2, frames=(10, 10), size=SMALL):
        for _, truth in render(spec):
            assert (truth.boxes[:, :2] >= 0).all()
            assert (truth.boxes[:, 2:] <= (SMALL[1], SMALL[0])).all()
            assert (truth.visible >= VISIBLE).all()
