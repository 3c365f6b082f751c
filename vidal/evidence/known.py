"""What the store holds of clips, learned from its manifest: no entry is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from vidal.evidence.given import GivenDetections
from vidal.evidence.plan import ClipEvidence, EvidenceJob, EvidenceKeys
from vidal.evidence.prints import compared_key
from vidal.evidence.windows import Window
from vidal.protocols import Store
from vidal.store import PLAIN, plain_fields
from vidal.types import SkippedClip, Stored
from vidal.words import counted

_BESIDE = {"features": "features of detections", "embeddings": "embeddings of frames"}
"""Stages that are kept only where they are asked for, in words."""
_NEEDED = ("detections", "features", "embeddings", "estimate", "expected", "summary")
"""Stages without which a window is not known. ``carried`` is not: it is computed where a
box of a chosen frame is spoken of."""


def known_evidence(job: EvidenceJob, store: Store) -> ClipEvidence | SkippedClip | None:
    """What the store holds of a clip, if that is all that is wanted; else None."""
    return known_clips([job], store)[0]


def known_clips(
    jobs: Sequence[EvidenceJob], store: Store
) -> list[ClipEvidence | SkippedClip | None]:
    """What the store holds of clips, where that is all that is wanted; else None."""
    keys = _keys(jobs)
    asked = [_asked(job, each) for job, each in zip(jobs, keys, strict=True)]
    told = iter(store.known([key for windows in asked for key in windows]))
    return [
        _outcome(job, mine, list(islice(told, len(windows))), store)
        for job, mine, windows in zip(jobs, keys, asked, strict=True)
    ]


def _keys(jobs: Sequence[EvidenceJob]) -> list[EvidenceKeys]:
    """Of each job; those that share a plan share the work."""
    found: list[EvidenceKeys] = []
    for _, group in groupby(jobs, key=lambda job: id(job.plan)):
        same = list(group)
        found += same[0].plan.keys_of([job.clip for job in same])
    return found


def known_windows(job: EvidenceJob, store: Store) -> list[Window]:
    """Windows of a clip that have to be looked at: something is missing that pixels tell."""
    keys = job.plan.keys(job.clip)
    stages = ["detections", "features", "embeddings"]
    stages += ["carried"] if keys.flow is not None else []
    left = []
    for window, part in zip(keys.windows, keys.parts(), strict=True):
        asked = [key for stage in stages if (key := getattr(part, stage)) is not None]
        told = list(store.known(asked))
        if None in told or not _counted(job, told[0]):
            left.append(window)
    return left


def looks_again(jobs: Sequence[EvidenceJob], store: Store) -> tuple[str, ...]:
    """A remark where a detector has to look again, for what it was not asked for the first time."""
    jobs = [job for job in jobs if job.plan.columns]
    keys = [part for job in jobs for part in job.plan.keys(job.clip).parts()]
    frames = [window.frames for job in jobs for window in job.plan.windows(job.clip)]
    seen = store.known([part.detections for part in keys])
    counts: dict[str, int] = {}
    for stage, words in _BESIDE.items():
        asked = [getattr(part, stage) for part in keys]
        if None in asked:
            continue
        told = zip(frames, seen, store.known(asked), strict=True)
        counts[words] = sum(n for n, one, two in told if one is not None and two is None)
    missing = [words for words, count in counts.items() if count]
    if not missing:
        return ()
    return (
        f"The detector looked at {counted(max(counts.values()), 'frame')} once more: the strategy"
        f" reads {' and '.join(missing)}, which are kept only where they are asked for.",
    )


def _counted(job: EvidenceJob, told: Stored | None) -> bool:
    """Whether detections tell how many boxes they stand for, where that is wanted."""
    return not job.plan.counts_suppressed or (told is not None and told.facts["suppressed"])


def _asked(job: EvidenceJob, keys: EvidenceKeys) -> list[str]:
    """The keys that have to be there, window by window; last that the windows were compared."""
    compared = compared_key(job, keys)
    asked = [
        key
        for part in keys.parts()
        for stage in _NEEDED
        if (key := getattr(part, stage)) is not None
    ]
    return asked if compared is None else [*asked, compared]


def _outcome(
    job: EvidenceJob, keys: EvidenceKeys, told: Sequence[Stored | None], store: Store
) -> ClipEvidence | SkippedClip | None:
    if any(each is None for each in told):
        return None
    stages = [stage for stage in _NEEDED if getattr(keys, stage) is not None]
    there = [each for each in told if each is not None][: len(stages) * len(keys.parts())]
    by_stage = {stage: there[at :: len(stages)] for at, stage in enumerate(stages)}
    seen = list(_seen(keys, by_stage["detections"], store))
    frames = sum(each["frames"] for each in seen)
    if frames != job.clip.frames:
        return None
    if job.plan.counts_suppressed and not all(each["suppressed"] for each in seen):
        return None
    if not any(each["scanned"] for each in seen):
        return SkippedClip(job.clip.path, "no frame could be decoded")
    judged = linked = 0
    for each in _judged(keys, by_stage.get("estimate", ()), store):
        judged, linked = judged + each[0], linked + each[1]
    given = isinstance(job.plan.detector, GivenDetections)
    return ClipEvidence(
        keys=keys,
        classes=tuple(seen[0]["classes"]),
        lost=0 if given else frames - sum(each["scanned"] for each in seen),
        link_share=linked / judged if judged else 1.0,
        judged=judged,
    )


def _seen(keys: EvidenceKeys, told: Sequence[Stored], store: Store) -> Iterator[dict[str, Any]]:
    """The facts of detections; an earlier version put them into the entry."""
    for part, each in zip(keys.parts(), told, strict=True):
        if "scanned" in each.facts:
            yield dict(each.facts)
            continue
        found = store.peek(part.detections, (PLAIN, "scanned", "suppressed"))
        if found is None:
            yield {"frames": 0, "scanned": 0, "suppressed": False, "classes": ()}
        else:
            yield {
                "frames": len(found["scanned"]),
                "scanned": int(found["scanned"].sum()),
                "suppressed": "suppressed" in found,
                "classes": plain_fields(found)["classes"],
            }


def _judged(keys: EvidenceKeys, told: Sequence[Stored], store: Store) -> Iterator[tuple[int, int]]:
    """How many detections were judged, and how many of them are linked."""
    for part, each in zip(keys.parts(), told, strict=False):
        if "judged" in each.facts:
            yield each.facts["judged"], each.facts["linked"]
            continue
        assert part.estimate is not None
        found = store.peek(part.estimate, (PLAIN, "rows"))
        if found is not None:
            judged = len(found["rows"])
            yield judged, round(plain_fields(found)["link_share"] * judged)
