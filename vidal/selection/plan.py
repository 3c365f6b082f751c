"""What to select from, and how; everything that can be refused before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidal.evidence.beside import labels_beside
from vidal.evidence.clips import open_clips
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.given import GivenDetections
from vidal.evidence.given_clips import take_in
from vidal.evidence.labels import LabelMatch
from vidal.evidence.load import keeper
from vidal.evidence.places import EngineMaker
from vidal.evidence.summary import SummaryOptions
from vidal.protocols import Selector
from vidal.query.balance_pool import COLUMN as OBJECTS
from vidal.query.budget import Budget
from vidal.query.cost import Cost
from vidal.selection.history import NO_HISTORY, History
from vidal.types import AnyGap, BoolArray, Clip, SkippedClip
from vidal.words import counted


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to select from.

    Attributes:
        videos: a clip or a folder of clips; None where given detections describe the clips.
        labels: of frames that are labelled already, in a format of ``READERS``.
        image_rate: nominal frames a second of folders of images.
    """

    videos: Path | None
    labels: Path | None
    image_rate: Fraction


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """How many frames are chosen, and how.

    Attributes:
        budget: how many frames, or what they may cost.
        strategy: name of the query strategy.
        selector: the strategy, with its options and neighbour exclusion.
        seed: root of all randomness.
        threshold: detections with a higher score count (strict).
        floor: lowest score of the weak detections in the fixed fusion of expected errors.
        random_share: of the budget that is drawn at random, in [0, 1).
        gap: between chosen or labelled frames of a clip, see ``Gap``, by the random share; the
            selector has its own.
        cost: rates of annotation.
    """

    budget: Budget
    strategy: str
    selector: Selector
    seed: int
    threshold: float
    floor: float = 0.05
    random_share: float = 0.0
    gap: AnyGap = 0
    cost: Cost = Cost()

    @property
    def needs(self) -> frozenset[str]:
        """What the pool has to have: what the strategy needs, and what tells frames' costs.

        Costs are told where a detector runs anyway, and where the budget is not in frames.
        """
        needs = self.selector.needs
        return needs | {OBJECTS} if needs or not self.budget.counts_frames else needs


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """A selection: each stage is handed its own part.

    Attributes:
        inputs: read by ``prepare_selection``.
        evidence: what is computed for each clip; sums by frame (``summary``) are made as the query
            counts, whatever is given.
        query: how frames are chosen.
        settings: every option that shapes the result, for the record.
    """

    inputs: Inputs
    evidence: EvidencePlan
    query: QueryPlan
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Whatever is asked of frames is read from sums that are made as the query counts."""
        query, evidence = self.query, self.evidence
        if query.needs or isinstance(evidence.detector, GivenDetections):
            summary = SummaryOptions(query.threshold, query.floor, evidence.expected)
            object.__setattr__(self, "evidence", replace(evidence, summary=summary))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The clips of a run before anything is computed for them.

    Attributes:
        clips: in order of discovery.
        skipped: inputs that cannot be used.
        labels: what is labelled already, or None.
        base: what a percentage refers to: all readable frames, labelled ones included.
        wanted: the budget in frames; None where it is in boxes or time.
        selectable: frames that are not labelled.
        round: number of the round.
        barred: clip id -> (F,) bool, frames that may not be chosen though they are not labelled.
        notes: remarks for the reader.
        history: what the answers to earlier queries say.
    """

    clips: tuple[Clip, ...]
    skipped: tuple[SkippedClip, ...]
    labels: LabelMatch | None
    base: int
    wanted: int | None
    selectable: int
    round: int = 0
    barred: Mapping[str, BoolArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    history: History = NO_HISTORY

    @property
    def base_text(self) -> str:
        """``base`` in words."""
        return f"{counted(self.base, 'frame')} of {counted(len(self.clips), 'clip')}"


def prepare_selection(plan: SelectionPlan, *, engines: EngineMaker) -> Prepared:
    """Open the clips, read the labels, settle the budget: everything that can be refused early.

    Raises:
        NoClips, LabelsMismatch, FormatError, BudgetError: as the input deserves.
    """
    given = plan.inputs
    clips, skipped, notes = find_clips(plan, engines)
    labels = None
    if given.labels is not None:
        beside = labels_beside(given.labels, clips)
        labels, notes = beside.match, (*notes, *beside.notes)
    base = sum(clip.frames for clip in clips)
    labelled = 0 if labels is None else sum(int(labels.labelled(clip).sum()) for clip in clips)
    budget = plan.query.budget
    wanted = budget.frames(base) if budget.counts_frames else None
    budget.check(1 if wanted is None else wanted, base - labelled)
    return Prepared(
        tuple(clips), tuple(skipped), labels, base, wanted, base - labelled, notes=notes
    )


def find_clips(
    plan: SelectionPlan, engines: EngineMaker
) -> tuple[Sequence[Clip], Sequence[SkippedClip], tuple[str, ...]]:
    """The clips, what cannot be used, and remarks; given detections are put into the store."""
    inputs, detector, store = plan.inputs, plan.evidence.detector, plan.evidence.store
    clips: Sequence[Clip] | None = None
    skipped: Sequence[SkippedClip] = ()
    if inputs.videos is not None:
        clips, skipped = open_clips(
            inputs.videos, engines=engines, store=store, image_rate=inputs.image_rate
        )
    if not isinstance(detector, GivenDetections):
        return clips or (), skipped, ()
    taken = take_in(
        detector,
        clips,
        needs=plan.query.selector.needs,
        strategy=plan.query.strategy,
        keep=keeper(plan.evidence),
        rate=inputs.image_rate,
    )
    return taken.clips, [*skipped, *taken.skipped], taken.notes
