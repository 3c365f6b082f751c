"""What labels teach a selection: a model of the detector's errors, and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vidal.evaluate.intervals import Interval
from vidal.evidence.gathered import Gathered
from vidal.evidence.labels import LabelMatch
from vidal.evidence.places import store_at
from vidal.expected_errors import (
    ErrorModel,
    Evidence,
    ExpectedErrorsOptions,
    Rows,
    Totals,
    model_totals,
)
from vidal.selection.draws import LEARN, step_rng
from vidal.selection.expected import (
    JudgedRound,
    Judging,
    enough,
    fit_expected_errors,
    judge_stored,
)
from vidal.selection.forecast import (
    Forecast,
    adding_up,
    newest_forecast,
    span_text,
    spans,
)
from vidal.types import Query
from vidal.words import counted

MOST_OF_A_CLIP = 500
"""Rows of a clip, roughly, that stand for it where labelled rows are weighted by importance."""
_TOO_FEW = (
    "Expected errors: too few labelled errors to learn from; unsure detections, weak detections and"
    " temporal coherence were fused instead. The scores put frames in order; they count no errors."
)
_PRIOR = (
    "Expected errors are those of the prior that comes with vidal (other detectors on rendered"
    " clips), not learned from your labels: too few errors were judged so far. These numbers are"
    " rough, often several times too high or too low. The frames are in the order of a fusion of"
    " them with unsure detections, weak detections and temporal coherence."
)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What was learned for a selection.

    Attributes:
        model: None where there was too little to learn from and no prior, or nothing is expected.
        totals: what makes counts of the model's sums; None = the sums are told.
        numbers: clip id -> its number in what was judged.
        ranks: whether the model puts frames in order by itself; else fixed signals help.
        source: what expects errors, see ``_source``; None where none are expected.
        forecast: how errors were expected of labelled frames and found; None without a model.
        remarks: for the report.
    """

    model: ErrorModel | None = None
    totals: Totals | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    ranks: bool = False
    source: Mapping[str, Any] | None = None
    forecast: Forecast | None = None
    remarks: tuple[str, ...] = ()

    def expected(self, query: Query) -> tuple[Interval, Interval, Interval] | None:
        """What is told of a query's frames in sum; None where the sums are no counts."""
        parts = query.explanation.parts
        if self.totals is None or not {"false_positives", "misses"} <= set(parts):
            return None
        told = np.stack([parts["false_positives"], parts["misses"]], axis=1)
        rows: dict[str, list[int]] = {}
        for row, ref in enumerate(query.frames):
            rows.setdefault(ref.clip, []).append(row)
        return spans(
            self.totals,
            [(self.numbers.get(name), told[mine].sum(axis=0)) for name, mine in rows.items()],
        )


def expected_sentence(expected: tuple[Interval, Interval, Interval]) -> str:
    """What is expected of the chosen frames, in words."""
    false, missed, both = expected
    total, _ = adding_up(false.value, missed.value)
    return (
        f"The chosen frames are expected to hold {counted(total, 'error')}, most likely"
        f" {span_text(both)}: {counted(round(false.value), 'false alarm')}"
        f" ({span_text(false)}) and {counted(round(missed.value), 'miss', 'misses')}"
        f" ({span_text(missed)})."
    )


def learn(
    found: Gathered,
    options: ExpectedErrorsOptions | None,
    labels: LabelMatch | None,
    rounds: Sequence[JudgedRound] | None,
    *,
    seed: int,
    number: int,
) -> Lesson:
    """Learn to expect errors.

    Args:
        found: evidence of the clips to select from.
        options: of the estimate; None = nothing is expected: no model and no remark.
        labels: what is labelled.
        rounds: what earlier rounds taught; None = there are none, and ``labels`` judge the detector
            of this run, which may have been trained on them.
        seed: of the campaign or the run.
        number: of the round that will be selected.
    """
    if options is None:
        return Lesson()
    open_clips = None
    if rounds is None:
        open_clips = _open_clips(found, labels)
        tables = {} if labels is None else labels.annotations
        own = judge_stored(store_at(found.store), found.keys, tables, options)
        names = tuple(sorted(found.keys))
        rounds = [] if own is None else [JudgedRound(0, own, "perhaps seen", names)]
    judged = [each.judged for each in rounds]
    pool: list[Evidence] = []
    if options.correction == "importance":
        pool = pool_evidence(found.rows(clip) for clip in found.clips)
    rng = step_rng(seed, number, LEARN)
    model = fit_expected_errors(
        judged, rng, options, pool=pool, columns=_columns(found), own=open_clips
    )
    source = _source(model)
    if model is None:
        return Lesson(source=source, remarks=(_TOO_FEW,))
    totals = model_totals(model)
    told = newest_forecast(rounds, model, totals, seed)
    ranks = enough(model.judged)
    remark = _remark(model, [each.how for each in rounds]) if ranks else _PRIOR
    numbers = {name: number for each in rounds for number, name in enumerate(each.clips)}
    remarks = (remark, *(() if told is None else (told.sentence,)))
    return Lesson(model, totals, numbers, ranks, source, told, remarks)


def _open_clips(found: Gathered, labels: LabelMatch | None) -> list[int] | None:
    """Numbers of the clips with frames that are not labelled; None = all clips."""
    if labels is None:
        return None
    names = sorted(found.keys)
    return [n for n, name in enumerate(names) if not labels.labelled(found.clips[name]).all()]


def _columns(found: Gathered) -> tuple[str, ...] | None:
    """Names of the evidence columns; None without evidence."""
    rows = (found.rows(clip) for clip in found.clips)
    return next((each.columns for each in rows if each is not None), None)


def _source(model: ErrorModel | None) -> dict[str, Any]:
    """What expects errors, as JSON values.

    ``by``: labels, prior (that comes with vidal), prior and labels, or fusion (no counts);
    ``order_by``: expected errors, or fusion; ``weight_of_prior``: in [0, 1], in false alarms and
    in misses.
    """
    if model is None:
        return {"by": "fusion", "order_by": "fusion", "weight_of_prior": None}
    false, missed = (1 - share for share in model.own_share)
    by = "labels" if false == missed == 0 else "prior and labels"
    if false == missed == 1:
        by = "prior"
    return {
        "by": by,
        "order_by": "expected errors" if enough(model.judged) else "fusion",
        "weight_of_prior": {"false_alarms": false, "misses": missed},
    }


def pool_evidence(rows: Iterable[Evidence | None]) -> list[Evidence]:
    """Evenly spaced rows of every clip's evidence, for the correction by importance."""
    return [
        replace(each, detections=_thinned(each.detections), candidates=_thinned(each.candidates))
        for each in rows
        if each is not None
    ]


def _thinned(rows: Rows) -> Rows:
    step = max(1, len(rows) // MOST_OF_A_CLIP)
    names = ("frame", "boxes", "labels", "evidence")
    return replace(rows, **{name: getattr(rows, name)[::step] for name in names})


def _remark(model: ErrorModel, how: Sequence[Judging]) -> str:
    learned = model.judged
    remark = (
        f"Expected errors were learned from {int(learned.detections.error.sum())} false positives"
        f" and {learned.missed} missed objects of the labelled frames."
    )
    if "cross-fitted" in how:
        remark += (
            " Frames that every model has seen were judged by detectors trained on other clips."
        )
    if "perhaps seen" in how:
        remark += " If the detector was trained on these frames, it makes more errors elsewhere."
    return remark
