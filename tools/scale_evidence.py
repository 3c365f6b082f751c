"""Evidence of clips that nobody filmed, in the store's own format; part of ``bench_scale.py``.

Boxes of a few templates are random, everything that follows from them is made by the real code
(links, cut, rows for expected errors, sums by frame), and every entry is written by the code that
packs. A clip is one of the templates with other boxes and an embedding of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.evidence.gather import EvidencePlan, clip_evidence, estimate_errors
from vidal.evidence.labels import LabelMatch
from vidal.evidence.load import (
    BLOCK,
    LOOKS,
    put,
    put_carried,
    put_detections,
    put_estimate,
)
from vidal.evidence.summary import summarise
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence, ExpectedErrorsOptions
from vidal.store import FileStore, to_arrays
from vidal.store.columns import Entry
from vidal.store.manifest import entries_of, write_part
from vidal.store.shard import write_shard
from vidal.track import FlowOptions, propagate
from vidal.track.kalman import KalmanMotion
from vidal.types import Annotations, Carried, Clip, Detections, ErrorEstimate, FrameSummary, Stored

CLASSES = ("car", "cyclist", "pedestrian")
SIZE = (300, 480)
LENGTH = 120
TEMPLATES = 64
"""More than there are sums of clips in a row group: packing finds nothing twice in one."""
WIDTH = 256
"""Of an embedding: that of the shipped detector."""
KINDS = 40
SHARD = 1 << 28


def plan_of(store: Path, *, embedding: bool) -> EvidencePlan:
    """As ``vidal select`` plans the default strategy."""
    return EvidencePlan(
        store,
        DetectorSpec(name="scenes-tiny"),
        8,
        FlowOptions(),
        CoherenceOptions(),
        ExpectedErrorsOptions(),
        columns=frozenset({"embedding"} if embedding else set()),
    )


def clips_of(frames: int) -> list[Clip]:
    """As many clips of ``LENGTH`` frames as it takes."""
    pts = np.arange(LENGTH)
    tick, rate = Fraction(1, 25), Fraction(25)
    names = (f"drive-{number:06d}" for number in range(-(-frames // LENGTH)))
    return [
        Clip(f"{name}-0123456789", Path(f"{name}.mp4"), pts, tick, rate, SIZE) for name in names
    ]


@dataclass(frozen=True)
class Template:
    """The evidence of one clip."""

    detections: Detections
    carried: Carried
    verdicts: ErrorEstimate
    rows: Evidence
    summary: FrameSummary


def template(seed: int, boxes: int, plan: EvidencePlan) -> Template:
    """Objects that drive along, most of them found, some weakly, and false alarms."""
    rng = np.random.default_rng(seed)
    tracks = max(1, boxes)
    start, speed = rng.uniform(0, 400, tracks), rng.uniform(-2, 2, tracks)
    top, side = rng.uniform(60, 200, tracks), rng.uniform(14, 60, tracks)
    label, strength = rng.integers(0, len(CLASSES), tracks), rng.beta(0.7, 1.2, tracks)
    frame, track = (each.ravel() for each in np.indices((LENGTH, tracks)))
    seen = rng.random(len(frame)) < 0.85
    frame, track = frame[seen], track[seen]
    x = np.clip(start[track] + speed[track] * frame + rng.normal(0, 1, len(frame)), 0, 415)
    y = top[track] + rng.normal(0, 1, len(frame))
    corner = np.stack([x, y], axis=1)
    scores = np.clip(strength[track] + rng.normal(0, 0.08, len(frame)), 0.051, 0.999)
    probs = rng.dirichlet(np.ones(len(CLASSES) + 1), len(frame)) * (1 - scores)[:, None]
    probs[np.arange(len(frame)), label[track]] += scores
    table = Detections(
        CLASSES,
        np.ones(LENGTH, np.bool_),
        frame,
        np.hstack([corner, corner + side[track][:, None]]),
        scores,
        label[track],
        probs,
        np.zeros((len(frame), 0)),
        np.zeros((LENGTH, 0)),
        np.ones(len(frame), np.int64),
    )
    motion = KalmanMotion.of(table)
    assert plan.coherence is not None
    assert plan.expected is not None
    assert plan.summary is not None
    verdicts = estimate_errors(table, motion, plan.coherence, size=SIZE)
    rows = clip_evidence(table, motion, verdicts, plan.expected, size=SIZE)
    carried = propagate(table, motion, window=plan.coherence.window, size=SIZE)
    return Template(table, carried, verdicts, rows, summarise(table, verdicts, rows, plan.summary))


class Collector:
    """A store that packs what is put, stage by stage, without a file for each entry."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._held: dict[str, list[Entry]] = {}

    def put(self, key: str, arrays: Mapping[str, Any], about: Stored | None = None) -> None:
        """As ``Store.put``."""
        assert about is not None
        held = self._held.setdefault(about.stage, [])
        held.append(Entry(key, about, time.time_ns(), dict(arrays)))
        if len(held) % 64 == 0 and sum(entry.bytes for entry in held) > SHARD:
            self._write(about.stage)

    def close(self) -> None:
        """Write the rest."""
        for stage in list(self._held):
            self._write(stage)

    def _write(self, stage: str) -> None:
        held = self._held.pop(stage)
        packed = self._store.packed
        made = write_shard(packed.shards, stage, [entry.layout for entry in held], iter(held))
        assert made is not None
        write_part(packed.parts, entries_of(made[0].name, made[1]))


def make(root: Path, clips: Sequence[Clip], plan: EvidencePlan, *, boxes: int, rows: bool) -> None:
    """Evidence of clips.

    Args:
        root: of the store.
        clips: as ``clips_of`` gives them.
        plan: of the run that will look for it.
        boxes: a frame.
        rows: whether all stages are made; else sums and embeddings.
    """
    store = Collector(FileStore(root))
    templates = [template(seed, boxes, plan) for seed in range(min(TEMPLATES, len(clips)))]
    rng = np.random.default_rng(1)
    looks = rng.normal(size=(KINDS, WIDTH)).astype(np.float32)
    whole = Window(0, LENGTH)
    for number, clip in enumerate(clips):
        each, keys = templates[number % len(templates)], plan.keys(clip)
        if keys.embeddings is not None:
            embedding = looks[number % KINDS] + 0.5 * rng.standard_normal(
                (LENGTH, WIDTH), np.float32
            )
            arrays = {"embedding": embedding, LOOKS: embedding[BLOCK // 2 :: BLOCK]}
            put(store, keys.embeddings, arrays, "embeddings", clip, whole, rows=LENGTH)
        # Sums of equal templates are not equal, or packing them would be too easy.
        factor = rng.uniform(0.9, 1.1, (LENGTH, 1, 1)).astype(np.float32)
        sums = replace(
            each.summary,
            signals=each.summary.signals * factor,
            prior=each.summary.prior * factor,
            objects=each.summary.objects * factor[..., 0],
            mass=each.summary.mass * factor[..., 0],
            class_mass=each.summary.class_mass * factor[..., 0],
        )
        put(store, keys.summary, sums.arrays(), "summary", clip, whole)
        if rows:
            bare = replace(keys, embeddings=None)
            put_detections(store, bare, clip, whole, each.detections)
            put_carried(store, keys.carried, clip, whole, each.carried, each.detections)
            put_estimate(store, keys.estimate, clip, whole, each.verdicts)
            put(store, keys.expected, to_arrays(each.rows), "expected", clip, whole)
    store.close()


def labels_of(clips: Sequence[Clip], plan: EvidencePlan, *, boxes: int, frames: int) -> LabelMatch:
    """Labels of some frames: objects where detections are strong, and a few that were missed."""
    tables = {}
    step = 6
    for number, clip in enumerate(clips[: -(-frames * step // LENGTH)]):
        found = template(number % TEMPLATES, boxes, plan).detections
        labelled = np.arange(LENGTH) % step == 0
        true = labelled[found.frame] & (found.scores > 0.62)
        rows = np.flatnonzero(true)
        tables[clip.id] = Annotations(
            CLASSES,
            labelled,
            found.frame[rows],
            found.boxes[rows],
            found.labels[rows],
            np.full(len(rows), -1),
            np.zeros(len(rows), np.bool_),
        )
    return LabelMatch(tables, ())
