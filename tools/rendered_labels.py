"""Where the labels come from that the learned estimate of errors learns from; for benchmarks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from judged_detections import Clip, judged_clip, on_frames, on_random, without
from rendered_detectors import Scan

from vidal.coherence import CoherenceOptions
from vidal.evaluate.matching import match_clip
from vidal.evaluate.quality import VerdictCounts, false_positive_verdicts, missed_verdicts
from vidal.evidence.gather import estimate_errors
from vidal.expected_errors import Evidence, ExpectedErrorsOptions, Judged, fuse, signals
from vidal.query.exclusion import thin
from vidal.query.select import ranked
from vidal.types import FrameSet

SHARE = 0.1
"""Of the pool's frames, labelled."""
RANDOM_PART = 0.25
"""Of the labelled frames, drawn at random where chosen and random ones are mixed."""
GAP = 3
SEED = 1
RANDOM, CHOSEN, MIXED = "unseen, 10 %", "unseen, chosen 10 %", "unseen, 7.5 % chosen + 2.5 % random"
IMPORTANCE, CALIBRATION = f"{CHOSEN}, importance", f"{MIXED}, calibration"
SEEN, CROSS, AS_MANY = "seen (no self-validation)", "cross-fitted", "unseen, as many as seen"
BEFORE, ALL = "unseen, 10 %, judged by the weaker detector", "unseen, all pool frames"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One clip with the verdicts of one detector at one threshold.

    Attributes:
        clip: evidence, plain signals and true errors.
        values: (F, K, 4) signals of round 0.
        false, missed: verdicts of temporal coherence against the truth.
        seconds: what temporal coherence took.
    """

    clip: Clip
    values: np.ndarray
    false: VerdictCounts
    missed: VerdictCounts
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What one estimate is fitted to."""

    judged: Judged
    options: ExpectedErrorsOptions
    pool: Sequence[Evidence] = ()
    frames: int = 0


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
        false_positive_verdicts(verdicts, match),
        missed_verdicts(verdicts, match),
        seconds,
    )


def round_zero(clips: Sequence[Seen]) -> list[np.ndarray]:
    """(F, 2) of each clip: the fusion of round 0 over all of them, as errors of both kinds."""
    joined = fuse(np.concatenate([each.values for each in clips])).sum(axis=1, dtype=np.float64)
    return np.split(joined, np.cumsum([len(each.values) for each in clips])[:-1])


def unseen(
    pool: Sequence[Seen], options: ExpectedErrorsOptions, weaker: Sequence[Seen] | None
) -> dict[str, Source]:
    """Labels on clips that the detector was not trained on.

    Args:
        pool: the clips as the detector sees them.
        options: of the estimate.
        weaker: the same clips as the detector of the round before sees them.
    """
    rng = np.random.default_rng(SEED)
    clips = [each.clip for each in pool]
    lengths = [len(clip.true) for clip in clips]
    count = round(SHARE * sum(lengths))
    few_count = round(RANDOM_PART * count)
    order = rng.permutation(sum(lengths))
    drawn, few = _masks(order[:count], lengths), _masks(order[:few_count], lengths)
    wanted = _query_order(pool, rng)
    chosen = _masks(wanted[:count], lengths)
    # Drawn first: a random frame that the query would also have chosen stays a random one.
    more = wanted[~np.isin(wanted, order[:few_count])][: count - few_count]
    mixed = [a | b for a, b in zip(_masks(more, lengths), few, strict=True)]
    nothing = [np.zeros(length, np.bool_) for length in lengths]
    rest = [without(clip, mask).evidence for clip, mask in zip(clips, chosen, strict=True)]
    everything = [np.ones(length, np.bool_) for length in lengths]
    weighted = replace(options, correction="importance")
    calibrated = replace(options, correction="calibration")
    sources = {
        RANDOM: Source(labelled_rows(clips, drawn, drawn), options, (), count),
        CHOSEN: Source(labelled_rows(clips, chosen, nothing), options, (), count),
        IMPORTANCE: Source(labelled_rows(clips, chosen, nothing), weighted, rest, count),
        MIXED: Source(labelled_rows(clips, mixed, few), options, (), count),
        CALIBRATION: Source(labelled_rows(clips, mixed, few), calibrated, (), count),
        ALL: Source(labelled_rows(clips, everything, everything), options, (), sum(lengths)),
    }
    if weaker is not None:
        before = labelled_rows([each.clip for each in weaker], drawn, drawn)
        sources[BEFORE] = Source(before, options, (), count)
    return sources


def trained_on(
    own: Sequence[Seen],
    cross: Sequence[Seen],
    masks: Sequence[np.ndarray],
    pool: Sequence[Seen],
    options: ExpectedErrorsOptions,
) -> dict[str, Source]:
    """Labels on the frames that the detector was trained on, and as many that it was not.

    Args:
        own: training clips as the detector itself sees them.
        cross: as the detector sees them that was trained on the other half.
        masks: (F,) bool of each training clip, the frames trained on.
        pool: other clips as the detector sees them.
        options: of the estimate.
    """
    count = int(sum(mask.sum() for mask in masks))
    lengths = [len(each.clip.true) for each in pool]
    # The same order as the random draw of ``unseen``: the smaller set is part of the larger.
    order = np.random.default_rng(SEED).permutation(sum(lengths))
    parts = {
        SEEN: labelled_rows([each.clip for each in own], masks, masks),
        CROSS: labelled_rows([each.clip for each in cross], masks, masks),
        AS_MANY: labelled_rows([each.clip for each in pool], *[_masks(order[:count], lengths)] * 2),
    }
    return {name: Source(judged, options, (), count) for name, judged in parts.items()}


def labelled_rows(
    clips: Sequence[Clip], masks: Sequence[np.ndarray], random: Sequence[np.ndarray]
) -> Judged:
    """The judged rows of these frames of each clip, and which of them were drawn at random."""
    return Judged.join(
        [
            on_random(on_frames(clip.judged, mask), drawn)
            for clip, mask, drawn in zip(clips, masks, random, strict=True)
        ]
    )


def repeated(clips: Sequence[Clip], frames: int) -> Judged:
    """The judged rows of the clips, again and again under new numbers, until there are enough."""
    parts: list[Judged] = []
    left, turn = frames, 0
    while left > 0:
        for clip in clips:
            rows = on_frames(clip.judged, np.arange(len(clip.true)) < left)
            kinds = [
                replace(each, clip=each.clip + 1000 * turn)
                for each in (rows.detections, rows.candidates)
            ]
            parts.append(replace(rows, detections=kinds[0], candidates=kinds[1]))
            left -= min(left, len(clip.true))
        turn += 1
    return Judged.join(parts)


def _query_order(pool: Sequence[Seen], rng: np.random.Generator) -> np.ndarray:
    """Positions by the fusion of round 0, none within the gap of an earlier one of its clip."""
    names = tuple(str(number) for number in range(len(pool)))
    lengths = [len(each.values) for each in pool]
    clip = np.repeat(np.arange(len(pool)), lengths)
    index = np.concatenate([np.arange(length) for length in lengths])
    none = np.zeros(0, np.int64)
    scores = np.concatenate([values.sum(axis=1) for values in round_zero(pool)])
    frames, labelled = FrameSet(names, clip, index), FrameSet(names, none, none)
    return thin(frames, labelled, ranked(scores, rng), GAP)


def _masks(positions: np.ndarray, lengths: Sequence[int]) -> list[np.ndarray]:
    mask = np.zeros(sum(lengths), np.bool_)
    mask[positions] = True
    return np.split(mask, np.cumsum(lengths)[:-1])
