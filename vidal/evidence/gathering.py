"""Evidence of many clips, made by an engine where it is missing: clips, or windows of long ones.

First every clip and every window is looked at, in any order and by any worker; a long clip is
judged once all of its windows have been looked at, because verdicts lean on neighbouring windows.
What a window has left in the store is not done again, so that a run that is killed loses no more
than a window a worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vidal.coherence.estimate import warn_few_links
from vidal.errors import WorkerLost
from vidal.evidence.gather import (
    WindowJob,
    gather,
    gather_window,
    steps_of,
    stretches,
)
from vidal.evidence.given import GivenDetections
from vidal.evidence.known import known_clips, known_windows
from vidal.evidence.load import ALL, adopt, must
from vidal.evidence.places import EngineMaker, store_at
from vidal.evidence.plan import ClipEvidence, EvidenceJob
from vidal.evidence.prints import disagreeing, note_compared
from vidal.evidence.watch import Watcher
from vidal.evidence.windows import Window
from vidal.protocols import Store
from vidal.types import Clip, SkippedClip

Outcome = ClipEvidence | SkippedClip | None
Item = EvidenceJob | WindowJob


PACKED = 500
"""Clips, or stretches of long ones, after which what was added is packed."""


@dataclass(slots=True)
class _Clip:
    """A clip that is worked on.

    Attributes:
        number: its place among those that are worked on.
        job: what is wanted.
        items: to begin with: the clip, or windows of it.
        skipped: why it cannot be used, once that is known.
        wrong: windows that were last looked at anew.
    """

    number: int
    job: EvidenceJob
    items: list[Item]
    skipped: SkippedClip | None = None
    wrong: list[Window] = field(default_factory=list)

    @property
    def long(self) -> bool:
        """Whether it is worked on in windows."""
        return len(self.job.plan.windows(self.job.clip)) > 1

    @property
    def frames(self) -> int:
        """How many are looked at."""
        return sum(_frames(item) for item in self.items)


def gather_jobs(
    jobs: Iterable[EvidenceJob], *, store: Path, engines: EngineMaker, watcher: Watcher
) -> list[ClipEvidence | SkippedClip]:
    """What became of each job, in order; those that the store knows already cost nothing."""
    wanted, shelf = list(jobs), store_at(store)
    outcomes = known_clips(wanted, shelf)
    missing = [number for number, outcome in enumerate(outcomes) if outcome is None]
    if missing:
        left = [settled(wanted[number]) for number in missing]
        done = _gather(left, len(wanted), shelf, engines, watcher)
        for number, outcome in zip(missing, done, strict=True):
            outcomes[number] = outcome
    shelf.pack()
    return [outcome for outcome in outcomes if outcome is not None]


def look_at(
    parts: Sequence[tuple[EvidenceJob, Sequence[Window]]],
    *,
    store: Path,
    engines: EngineMaker,
    watcher: Watcher,
) -> list[SkippedClip | None]:
    """The first step of windows of long clips alone: others look at the rest of them.

    Returns:
        For each clip why it cannot be used, or None.
    """
    shelf = store_at(store)
    clips: list[_Clip] = []
    for asked, part in parts:
        job = settled(asked)
        left = [window for window in known_windows(job, shelf) if window in set(part)]
        if left:
            items: list[Item] = [WindowJob(job, each, "look") for each in stretches(job, left)]
            clips.append(_Clip(len(clips), job, items))
    if clips:
        for detector in dict.fromkeys(each.job.plan.detector for each in clips):
            detector.fetch()
        adopt(shelf, [(each.job.plan.keys(each.job.clip), each.job.clip) for each in clips])
        watcher.begin([_to_look_at(each) for each in clips], len(parts) - len(clips))
        _look(clips, [], shelf, engines, watcher)
        for each in clips:
            watcher.finish(each.number, _remark(each.skipped))
        shelf.pack()
    found = {each.job.clip.id: each.skipped for each in clips}
    return [found.get(job.clip.id) for job, _ in parts]


def carry_again(
    parts: Sequence[tuple[EvidenceJob, Sequence[Window]]], *, store: Path, engines: EngineMaker
) -> None:
    """Where detections of some windows of clips go, where that is not there any more.

    Nobody looks for it when it is learned what is known: only pictures and words about single
    boxes need it. A clip that cannot be opened any more is left as it is.
    """
    shelf = store_at(store)
    pairs: list[tuple[_Clip, WindowJob]] = []
    for number, (asked, windows) in enumerate(parts):
        job = settled(asked)
        keys = job.plan.keys(job.clip)
        told = shelf.known([must(keys.of(each).carried) for each in windows])
        left = [window for window, known in zip(windows, told, strict=True) if known is None]
        step = "carry" if "carry" in steps_of(job) else "look"
        items = stretches(job, left) if step == "look" else [(each,) for each in left]
        clip = _Clip(number, job, [])
        pairs += [(clip, WindowJob(job, each, step)) for each in items]
    for detector in dict.fromkeys(each.job.plan.detector for each, _ in pairs):
        detector.fetch()
    if pairs:
        _map(pairs, engines)
        shelf.pack()


def settled(job: EvidenceJob) -> EvidenceJob:
    """For any machine: nothing is left to what that one makes of ``auto``."""
    return replace(job, plan=replace(job.plan, detector=job.plan.detector.settled()))


def _gather(
    jobs: Sequence[EvidenceJob], wanted: int, store: Store, engines: EngineMaker, watcher: Watcher
) -> list[Outcome]:
    for detector in dict.fromkeys(job.plan.detector for job in jobs):
        detector.fetch()
    given = any(isinstance(job.plan.detector, GivenDetections) for job in jobs)
    plans = [replace(job.plan, columns=ALL) if given else job.plan for job in jobs]
    pairs = [(plan.keys(job.clip), job.clip) for plan, job in zip(plans, jobs, strict=True)]
    adopt(store, pairs, given=given)
    clips = [_Clip(at, job, _items(job, store)) for at, job in enumerate(jobs)]
    watcher.begin([_to_look_at(each) for each in clips], wanted - len(jobs))
    outcomes: list[Outcome] = [None] * len(jobs)
    _look(clips, outcomes, store, engines, watcher)
    _compare([each for each in clips if each.long and each.skipped is None], store, engines)
    for each in clips:
        if each.long and each.skipped is None:
            note_compared(each.job, store)
    for step in ("carry", "judge"):
        _step(step, [each for each in clips if each.long and each.skipped is None], engines)
    long = [each for each in clips if each.long]
    found = known_clips([each.job for each in long], store)
    for each, known in zip(long, found, strict=True):
        outcomes[each.number] = each.skipped or must(known)
        options = each.job.plan.coherence
        if isinstance(known, ClipEvidence) and options is not None:
            warn_few_links(known.link_share, known.judged, options)
        watcher.finish(each.number, _remark(outcomes[each.number]))
    return outcomes


def _items(job: EvidenceJob, store: Store) -> list[Item]:
    """What to begin with."""
    windows = job.plan.windows(job.clip)
    if len(windows) == 1:
        return [job]
    left = known_windows(job, store)
    return [WindowJob(job, each, "look") for each in stretches(job, left)]


def _look(
    clips: Sequence[_Clip],
    outcomes: list[Outcome],
    store: Store,
    engines: EngineMaker,
    watcher: Watcher,
) -> None:
    """The first step of all clips, with what becomes of short ones."""
    pairs = [(each, item) for each in clips for item in each.items]
    told = _Told(watcher, pairs)
    engine = engines(len(pairs), heavy=True, listener=told)
    results = engine.map(first_step, [item for _, item in pairs], lost=_given_up)
    for done, ((each, _), outcome) in enumerate(zip(pairs, results, strict=True), start=1):
        if done % PACKED == 0:
            store.pack()
        if each.long:
            each.skipped = each.skipped or _skip(outcome)
        else:
            outcomes[each.number] = outcome
            watcher.finish(each.number, _remark(outcome))


def _compare(clips: Sequence[_Clip], store: Store, engines: EngineMaker) -> None:
    """Look anew at windows that a damaged file made look otherwise than within the whole clip.

    Neighbours are compared. Few files have such windows; one that has is decoded once more, up to
    the last of them.
    """
    left = [each for each in clips if each.job.clip.pixels]
    while left:
        pairs = []
        for each in left:
            job = each.job
            wrong = disagreeing(store, job.clip, job.plan.windows(job.clip))
            if wrong and wrong != each.wrong:
                each.wrong = wrong
                pairs.append((each, WindowJob(job, tuple(wrong), "anew")))
        _map(pairs, engines)
        left = [each for each, _ in pairs if each.skipped is None]


def _step(step: str, clips: Sequence[_Clip], engines: EngineMaker) -> None:
    """A later step of long clips, window by window."""
    pairs = [
        (each, WindowJob(each.job, (window,), step))
        for each in clips
        if step in steps_of(each.job)
        for window in each.job.plan.windows(each.job.clip)
    ]
    _map(pairs, engines)


def _map(pairs: Sequence[tuple[_Clip, WindowJob]], engines: EngineMaker) -> None:
    engine = engines(len(pairs), heavy=True)
    results = engine.map(gather_window, [item for _, item in pairs], lost=_given_up)
    for (each, _), outcome in zip(pairs, results, strict=True):
        each.skipped = each.skipped or outcome


def first_step(item: Item) -> Outcome:
    """A whole clip, or the look at some windows of one. Runs wherever the engine wants."""
    return gather(item) if isinstance(item, EvidenceJob) else gather_window(item)


def _given_up(item: Item, error: WorkerLost) -> SkippedClip:
    """A clip that has cost several workers; the others are worth having."""
    job = item if isinstance(item, EvidenceJob) else item.job
    return SkippedClip(job.clip.path, error.why, passing=True)


def _skip(outcome: Outcome) -> SkippedClip | None:
    return outcome if isinstance(outcome, SkippedClip) else None


def _remark(outcome: Outcome) -> str:
    return f"skipped: {outcome.reason}" if isinstance(outcome, SkippedClip) else ""


def _frames(item: Item) -> int:
    if isinstance(item, EvidenceJob):
        return item.clip.frames
    return sum(window.frames for window in item.windows)


def _to_look_at(each: _Clip) -> Clip:
    """The clip with as many frames as are looked at: what a watcher counts."""
    clip = each.job.clip
    if each.frames == clip.frames:
        return clip
    return replace(clip, pts=clip.pts[: max(1, each.frames)], keyframes=np.zeros(0, np.int64))


@dataclass(slots=True)
class _Told:
    """Turns the progress of items into that of clips."""

    watcher: Watcher
    pairs: Sequence[tuple[_Clip, Item]]
    done: dict[int, int] = field(default_factory=dict)
    sums: dict[int, int] = field(default_factory=dict)

    def __call__(self, position: int, done: int, total: int) -> None:
        each, _ = self.pairs[position]
        if not each.long:
            self.watcher.advance(each.number, done, total)
            return
        more = done - self.done.get(position, 0)
        self.done[position] = done
        self.sums[each.number] = self.sums.get(each.number, 0) + more
        self.watcher.advance(each.number, self.sums[each.number], each.frames)
