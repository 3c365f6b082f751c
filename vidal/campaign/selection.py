"""The main job: from a folder of clips and a budget to a query."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import vidal
from vidal.campaign.clips import open_clips
from vidal.campaign.evidence import (
    ClipEvidence,
    EvidenceJob,
    EvidencePlan,
    gather,
    known_evidence,
    load_detections,
    load_estimate,
    load_evidence,
)
from vidal.campaign.expected import LEARN, learn
from vidal.campaign.given import GivenDetections
from vidal.campaign.given_clips import take_in
from vidal.campaign.labels import LabelMatch, match_labels
from vidal.campaign.places import EngineMaker, store_at
from vidal.campaign.pool import PoolClip, build_pool
from vidal.campaign.result import ClipResult, SelectionResult
from vidal.errors import NoClips
from vidal.expected_errors import ErrorModel, Judged
from vidal.protocols import Selector
from vidal.query.budget import Budget
from vidal.types import Annotations, BoolArray, Clip, FrameRef, Pool, Query, SkippedClip
from vidal.video import read_frames

LINK_SHARE_WARNING = 0.5
"""Below this share of linked detections the tracker, not the detector, is probably at fault."""


class Watcher(Protocol):
    """Who is told how far a run is. All methods may do nothing."""

    def begin(self, clips: Sequence[Clip], known: int) -> None:
        """Evidence of these clips will be gathered; that of ``known`` others is there."""
        ...

    def advance(self, item: int, done: int, total: int) -> None:
        """Clip ``item`` has ``done`` of ``total`` frames."""
        ...

    def finish(self, item: int, remark: str) -> None:
        """Clip ``item`` is done."""
        ...


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """What to select from, and how.

    Attributes:
        videos: a clip or a folder of clips; None where given detections describe the clips.
        budget: how many frames.
        strategy: name of the query strategy.
        selector: the strategy, with its options and neighbour exclusion.
        seed: root of all randomness.
        labels: COCO-video JSON of frames that are labelled already.
        evidence: what is computed for each clip.
        threshold: detections with a higher score count (strict).
        image_rate: nominal frames a second of folders of images.
        settings: every option that shapes the result, for the record.
    """

    videos: Path | None
    budget: Budget
    strategy: str
    selector: Selector
    seed: int
    labels: Path | None
    evidence: EvidencePlan
    threshold: float
    image_rate: Fraction
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The clips of a run before anything is computed for them.

    Attributes:
        clips: in order of discovery.
        skipped: inputs that cannot be used.
        labels: what is labelled already, or None.
        base: what a percentage refers to: all readable frames, labelled ones included.
        wanted: the budget in frames.
        selectable: frames that are not labelled.
        round: number of the round.
        barred: clip id -> (F,) bool, frames that may not be chosen though they are not labelled.
        notes: remarks for the reader.
    """

    clips: tuple[Clip, ...]
    skipped: tuple[SkippedClip, ...]
    labels: LabelMatch | None
    base: int
    wanted: int
    selectable: int
    round: int = 0
    barred: Mapping[str, BoolArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def base_text(self) -> str:
        """``base`` in words."""
        count = len(self.clips)
        return f"{self.base:,} frames of {count} clip{'s' if count != 1 else ''}"


def prepare_selection(plan: SelectionPlan, *, engines: EngineMaker) -> Prepared:
    """Open the clips, read the labels, settle the budget: everything that can be refused early.

    Raises:
        NoClips, LabelsMismatch, FormatError, BudgetError: as the input deserves.
    """
    clips, skipped, notes = _find_clips(plan, engines)
    labels = None
    if plan.labels is not None:
        from vidal.formats import coco_video

        labels = match_labels(plan.labels, coco_video.read(plan.labels), clips)
    base = sum(clip.frames for clip in clips)
    labelled = 0 if labels is None else sum(int(labels.labelled(clip).sum()) for clip in clips)
    wanted = plan.budget.frames(base)
    plan.budget.check(wanted, base - labelled)
    return Prepared(
        tuple(clips), tuple(skipped), labels, base, wanted, base - labelled, notes=notes
    )


def _find_clips(
    plan: SelectionPlan, engines: EngineMaker
) -> tuple[Sequence[Clip], Sequence[SkippedClip], tuple[str, ...]]:
    """The clips, what cannot be used, and remarks; given detections are put into the store."""
    given, store = plan.evidence.detector, plan.evidence.store
    clips: Sequence[Clip] | None = None
    skipped: Sequence[SkippedClip] = ()
    if plan.videos is not None:
        clips, skipped = open_clips(
            plan.videos, engines=engines, store=store, image_rate=plan.image_rate
        )
    if not isinstance(given, GivenDetections):
        return clips or (), skipped, ()
    taken = take_in(
        given,
        clips,
        needs=plan.selector.needs,
        strategy=plan.strategy,
        store=store_at(store),
        key_of=lambda clip: plan.evidence.keys(clip).detections,
        rate=plan.image_rate,
    )
    return taken.clips, [*skipped, *taken.skipped], taken.notes


def run_selection(
    plan: SelectionPlan,
    prepared: Prepared,
    *,
    engines: EngineMaker,
    watcher: Watcher,
    truth: Mapping[str, Annotations] | None = None,
    chosen: Sequence[FrameRef] | None = None,
    judged: Sequence[Judged] | None = None,
) -> SelectionResult:
    """Gather evidence, build the pool, select.

    Same plan, same clips, same seed: same query, whatever the engine and the number of workers.

    Args:
        plan: what to select, and how.
        prepared: from what.
        engines: where the work is done.
        watcher: told how far it is.
        truth: for the oracles of a simulation only; see ``build_pool``.
        chosen: what an earlier run has chosen: nothing is selected, the result is told again.
        judged: of earlier rounds, what expected errors are learned from; see ``campaign.expected``.
            None = the labels judge the detector of this run.
    """
    evidence: dict[str, ClipEvidence] = {}
    skipped = list(prepared.skipped)
    if plan.selector.needs:
        _gather_all(plan, prepared, engines, watcher, evidence, skipped)
    clips = [clip for clip in prepared.clips if not plan.selector.needs or clip.id in evidence]
    classes = next((known.classes for known in evidence.values()), ())
    lookup = _Lookup(plan, {clip.id: clip for clip in clips}, evidence, prepared)
    rng = np.random.default_rng([plan.seed, prepared.round])
    draw = np.random.default_rng([plan.seed, prepared.round, LEARN])
    lookup.model, remarks = learn(plan.evidence, clips, prepared.labels, draw, judged)
    build = partial(
        build_pool,
        classes=classes,
        needs=plan.selector.needs,
        threshold=plan.threshold,
        truth=truth,
    )
    if chosen is None:
        pool, positions = _choose(plan, prepared, lookup, build, rng)
    else:
        pool = build(lookup.parts())
        positions = _positions(pool, chosen)
    scores = plan.selector.score(pool)
    query = Query(
        round=prepared.round,
        frames=tuple(pool.frames.ref(int(pos)) for pos in positions),
        scores=scores[positions],
        explanation=plan.selector.explain(pool, positions),
        budget=prepared.wanted,
    )
    lookup.keep_scores(pool, scores)
    return SelectionResult(
        query=query,
        clips={clip.id: clip for clip in clips},
        skipped=tuple(skipped),
        load=lookup.result,
        strategy=plan.strategy,
        classes=classes,
        threshold=plan.threshold,
        budget_text=plan.budget.text,
        budget_base=prepared.base_text,
        settings=plan.settings,
        versions=versions(),
        notes=(*remarks, *_notes(prepared, clips, evidence, query)),
    )


def _gather_all(
    plan: SelectionPlan,
    prepared: Prepared,
    engines: EngineMaker,
    watcher: Watcher,
    evidence: dict[str, ClipEvidence],
    skipped: list[SkippedClip],
) -> None:
    store = store_at(plan.evidence.store)
    outcomes: dict[str, ClipEvidence | SkippedClip] = {}
    jobs = []
    for clip in prepared.clips:
        job = EvidenceJob(clip, plan.evidence)
        known = known_evidence(job, store)
        if known is None:
            jobs.append(job)
        else:
            outcomes[clip.id] = known
    if jobs:
        plan.evidence.detector.fetch()
        watcher.begin([job.clip for job in jobs], len(outcomes))
    engine = engines(len(jobs), heavy=True, listener=watcher.advance)
    for item, outcome in enumerate(engine.map(gather, jobs)):
        outcomes[jobs[item].clip.id] = outcome
        watcher.finish(
            item, f"skipped: {outcome.reason}" if isinstance(outcome, SkippedClip) else ""
        )
    for clip in prepared.clips:
        found = outcomes[clip.id]
        if isinstance(found, SkippedClip):
            skipped.append(found)
        else:
            evidence[clip.id] = found
    if not evidence:
        raise NoClips(
            plan.videos or prepared.clips[0].path,
            f"none of the clips can be used; {skipped[-1].reason}",
        )


class _Lookup:
    """Evidence by clip id, read from the store when it is asked for."""

    def __init__(
        self,
        plan: SelectionPlan,
        clips: Mapping[str, Clip],
        evidence: Mapping[str, ClipEvidence],
        prepared: Prepared,
    ) -> None:
        self._plan = plan
        self.model: ErrorModel | None = None
        self._clips = clips
        self._evidence = evidence
        self._labels = prepared.labels
        self._barred = prepared.barred
        self._store = store_at(plan.evidence.store)
        self._unreadable: dict[str, set[int]] = {}
        self._scores: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def clip(self, clip_id: str) -> Clip:
        """The clip of an id."""
        return self._clips[clip_id]

    def exclude(self, clip: str, frames: Sequence[int]) -> None:
        """These frames turned out not to decode."""
        self._unreadable.setdefault(clip, set()).update(frames)

    def part(self, clip: Clip) -> PoolClip:
        """The clip's evidence."""
        labelled = (
            np.zeros(clip.frames, np.bool_) if self._labels is None else self._labels.labelled(clip)
        )
        selectable = ~labelled
        if clip.id in self._barred:
            selectable &= ~self._barred[clip.id]
        selectable[list(self._unreadable.get(clip.id, ()))] = False
        known = self._evidence.get(clip.id)
        if known is None:
            return PoolClip(clip, selectable, labelled, None, None)
        detections = load_detections(self._store, known.keys)
        estimate = load_estimate(self._store, known.keys)
        selectable = selectable & detections.scanned
        return PoolClip(clip, selectable, labelled, detections, estimate)

    def parts(self) -> Iterator[PoolClip]:
        """All clips, one at a time."""
        return (self._expecting(self.part(clip)) for clip in self._clips.values())

    def _expecting(self, part: PoolClip) -> PoolClip:
        known = self._evidence.get(part.clip.id)
        if self.model is None or known is None or part.detections is None:
            return part
        rows = load_evidence(self._store, known.keys)
        if rows is None:
            return part
        return replace(part, expected=self.model.counts(rows, len(part.detections.classes)))

    def keep_scores(self, pool: Pool, scores: np.ndarray) -> None:
        """Remember each frame's score, for the report."""
        for number, clip in enumerate(pool.frames.clips):
            first, last = np.searchsorted(pool.frames.clip, (number, number + 1))
            self._scores[clip] = (pool.frames.index[first:last], scores[first:last])

    def result(self, clip_id: str) -> ClipResult:
        """What the report wants to know of a clip."""
        part = self.part(self._clips[clip_id])
        scores = np.full(part.clip.frames, np.nan)
        index, values = self._scores[clip_id]
        scores[index] = values
        return ClipResult(
            part.clip, part.detections, part.estimate, scores, part.selectable, part.labelled
        )


def _choose(
    plan: SelectionPlan,
    prepared: Prepared,
    lookup: _Lookup,
    build: Callable[[Iterable[PoolClip]], Pool],
    rng: np.random.Generator,
) -> tuple[Pool, np.ndarray]:
    """The pool and the chosen positions.

    A strategy that needs no evidence chooses frames that nobody has decoded yet: those that do
    not decode leave the pool, and it chooses again.
    """
    while True:
        pool = build(lookup.parts())
        state = rng.bit_generator.state
        positions = plan.selector.select(pool, min(prepared.wanted, len(pool)), rng)
        if plan.selector.needs or plan.videos is None:
            return pool, positions
        unreadable = _unreadable(pool, positions, lookup)
        if not unreadable:
            return pool, positions
        for clip, frames in unreadable.items():
            lookup.exclude(clip, frames)
        rng.bit_generator.state = state


def _positions(pool: Pool, frames: Sequence[FrameRef]) -> np.ndarray:
    """Where frames are in the pool; those that are not there any more are left out."""
    where = {pool.frames.ref(pos): pos for pos in range(len(pool))}
    return np.array([where[ref] for ref in frames if ref in where], np.int64)


def _unreadable(pool: Pool, positions: np.ndarray, lookup: _Lookup) -> dict[str, tuple[int, ...]]:
    wanted: dict[str, list[int]] = {}
    for pos in positions:
        ref = pool.frames.ref(int(pos))
        wanted.setdefault(ref.clip, []).append(ref.index)
    missing: dict[str, tuple[int, ...]] = {}
    for clip, frames in wanted.items():
        decoded = {frame.ref.index for frame in read_frames(lookup.clip(clip), sorted(frames))}
        if lost := tuple(sorted(set(frames) - decoded)):
            missing[clip] = lost
    return missing


def _notes(
    prepared: Prepared,
    clips: Sequence[Clip],
    evidence: Mapping[str, ClipEvidence],
    query: Query,
) -> tuple[str, ...]:
    notes = list(prepared.notes)
    if len(query) < prepared.wanted:
        notes.append(
            f"Only {len(query)} of the {prepared.wanted} frames asked for could be chosen: the"
            " neighbours of chosen and labelled frames are excluded (--gap)."
        )
    if prepared.labels is not None and prepared.labels.others:
        others = prepared.labels.others
        notes.append(
            f"The labels file names {len(others)} clips that are not here, {others[0]} for one."
        )
    cut = [clip for clip in clips if clip.truncated]
    if cut:
        notes.append(
            f"{len(cut)} clips end early; their readable part was used:"
            f" {', '.join(clip.path.name for clip in cut[:5])}."
        )
    lost = sum(known.lost for known in evidence.values())
    if lost:
        notes.append(f"{lost} frames did not decode and could not be selected.")
    judged = sum(known.judged for known in evidence.values())
    if judged:
        linked = sum(known.link_share * known.judged for known in evidence.values()) / judged
        if linked < LINK_SHARE_WARNING:
            notes.append(
                f"Only {linked:.0%} of the detections were linked to a neighbouring frame: motion"
                " may be too large for the tracker, and the error estimates unreliable."
            )
    return tuple(notes)


def versions() -> dict[str, str]:
    """Of vidal, Python and the libraries that shape a result."""
    named = {"vidal": vidal.__version__, "python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "scipy", "opencv-python-headless", "av"):
        named[name] = metadata.version(name)
    return named
