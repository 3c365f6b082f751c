"""Evidence without a selection: what one of several runs adds to a store that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidal.errors import NoClips
from vidal.evidence.clips import Dealt, open_shard
from vidal.evidence.gather import EvidenceJob, EvidencePlan
from vidal.evidence.gathered import gather_clips
from vidal.evidence.gathering import look_at
from vidal.evidence.given import GivenDetections
from vidal.evidence.known import known_windows
from vidal.evidence.places import EngineMaker, store_at
from vidal.evidence.shards import Shard
from vidal.evidence.watch import Watcher
from vidal.evidence.windows import Window
from vidal.selection.plan import SelectionPlan, find_clips
from vidal.types import Clip, SkippedClip


@dataclass(frozen=True, slots=True)
class Gathering:
    """What a shard did.

    Attributes:
        shard: which.
        clips: that it was dealt alone and whose evidence is in the store now.
        frames: of these, and of its part of those that are divided.
        divided: clips that all shards look at, each at its part.
        new: clips for which something was computed; the others' evidence was there.
        skipped: clips of the shard that have no evidence, with the cause.
        needed: whether the strategy needs evidence at all.
        store: root of the evidence store.
    """

    shard: Shard
    clips: int
    frames: int
    divided: int
    new: int
    skipped: tuple[SkippedClip, ...]
    needed: bool
    store: Path

    @property
    def unfinished(self) -> tuple[SkippedClip, ...]:
        """Clips that another run may well have the evidence of: their workers were killed."""
        return tuple(each for each in self.skipped if each.passing)


def gather_shard(
    plan: SelectionPlan, shard: Shard, *, engines: EngineMaker, watcher: Watcher
) -> Gathering:
    """Compute what a selection by this plan needs of a shard's clips, as far as it is not there.

    Afterwards, when all shards are done, ``run_selection`` computes none of it.

    Raises:
        NoClips: no clips at all, or none of the shard's can be used.
    """
    given = plan.inputs
    if isinstance(plan.evidence.detector, GivenDetections) or given.videos is None:
        clips, skipped, _ = find_clips(plan, engines)
        deal = shard.deal({clip.id: clip.frames for clip in clips})
        own = [clip for clip in clips if clip.id in deal.own]
        divided = [clip for clip in clips if clip.id in deal.divided]
        dealt = Dealt(own, divided, list(skipped) if shard.number == 1 else [])
    else:
        dealt = open_shard(
            given.videos,
            shard,
            engines=engines,
            store=plan.evidence.store,
            image_rate=given.image_rate,
        )
    return gather_dealt(plan, shard, dealt, engines=engines, watcher=watcher)


def gather_dealt(
    plan: SelectionPlan, shard: Shard, dealt: Dealt, *, engines: EngineMaker, watcher: Watcher
) -> Gathering:
    """The same for clips that are open.

    Raises:
        NoClips: none of them can be used.
    """
    given = isinstance(plan.evidence.detector, GivenDetections)
    needed = bool(plan.query.needs) or given
    parts = _parts(plan.evidence, shard, dealt.divided)
    long = [clip for clip in dealt.divided if len(plan.evidence.windows(clip)) > 1]
    short = [clip for clip in dealt.divided if clip not in long and clip.id in parts]
    work = _Work(plan, engines, _Noting(watcher), parts, list(dealt.skipped))
    clips = [*dealt.own, *short]
    used, frames = {clip.id: clip for clip in clips}, sum(clip.frames for clip in clips)
    if needed:
        for each in (plan.evidence, *plan.evidence.again):
            used, frames = work.gather(each, used, long)
        if (clips or long) and work.skipped and not frames:
            place = [*clips, *long][0].path.parent
            raise NoClips(place, f"none of the clips can be used; {work.skipped[-1].reason}")
    return Gathering(
        shard=shard,
        clips=len(used),
        frames=frames,
        divided=len(long) if needed else 0,
        new=len(work.watcher.begun),
        skipped=tuple(work.skipped),
        needed=needed,
        store=plan.evidence.store,
    )


def _parts(
    plan: EvidencePlan, shard: Shard, divided: Sequence[Clip]
) -> Mapping[str, tuple[Window, ...]]:
    """The windows of divided clips that a shard has: a stretch of all of them in a row."""
    ordered = sorted(divided, key=lambda each: each.id)
    line = [(clip.id, window) for clip in ordered for window in plan.windows(clip)]
    parts: dict[str, tuple[Window, ...]] = {}
    for at in shard.part(len(line)):
        name, window = line[at]
        parts[name] = (*parts.get(name, ()), window)
    return parts


@dataclass(slots=True)
class _Work:
    """What one shard does."""

    plan: SelectionPlan
    engines: EngineMaker
    watcher: _Noting
    parts: Mapping[str, tuple[Window, ...]]
    skipped: list[SkippedClip]

    def gather(
        self, plan: EvidencePlan, own: Mapping[str, Clip], long: Sequence[Clip]
    ) -> tuple[dict[str, Clip], int]:
        """The clips of the shard alone that can be used, and the frames that it has looked at.

        A clip that is divided is judged by the shard that comes last: verdicts lean on all windows.
        """
        whole, frames = self._look(plan, [clip for clip in long if clip.id in self.parts])
        clips = [*own.values(), *whole]
        if not clips:
            return {}, frames
        found = gather_clips(plan, clips, engines=self.engines, watcher=self.watcher)
        self.skipped += found.skipped
        used = {name: clip for name, clip in own.items() if name in found.clips}
        return used, frames + sum(clip.frames for clip in used.values())

    def _look(self, plan: EvidencePlan, long: Sequence[Clip]) -> tuple[list[Clip], int]:
        """Look at the shard's part of the windows.

        Returns:
            The clips of which all windows have been looked at now, and the frames of the part.
        """
        jobs = [EvidenceJob(clip, plan) for clip in long]
        parts = [(job, self.parts[job.clip.id]) for job in jobs]
        lost = look_at(parts, store=plan.store, engines=self.engines, watcher=self.watcher)
        self.skipped += [each for each in lost if each is not None]
        done = [part for part, why in zip(parts, lost, strict=True) if why is None]
        store = store_at(plan.store)
        whole = [job.clip for job, _ in done if not known_windows(job, store)]
        return whole, sum(window.frames for _, part in done for window in part)


class _Noting:
    """Passes on what it is told, and notes for which clips something was computed."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.begun: set[str] = set()

    def begin(self, clips: Sequence[Clip], known: int) -> None:
        self.begun |= {clip.id for clip in clips}
        self._watcher.begin(clips, known)

    def advance(self, item: int, done: int, total: int) -> None:
        self._watcher.advance(item, done, total)

    def finish(self, item: int, remark: str) -> None:
        self._watcher.finish(item, remark)
