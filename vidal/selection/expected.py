"""Expected errors in a run: evidence, labels that judge it, a model, the pool's column.

In a campaign the labels of earlier rounds were judged by detectors that had not seen them, see
``vidal.campaign.judged``; a single selection has only the labels that it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.random import Generator

from vidal.evidence.gather import EvidenceKeys, load_detections, load_evidence
from vidal.evidence.judge import judge
from vidal.evidence.load import has_all
from vidal.expected_errors import (
    ErrorModel,
    Evidence,
    ExpectedErrorsOptions,
    Judged,
    fit,
    nothing_judged,
    prior_for,
    weighed,
)
from vidal.protocols import Store
from vidal.selection.labelled import with_classes
from vidal.types import Annotations, BoolArray, Detections, FloatArray, IntArray

Judging = Literal["unseen", "cross-fitted", "perhaps seen"]
"""By whom labels were judged: by a detector that had not seen them, by detectors trained on other
clips' labels, or by one that may have been trained on them."""
MOST_OF_A_CLIP = 500
"""Rows of a clip, roughly, that stand for it where labelled rows are weighted by importance."""
LEAST_ERRORS = 10
"""Judged errors below which the fixed fusion, with the prior, puts frames in order."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedRound:
    """The judged labels of one round.

    Attributes:
        number: of the round.
        judged: its rows.
        how: by whom.
        clips: ids of the clips, by the numbers of its rows; empty where they are not known.
        pool: reads what ``pool_evidence`` gave when the round was selected, or None where that is
            not kept any more; None = no model selected the round.
    """

    number: int
    judged: Judged
    how: Judging
    clips: tuple[str, ...] = ()
    pool: Callable[[], Sequence[Evidence] | None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class JudgedClip:
    """A clip with labelled frames that its detector had not seen.

    Attributes:
        evidence: by that detector.
        detections: the table it was gathered from.
        truth: annotations; classes are matched by name.
        number: of the clip, the same in every round.
        random: (F,) bool, labelled frames that were drawn at random, not chosen; None = all.
    """

    evidence: Evidence
    detections: Detections
    truth: Annotations
    number: int
    random: BoolArray | None = None


def judge_clips(clips: Iterable[JudgedClip], options: ExpectedErrorsOptions) -> Judged | None:
    """The judged rows of clips; None without clips."""
    parts = [
        judge(
            each.evidence,
            each.detections,
            with_classes(each.truth, each.detections.classes),
            threshold=options.threshold,
            clip=each.number,
            random=each.random,
        )
        for each in clips
    ]
    return Judged.join(parts) if parts else None


def judge_stored(
    store: Store,
    keys: Mapping[str, EvidenceKeys],
    tables: Mapping[str, Annotations],
    options: ExpectedErrorsOptions,
    *,
    random: Mapping[str, BoolArray] | None = None,
) -> Judged | None:
    """Judge the evidence that a detector left in the store, before it saw the labels.

    Args:
        store: of the evidence.
        keys: clip id -> where the evidence of that detector lies (``EvidencePlan.keys``); of the
            same clips in every round, because rows are numbered by the place of their clip.
        tables: clip id -> labels of the frames to judge, and of no others.
        options: as the evidence was gathered.
        random: clip id -> (F,) bool, frames that were drawn at random; None = all of them.

    Returns:
        None where no clip has both labels and stored evidence.
    """
    return judge_clips(_stored(store, keys, tables, random or {}), options)


def _stored(
    store: Store,
    keys: Mapping[str, EvidenceKeys],
    tables: Mapping[str, Annotations],
    random: Mapping[str, BoolArray],
) -> Iterator[JudgedClip]:
    for number, clip in enumerate(sorted(keys)):
        table, where = tables.get(clip), keys[clip]
        if table is None or not table.labelled.any() or where.expected is None:
            continue
        if not all(has_all(store, [where], stage) for stage in ("expected", "detections")):
            continue
        evidence = load_evidence(store, where)
        if evidence is not None:
            found = load_detections(store, where, columns=())
            yield JudgedClip(evidence, found, table, number, random.get(clip))


def fit_expected_errors(
    judged: Iterable[Judged],
    rng: Generator,
    options: ExpectedErrorsOptions,
    *,
    pool: Sequence[Evidence] = (),
    columns: tuple[str, ...] | None = None,
    own: Collection[int] | None = None,
) -> ErrorModel | None:
    """A model from the judged rows of all rounds so far.

    Args:
        judged: one entry a round, by rising number: older rounds were judged by weaker models, and
            count by what they do for the newest, if the options say so.
        rng: one number is drawn from it if a model is fitted.
        options: of the estimate.
        pool: evidence of what it is for; only the correction by importance looks at it.
        columns: of the evidence that it will be asked about, for where nothing is judged yet.
        own: of a single entry, numbers of the clips that frames are chosen from; labels of others
            count by what they do for those. None = all.

    Returns:
        None where fewer than ``LEAST_ERRORS`` errors were judged and no prior says the rest.
    """
    parts = list(judged)
    if not parts and columns is None:
        return None
    everything = _together(parts, options, own) if parts else nothing_judged(columns or ())
    if enough(everything):
        # Other detectors mislead: as soon as anything is learned, mixing the prior in costs rank
        # on real ones (tools/bench_expected_errors.py).
        return fit(everything, rng, replace(options, prior=0.0), pool=pool)
    if prior_for(everything.columns, options) is None:
        return None
    return fit(everything, rng, options, pool=pool)


def enough(judged: Judged) -> bool:
    """Whether a model of these rows may put frames in order."""
    errors = judged.detections.error.sum() + judged.candidates.error.sum()
    return bool(errors >= LEAST_ERRORS)


def _together(
    parts: Sequence[Judged], options: ExpectedErrorsOptions, own: Collection[int] | None
) -> Judged:
    """All rows, those of elsewhere by their weight."""
    if not options.settled.weigh:
        return Judged.join(parts)
    if len(parts) > 1:
        return weighed(parts[-1], Judged.join(parts[:-1]))[0]
    if own is None:
        return parts[0]
    return weighed(*(_of_clips(parts[0], own, inside) for inside in (True, False)))[0]


def _of_clips(judged: Judged, clips: Collection[int], inside: bool) -> Judged:
    """The rows of these clips, or of all others."""

    def use(clip: IntArray) -> BoolArray:
        return np.isin(clip, list(clips)) == inside

    misses = judged.misses.keep(use(judged.misses.clip))
    return Judged(
        judged.columns,
        judged.detections.keep(use(judged.detections.clip)),
        judged.candidates.keep(use(judged.candidates.clip)),
        int(misses.missed.sum()) if len(judged.misses) else judged.missed * inside,
        misses,
    )


def expected_counts(model: ErrorModel, evidence: Evidence, classes: int) -> FloatArray:
    """(F, K, 2) float32: expected false positives and missed objects: ``PoolClip.expected``."""
    return model.counts(evidence, classes)
