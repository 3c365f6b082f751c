"""What one selection produced: the input of everything in ``report``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vidal.evaluate.curves import Picks
from vidal.evaluate.intervals import Interval
from vidal.evidence.verdicts import by_cut
from vidal.protocols import Motion
from vidal.query.balance_told import BalanceTold
from vidal.query.budget import Unit, budget_words
from vidal.query.cost import Spent
from vidal.selection.asked import Asked
from vidal.selection.forecast import Forecast
from vidal.selection.history import NO_HISTORY, History
from vidal.types import (
    BoolArray,
    Clip,
    Detections,
    ErrorEstimate,
    FloatArray,
    FrameRef,
    Query,
    ScoreArray,
    SkippedClip,
)
from vidal.types.verdicts import Verdicts
from vidal.video.prints import Prints


@dataclass(frozen=True, slots=True, eq=False)
class ClipResult:
    """One clip, loaded when it is looked at.

    Attributes:
        clip: the clip.
        detections: everything above the detector's floor; None where the strategy ran no detector.
        estimate: verdicts; its ``rows`` are rows of ``detections``. None where not estimated.
        scores: (F,) float64 of the strategy; NaN where not scored.
        selectable: (F,) bool, frames that could be selected.
        labelled: (F,) bool, frames that were labelled before.
        judged: what the estimate that puts frames in order says of boxes; None = what ``estimate``
            says, if it is there.
    """

    clip: Clip
    detections: Detections | None
    estimate: ErrorEstimate | None
    scores: ScoreArray
    selectable: BoolArray
    labelled: BoolArray
    judged: Verdicts | None = None

    @property
    def verdicts(self) -> Verdicts | None:
        """On single boxes, by the estimate that puts frames in order; None where there is none."""
        if self.judged is not None or self.estimate is None:
            return self.judged
        return by_cut(self.estimate)


def _unknown(clip: str) -> None:
    del clip


def _no_motion(clip: str) -> None:
    del clip


@dataclass(frozen=True, slots=True, eq=False)
class SelectionResult:
    """One finished selection.

    Attributes:
        query: the chosen frames, most wanted first.
        clips: all clips that were used, by id, in the order of discovery.
        skipped: inputs that were not used, with the cause.
        load: clip id -> ``ClipResult``; reads from the store, so hold one at a time.
        strategy: name of the query strategy.
        classes: class names of the detector; empty where none ran.
        threshold: detections with a higher score count (strict).
        budget_text: the budget as the user gave it, e.g. ``2%``.
        budget_base: what a percentage refers to, in words, e.g. ``1,200 frames of 5 clips``.
        budget_unit: what the budget counts.
        settings: every option that shaped the result; JSON values.
        versions: vidal, Python and the libraries that matter.
        notes: remarks for the reader, one sentence each (few links, fewer frames than asked, ...).
        drawn: how many of the last frames were drawn at random beside the strategy's.
        forecast: how errors were expected of labelled frames and found; None where nothing was
            learned.
        expected: errors of the chosen frames that a model expects: false positives, misses and both
            together, each with its 95 % interval; None where nothing was learned that counts.
        expected_by: what expects errors: ``by`` (labels, prior, prior and labels, or fusion) and
            ``weight_of_prior``; None where none are expected.
        balance: what class balance weighed; None where it was not asked for.
        prints: clip id -> fingerprints of its frames as they were scored; None where not known.
        expected_cost: what the chosen frames were expected to cost; None where no detector ran.
        real_cost: what they did cost, by the answers so far; None where there are none.
        asked: the regions that the query asks about; None where no detector looked, or told again.
        history: what the answers to earlier queries say.
        unknown: chosen frame -> P(unknown object) of its detections above the threshold, in their
            order; empty where nothing was learned of it.
        called_unknown: chosen frame -> (n, 4) boxes that annotators called unknown objects since.
        motion: clip id -> how it moves; None where that is not known.
        labels_before: class -> labelled objects before this query, unknown ones under ``""``; None
            where there were no labels.
        labels_answered: the same of the answers to this query, and ``frames_answered`` how many
            frames these are; None where there are none yet.
        outcome: how the errors that were expected of this query's frames were found.
        worth: what the answers say of the picks and of the estimate that chose them.
    """

    query: Query
    clips: Mapping[str, Clip]
    skipped: tuple[SkippedClip, ...]
    load: Callable[[str], ClipResult]
    strategy: str
    classes: tuple[str, ...]
    threshold: float
    budget_text: str
    budget_base: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    notes: tuple[str, ...]
    drawn: int = 0
    forecast: Forecast | None = None
    expected: tuple[Interval, Interval, Interval] | None = None
    expected_by: Mapping[str, Any] | None = None
    balance: BalanceTold | None = None
    prints: Callable[[str], Prints | None] = _unknown
    budget_unit: Unit = "frames"
    expected_cost: Spent | None = None
    real_cost: Spent | None = None
    asked: Asked | None = None
    history: History = NO_HISTORY
    unknown: Mapping[FrameRef, ScoreArray] = field(default_factory=dict)
    called_unknown: Mapping[FrameRef, FloatArray] = field(default_factory=dict)
    motion: Callable[[str], Motion | None] = _no_motion
    labels_before: Mapping[str, int] | None = None
    labels_answered: Mapping[str, int] | None = None
    frames_answered: int = 0
    outcome: Forecast | None = None
    worth: Picks | None = None

    @property
    def cost_words(self) -> str:
        """What the frames were expected to cost, and did cost, at which rates; may be empty."""
        sides = (("expected", self.expected_cost), ("real", self.real_cost))
        told = [f"{name} {each.text}" for name, each in sides if each is not None]
        known = self.expected_cost or self.real_cost
        return "" if known is None else f"{'; '.join(told)}, at {known.cost.text}"

    def cost_dict(self) -> dict[str, Any] | None:
        """Rates, expected and real cost as JSON values; None where nothing is known of them."""
        told = self.expected_cost or self.real_cost
        if told is None:
            return None
        sides = {"expected": self.expected_cost, "real": self.real_cost}
        plain = {name: None if each is None else each.as_dict() for name, each in sides.items()}
        return {"rates": told.cost.as_dict(), **plain}

    @property
    def budget_words(self) -> str:
        """The budget with what it is taken from; see ``vidal.query.budget.budget_words``."""
        return budget_words(self.budget_text, self.budget_base, self.budget_unit)
