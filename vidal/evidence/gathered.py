"""The evidence of many clips: gathered by an engine where it is missing, read clip by clip."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidal.evidence.gathering import gather_jobs
from vidal.evidence.given import GivenDetections
from vidal.evidence.known import looks_again
from vidal.evidence.load import (
    ALL,
    adopt,
    load_detections,
    load_estimate,
    load_evidence,
    load_summary,
    own_windows,
)
from vidal.evidence.places import EngineMaker, store_at
from vidal.evidence.plan import ClipEvidence, EvidenceJob, EvidenceKeys, EvidencePlan
from vidal.evidence.prints import known_prints
from vidal.evidence.watch import Watcher
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence
from vidal.types import Clip, Detections, ErrorEstimate, FrameSummary, SkippedClip
from vidal.video.prints import Prints

__all__ = ["Gathered", "gather_clips", "gather_jobs"]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The clips of a run and what the store holds of them.

    Attributes:
        clips: clip id -> clip, of those that can be used, in the order they were given.
        evidence: clip id -> what was done; empty where no evidence was wanted.
        skipped: clips that cannot be used, with the cause.
        store: root of the evidence store.
        notes: remarks for the reader, one sentence each.
    """

    clips: Mapping[str, Clip]
    evidence: Mapping[str, ClipEvidence] = field(default_factory=dict)
    skipped: tuple[SkippedClip, ...] = ()
    store: Path = Path()
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The detector's; empty where none ran."""
        return next((each.classes for each in self.evidence.values()), ())

    @property
    def keys(self) -> dict[str, EvidenceKeys]:
        """Clip id -> where its evidence lies."""
        return {name: each.keys for name, each in self.evidence.items()}

    def windows(self, clip: str) -> tuple[Window, ...]:
        """The windows that a clip was worked on in, in order; at least one."""
        known, frames = self.evidence.get(clip), self.clips[clip].frames
        return (Window(0, frames),) if known is None else own_windows(known.keys, frames)

    def detections(
        self, clip: str, window: Window | None = None, *, columns: Collection[str] = ALL
    ) -> Detections | None:
        """A clip's detections; None where no detector ran.

        Args:
            clip: its id.
            window: one of its windows, or any other frames of it; frames then count from its
                start. None = the whole clip: of a long one better a window at a time.
            columns: of ``features`` and ``embedding`` those that are wanted here; they come where
                the run asked for them.
        """
        known = self.evidence.get(clip)
        if known is None:
            return None
        return load_detections(store_at(self.store), known.keys, window, columns=columns)

    def estimate(self, clip: str, window: Window | None = None) -> ErrorEstimate | None:
        """The verdicts on a clip, or on these frames of it; None where none were wanted.

        ``rows`` count the detections of the same frames.
        """
        known = self.evidence.get(clip)
        return None if known is None else load_estimate(store_at(self.store), known.keys, window)

    def rows(self, clip: str, window: Window | None = None) -> Evidence | None:
        """A clip's rows for expected errors, or those of these frames; None where none were wanted.

        ``rows`` count the detections of the same frames.
        """
        known = self.evidence.get(clip)
        return None if known is None else load_evidence(store_at(self.store), known.keys, window)

    def summary(self, clip: str, window: Window | None = None) -> FrameSummary | None:
        """The sums by frame of a clip, or of one of its windows; None where none were wanted."""
        known = self.evidence.get(clip)
        return None if known is None else load_summary(store_at(self.store), known.keys, window)

    def prints(self, clip: str) -> Prints | None:
        """How a clip's frames looked when they were scored; None where they were not."""
        if clip not in self.evidence:
            return None
        return known_prints(store_at(self.store), self.clips[clip])


def gather_clips(
    plan: EvidencePlan, clips: Sequence[Clip], *, engines: EngineMaker, watcher: Watcher
) -> Gathered:
    """Make sure that the evidence of clips is in the store.

    Raises:
        CampaignError: evidence vanished while it was used.
    """
    jobs = [EvidenceJob(clip, plan) for clip in clips]
    shelf = store_at(plan.store)
    notes = looks_again(jobs, shelf)
    if notes and not isinstance(plan.detector, GivenDetections):  # it may lie in older tables
        adopt(shelf, [(plan.keys(clip), clip) for clip in clips])
        notes = looks_again(jobs, shelf)
    outcomes = gather_jobs(jobs, store=plan.store, engines=engines, watcher=watcher)
    pairs = list(zip(clips, outcomes, strict=True))
    skipped = tuple(found for _, found in pairs if isinstance(found, SkippedClip))
    evidence = {clip.id: found for clip, found in pairs if isinstance(found, ClipEvidence)}
    used = {clip.id: clip for clip in clips if clip.id in evidence}
    return Gathered(used, evidence, skipped, plan.store, notes)
