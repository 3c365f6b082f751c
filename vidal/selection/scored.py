"""The report's view of a run: its clips, with the score of every frame that could be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vidal.errors import EvidenceLost
from vidal.evidence.motion import SHOWN, CarriedMotion, reach_of
from vidal.evidence.places import store_at
from vidal.evidence.plan import EvidenceJob
from vidal.evidence.stored_motion import stored_motion
from vidal.protocols import Motion
from vidal.selection.clip_frames import ClipFrames
from vidal.selection.loads import FrameCounts, counted
from vidal.selection.lookup import Lookup
from vidal.selection.near import Held, read_around
from vidal.selection.parts import PoolClip
from vidal.selection.result import ClipResult
from vidal.selection.stored import Entries
from vidal.types import (
    Clip,
    FrameSet,
    IntArray,
    ScoreArray,
)


class Scored:
    """Reads the clips of a run; implements ``Loader``."""

    def __init__(
        self, lookup: Lookup, frames: FrameSet, scores: ScoreArray, threshold: float
    ) -> None:
        """
        Args:
            lookup: the clips.
            frames: the pool's.
            scores: (F,) float64, one a frame.
            threshold: detections with a higher score count.
        """
        self._lookup = lookup
        self._frames = frames
        self._scores = scores
        self._threshold = threshold
        self._held = Held()
        coherence = None if lookup.plan is None else lookup.plan.coherence
        self._reach = SHOWN if coherence is None else max(SHOWN, coherence.window)
        self._number = {clip: number for number, clip in enumerate(frames.clips)}
        self._first = np.searchsorted(frames.clip, np.arange(len(frames.clips) + 1))

    def __call__(self, clip_id: str) -> ClipResult:
        """One clip; hold one at a time."""
        part = self._lookup.part(self._lookup.gathered.clips[clip_id])
        return ClipResult(
            part.clip,
            part.detections,
            part.estimate,
            self._scores_of(part.clip),
            part.selectable,
            part.labelled,
            self._lookup.verdicts(part),
        )

    def bare(self, clip: str) -> ClipResult:
        """A clip without any boxes; what may be chosen of it stands in the pool."""
        own = self._lookup.gathered.clips[clip]
        selectable = np.zeros(own.frames, np.bool_)
        selectable[self._frames.index[self._place(clip)]] = True
        labels = self._lookup.labels
        labelled = np.zeros(own.frames, np.bool_) if labels is None else labels.labelled(own)
        return ClipResult(own, None, None, self._scores_of(own), selectable, labelled)

    def near(self, clip: str, frames: Sequence[int], reach: int) -> ClipResult:
        """A clip with the boxes of these frames and of their neighbours, and no others.

        What else will be asked about these frames is read at once, and held for a while.
        """
        reach = max(reach, self._reach)
        gathered = self._lookup.gathered
        if clip not in gathered.evidence or not len(frames):
            return self.bare(clip)
        held = self._held.find(clip, frames, reach)
        if held is None:
            asked = self._lookup.model is not None
            held, rows = read_around(gathered, self.bare(clip), frames, reach, rows=asked)
            plain = held.loaded
            part = PoolClip(plain.clip, plain.selectable, plain.labelled, plain.detections, None)
            said = None if rows is None else self._lookup.verdicts(part, rows)
            held = replace(held, loaded=replace(plain, judged=said))
            self._held.keep(clip, held)
        return held.loaded

    def motion(self, loaded: ClipResult, frames: Sequence[int], reach: int) -> Motion:
        """How the boxes move that ``near`` has loaded.

        Raises:
            EvidenceLost: that is not there any more.
        """
        gathered, plan, clip = self._lookup.gathered, self._lookup.plan, loaded.clip
        if plan is None or plan.coherence is None or loaded.detections is None:
            raise EvidenceLost
        held = self._held.find(clip.id, frames, reach)
        keys = gathered.evidence[clip.id].keys
        lost = held is not None and held.carried is None and keys.carried is not None
        if held is None or lost or held.loaded is not loaded:  # it may be there again
            held, _ = read_around(gathered, self.bare(clip.id), frames, reach, rows=False)
        found = held.loaded.detections
        if held.carried is not None and found is not None:
            return CarriedMotion(found, held.carried, reach_of(plan.coherence, plan.expected))
        whole = gathered.detections(clip.id)
        if whole is None:
            raise EvidenceLost
        return stored_motion(EvidenceJob(clip, plan), whole)  # as an earlier version kept it

    def counts(self) -> Iterator[FrameCounts]:
        """What the summaries of all frames say, in the order in which they lie."""
        gathered = self._lookup.gathered
        if not gathered.evidence:
            return
        frames = ClipFrames.of(list(gathered.clips.values()))
        entries = Entries.of(gathered, frames, "summary")
        if entries is None:
            for clip in frames.clips:
                yield counted(self(clip.id), self._threshold)
            return
        numbers = np.searchsorted(frames.starts, entries.first, side="right") - 1
        names, seen = ("scanned", "by_class", "doubts"), 0
        for at, arrays in store_at(gathered.store).scan(entries.keys, names):
            first, last = int(entries.first[at]), int(entries.last[at])
            own = self._lookup.doubts.by_frame
            doubts = arrays["doubts"] if own is None else own[first:last]
            seen += 1
            number = int(numbers[at])
            yield FrameCounts(
                frames.clips[number].id,
                first - int(frames.starts[number]),
                arrays["scanned"],
                arrays["by_class"],
                doubts,
            )
        if seen < len(entries):
            raise EvidenceLost

    @property
    def doubts_by_class(self) -> IntArray | None:
        """(K, 3) doubts of all frames that may be chosen, where ``counts`` tells no classes."""
        return self._lookup.doubts.by_class

    @property
    def estimated(self) -> bool:
        """Whether anything is said of single boxes."""
        evidence = self._lookup.gathered.evidence.values()
        return any(each.keys.estimate is not None for each in evidence)

    def _place(self, clip: str) -> slice:
        number = self._number[clip]
        return slice(int(self._first[number]), int(self._first[number + 1]))

    def _scores_of(self, clip: Clip) -> ScoreArray:
        scores, mine = np.full(clip.frames, np.nan), self._place(clip.id)
        scores[self._frames.index[mine]] = self._scores[mine]
        return scores
