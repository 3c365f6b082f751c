"""Where the labels come from that the estimate of errors learns from; for benchmarks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from judged_detections import Clip, judged_clip, on_frames, on_random
from rendered_detectors import Scan

from vidal.coherence import CoherenceOptions
from vidal.evaluate.matching import match_clip
from vidal.evidence.gather import estimate_errors
from vidal.expected_errors import ExpectedErrorsOptions, Judged, fuse, fuse_with, signals
from vidal.query.exclusion import thin
from vidal.query.select import ranked
from vidal.types import FrameSet

SHARES = (0.03, 0.1)
"""Of the pool's frames, labelled; each set is part of the next."""
GAP = 3
SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One clip as one detector sees it at one threshold.

    Attributes:
        clip: evidence, plain signals and true errors.
        values: (F, K, 4) signals of the fusion.
        seconds: what temporal coherence took.
    """

    clip: Clip
    values: np.ndarray
    seconds: float


def seen(scan: Scan, number: int, options: ExpectedErrorsOptions) -> Seen:
    """The evidence of a scanned clip, judged by its truth; ``number`` is its own."""
    table, size, threshold = scan.detections, scan.spec.size, options.threshold
    literal = CoherenceOptions(score_threshold=threshold)
    start = time.process_time()
    verdicts = estimate_errors(table, scan.motion, literal, size=size)
    seconds = time.process_time() - start
    match = match_clip(table, scan.truth, score_floor=threshold)
    return Seen(
        judged_clip(scan.spec.name, number, match, scan.motion, verdicts, options, size=size),
        signals(table, verdicts, threshold=threshold, floor=options.floor),
        seconds,
    )


def fused(clips: Sequence[Seen], counts: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
    """(F, 2) of each clip: the fusion over all of them, as errors of both kinds.

    Args:
        clips: all of them.
        counts: (F, K, 2) of each, by a prior that is fused with them.
    """
    values = np.concatenate([each.values for each in clips])
    whole = fuse(values) if counts is None else fuse_with(values, np.concatenate(counts))
    joined = whole.sum(axis=1, dtype=np.float64)
    return np.split(joined, np.cumsum([len(each.values) for each in clips])[:-1])


def drawn(clips: Sequence[Clip], share: float) -> list[np.ndarray]:
    """(F,) bool of each clip: frames drawn at random from all of them."""
    lengths = [len(clip.true) for clip in clips]
    order = np.random.default_rng(SEED).permutation(sum(lengths))
    return _masks(order[: round(share * sum(lengths))], lengths)


def chosen(clips: Sequence[Seen], share: float) -> list[np.ndarray]:
    """(F,) bool of each clip: frames that the fusion ranks highest, none within the gap."""
    lengths = [len(each.values) for each in clips]
    names = tuple(str(number) for number in range(len(clips)))
    clip = np.repeat(np.arange(len(clips)), lengths)
    index = np.concatenate([np.arange(length) for length in lengths])
    none = np.zeros(0, np.int64)
    scores = np.concatenate([values.sum(axis=1) for values in fused(clips)])
    frames, labelled = FrameSet(names, clip, index), FrameSet(names, none, none)
    order = thin(frames, labelled, ranked(scores, np.random.default_rng(SEED)), GAP)
    return _masks(order[: round(share * sum(lengths))], lengths)


def labelled_rows(clips: Sequence[Clip], masks: Sequence[np.ndarray]) -> Judged:
    """The judged rows of these frames of each clip."""
    pairs = zip(clips, masks, strict=True)
    return Judged.join([on_random(on_frames(clip.judged, mask), mask) for clip, mask in pairs])


def _masks(positions: np.ndarray, lengths: Sequence[int]) -> list[np.ndarray]:
    mask = np.zeros(sum(lengths), np.bool_)
    mask[positions] = True
    return np.split(mask, np.cumsum(lengths)[:-1])
