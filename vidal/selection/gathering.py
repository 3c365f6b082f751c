"""Evidence without a selection: what one of several runs adds to a store that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidal.errors import NoClips
from vidal.evidence.gathered import gather_clips
from vidal.evidence.given import GivenDetections
from vidal.evidence.places import EngineMaker
from vidal.evidence.shards import Shard
from vidal.evidence.watch import Watcher
from vidal.selection.plan import SelectionPlan, find_clips
from vidal.types import Clip, SkippedClip


@dataclass(frozen=True, slots=True)
class Gathering:
    """What a shard did.

    Attributes:
        shard: which.
        clips: that it was dealt and whose evidence is in the store now.
        frames: of these.
        new: clips for which something was computed; the others' evidence was there.
        skipped: clips of the shard that have no evidence, with the cause.
        needed: whether the strategy needs evidence at all.
        store: root of the evidence store.
    """

    shard: Shard
    clips: int
    frames: int
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
    clips, skipped, _ = find_clips(plan, engines, shard)
    if isinstance(plan.evidence.detector, GivenDetections):
        clips = dealt(clips, shard)
        skipped = skipped if shard.number == 1 else ()
    return gather_evidence_of(plan, shard, clips, skipped=skipped, engines=engines, watcher=watcher)


def gather_evidence_of(
    plan: SelectionPlan,
    shard: Shard,
    clips: Sequence[Clip],
    *,
    skipped: Iterable[SkippedClip] = (),
    engines: EngineMaker,
    watcher: Watcher,
) -> Gathering:
    """The same for clips that are open.

    Raises:
        NoClips: none of them can be used.
    """
    lost = list(skipped)
    given = isinstance(plan.evidence.detector, GivenDetections)
    needed = bool(plan.query.needs) or given
    used, noted = {clip.id: clip for clip in clips}, _Noting(watcher)
    if needed and clips:
        for each in (plan.evidence, *plan.evidence.again):
            found = gather_clips(each, list(used.values()), engines=engines, watcher=noted)
            lost += found.skipped
            used = dict(found.clips)
        if not used:
            raise NoClips(clips[0].path.parent, f"none of the clips can be used; {lost[-1].reason}")
    return Gathering(
        shard=shard,
        clips=len(used),
        frames=sum(clip.frames for clip in used.values()),
        new=len(noted.begun & set(used)),
        skipped=tuple(lost),
        needed=needed,
        store=plan.evidence.store,
    )


def dealt(clips: Sequence[Clip], shard: Shard) -> list[Clip]:
    """The clips of a shard, where all are open: by their frames and ids."""
    mine = shard.share({clip.id: clip.frames for clip in clips})
    return [clip for clip in clips if clip.id in mine]


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
