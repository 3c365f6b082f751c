"""Temporal coherence on a simulated detector with known errors.

Per object and frame: independent misses 10 %, bursts of 3 to 14 misses begin 2 %, corner jitter
of 4 % of the size, duplicates 1 % (shifted by 35 %), class flips 1 %; false positives begin at 0.15
a frame and live for a geometric number of frames (p = 0.5). The tracker is wrong by 5 % of the box
at every step. 12 clips of 250 frames with 5 objects of 3 classes that enter and leave the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.stats import spearmanr

from vidal import boxes as geometry
from vidal.coherence import CoherenceOptions, estimate, frame_counts
from vidal.track import propagate
from vidal.types import BoolArray, Detections, FloatArray, IntArray

SIZE = (480, 640)
FRAMES, OBJECTS, CLIPS = 250, 5, 12


@dataclass(frozen=True, eq=False)
class Clip:
    """Truth (F, O, 4), where it is present (F, O), its classes (O,); detections and true errors."""

    truth: FloatArray
    present: BoolArray
    classes: IntArray
    detections: Detections
    false: BoolArray
    missed: BoolArray


@dataclass(frozen=True, eq=False)
class NoisyTracker:
    """Moves a box as the object it overlaps moves, or not at all; wrong by 5 % of its size."""

    truth: FloatArray
    rng: Generator
    noise: float = 0.05

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        now, then = self.truth[before], self.truth[after]
        n, o = now.shape[:2]
        overlap = geometry.iou_pairs(np.repeat(boxes, o, axis=0), now.reshape(-1, 4)).reshape(n, o)
        best = overlap.argmax(axis=1)
        shift = (then - now)[np.arange(n), best]
        shift = np.tile((shift[:, :2] + shift[:, 2:]) / 2, 2)
        shift[overlap.max(axis=1) < 0.3] = 0
        sides = boxes[:, 2:] - boxes[:, :2]
        wrong = np.tile(self.rng.normal(0, self.noise, (n, 2)) * sides, 2)
        return (boxes + shift + wrong).astype(np.float32), np.ones(n, dtype=np.float32)


def moving_objects(rng: Generator) -> FloatArray:
    """(F, O, 4) boxes that bounce within the image."""
    sides = rng.uniform(30, 90, (OBJECTS, 2))
    room = np.array([SIZE[1], SIZE[0]]) - sides
    start, speed = rng.uniform(0, room), rng.normal(0, 2, (OBJECTS, 2))
    path = start + speed * np.arange(FRAMES)[:, None, None]
    corner = room - np.abs(path % (2 * room) - room)
    return np.concatenate([corner, corner + sides], axis=2).astype(np.float32)


def simulate(rng: Generator) -> Clip:
    truth = moving_objects(rng)
    classes = rng.integers(0, 3, OBJECTS)
    enter, leave = rng.integers(-60, 100, OBJECTS), rng.integers(150, 310, OBJECTS)
    index = np.arange(FRAMES)[:, None]
    present = (index >= enter) & (index < leave)
    seen = present & (rng.random((FRAMES, OBJECTS)) >= 0.10)
    bursts = rng.random((FRAMES, OBJECTS)) < 0.02
    for frame, number in np.argwhere(bursts):
        seen[frame : frame + rng.integers(3, 15), number] = False
    frame, number = np.nonzero(seen)
    found, labels = truth[frame, number], classes[number]
    flips = rng.random(len(frame)) < 0.01
    labels = np.where(flips, (labels + rng.integers(1, 3, len(frame))) % 3, labels)
    again = rng.random(len(frame)) < 0.01
    sides = np.tile(found[again, 2:] - found[again, :2], 2) * np.float32([0.35, 0, 0.35, 0])
    parts = [(frame, found, labels), (frame[again], found[again] + sides, labels[again])]
    parts += [
        ghost(rng, start) for start in np.repeat(np.arange(FRAMES), rng.poisson(0.15, FRAMES))
    ]
    frame, found, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    jitter = rng.normal(0, 0.04, found.shape) * np.tile(found[:, 2:] - found[:, :2], 2)
    order = np.argsort(frame, kind="stable")
    detections = as_table(frame[order], (found + jitter)[order], labels[order])
    return Clip(
        truth, present, classes, detections, *true_errors(detections, truth, present, classes)
    )


def ghost(rng: Generator, start: int) -> tuple[IntArray, FloatArray, IntArray]:
    """A false positive that stays in its place for a while."""
    frame = np.arange(start, min(FRAMES, start + rng.geometric(0.5)))
    side = rng.uniform(30, 90, 2)
    corner = rng.uniform(0, np.array([SIZE[1], SIZE[0]]) - side)
    box = np.concatenate([corner, corner + side]).astype(np.float32)
    return frame, np.tile(box, (len(frame), 1)), np.full(len(frame), rng.integers(0, 3))


def as_table(frame: IntArray, found: FloatArray, labels: IntArray) -> Detections:
    n = len(frame)
    return Detections(
        classes=("car", "person", "cyclist"),
        scanned=np.ones(FRAMES, dtype=np.bool_),
        frame=frame,
        boxes=found,
        scores=np.full(n, 0.9, dtype=np.float32),
        labels=labels,
        probs=np.zeros((n, 4), dtype=np.float32),
        features=np.zeros((n, 0), dtype=np.float16),
        embedding=np.zeros((FRAMES, 0), dtype=np.float32),
    )


def true_errors(
    detections: Detections, truth: FloatArray, present: BoolArray, classes: IntArray
) -> tuple[BoolArray, BoolArray]:
    """(N,) false detections and (F, O) missed objects, at IoU > 0.5 within a class."""
    false = np.ones(len(detections), dtype=np.bool_)
    missed = present.copy()
    for frame in range(FRAMES):
        rows = np.arange(len(detections))[detections.on(frame)]
        for label in range(3):
            mine = rows[detections.labels[rows] == label]
            objects = np.flatnonzero((classes == label) & present[frame])
            assigned, found = geometry.match(
                detections.boxes[mine], detections.scores[mine], truth[frame, objects]
            )
            false[mine[assigned >= 0]] = False
            missed[frame, objects[found]] = False
    return false, missed


@dataclass(frozen=True)
class Quality:
    """Precision and recall of both kinds of error; rank correlation of the frame score."""

    fp: tuple[float, float]
    fn: tuple[float, float]
    spearman: float


def evaluate(options: CoherenceOptions, noise: float = 0.05, clips: int = CLIPS) -> Quality:
    tally = np.zeros(6)
    scores: list[FloatArray] = []
    wanted: list[IntArray] = []
    for seed in range(clips):
        clip = simulate(np.random.default_rng(seed))
        motion = NoisyTracker(clip.truth, np.random.default_rng([seed, 1]), noise)
        table = clip.detections
        carried = propagate(table, motion, window=options.window, size=SIZE)
        errors = estimate(table, carried, options, size=SIZE)
        hit = right_misses(clip, errors.missed_frame, errors.missed_boxes, errors.missed_label)
        tally += [
            np.count_nonzero(errors.false_positive & clip.false),
            np.count_nonzero(errors.false_positive),
            np.count_nonzero(clip.false),
            np.count_nonzero(hit[errors.missed]),
            np.count_nonzero(errors.missed),
            np.count_nonzero(clip.missed),
        ]
        scores.append(frame_counts(errors, table.frame, FRAMES)[:, 0])
        wanted.append(np.bincount(table.frame[clip.false], minlength=FRAMES))
    rho = float(spearmanr(np.concatenate(scores), np.concatenate(wanted)).statistic)
    fp, fn = tally[:3], tally[3:]
    return Quality((fp[0] / fp[1], fp[0] / fp[2]), (fn[0] / max(fn[1], 1), fn[0] / fn[2]), rho)


def right_misses(clip: Clip, frame: IntArray, places: FloatArray, labels: IntArray) -> BoolArray:
    """(M,) bool: candidates that overlap a missed object of their class."""
    overlap = np.stack(
        [geometry.iou_pairs(places, clip.truth[frame, number]) for number in range(OBJECTS)], axis=1
    )
    fits = clip.missed[frame] & (labels[:, None] == clip.classes) & (overlap > 0.5)
    return fits.any(axis=1)


def test_defaults_find_the_simulated_errors() -> None:
    """Expected of the method: FP precision and recall .86/.94, FN .77/.55, rank correlation .89.

    The bands are those of another simulator of the same description, whose scenes differ.
    """
    quality = evaluate(CoherenceOptions())
    assert 0.80 < quality.fp[0] < 0.97
    assert 0.85 < quality.fp[1] < 0.99
    assert 0.70 < quality.fn[0] < 0.97
    assert 0.47 < quality.fn[1] < 0.67
    assert 0.84 < quality.spearman < 0.96


def test_what_spoils_the_estimate_is_what_is_known_to_spoil_it() -> None:
    """Without clusters short runs are called false; with window 1 few errors are found at all."""
    defaults = evaluate(CoherenceOptions(), clips=4)
    single = evaluate(CoherenceOptions(clustering="none"), clips=4)
    assert single.fp[0] < 0.5 * defaults.fp[0]
    assert single.fn[1] == 0
    short = evaluate(CoherenceOptions(window=1), clips=4)
    assert short.fp[1] < defaults.fp[1] - 0.2
    assert short.spearman < defaults.spearman - 0.1
    lost = evaluate(CoherenceOptions(), noise=0.15, clips=4)
    assert lost.fp[0] < defaults.fp[0] - 0.2
