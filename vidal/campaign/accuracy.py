"""How good a model is on clips with labels, and that it was not trained on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vidal.errors import UsageError
from vidal.evaluate.average_precision import DetectionReport, report_of, score_detections
from vidal.evaluate.clip_scores import ClipScores, tagged
from vidal.evaluate.coco import coco_ap
from vidal.evaluate.matching import UnknownObjects
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.gathered import Gathered, gather_clips
from vidal.evidence.places import EngineMaker
from vidal.evidence.watch import Watcher
from vidal.selection.labelled import with_classes
from vidal.types import Annotations, Clip, Detections, SkippedClip

TRAINED_ON = "training_clips"
"""The note of a checkpoint that lists the ids of the clips it was trained on."""

NO_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType({})

_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class ModelReport:
    """Quality of a model on labelled clips.

    Attributes:
        report: AP50 and AP50@0.5, per class.
        coco: COCO's twelve numbers; None where pycocotools is not installed or was not asked for.
        frames: labelled frames that were judged.
        skipped: clips that could not be decoded.
        scores: what ``report`` rests on, clip by clip.
    """

    report: DetectionReport
    coco: Mapping[str, float | None] | None
    frames: int
    skipped: tuple[SkippedClip, ...]
    scores: ClipScores

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            **self.report.as_dict(),
            "coco": None if self.coco is None else dict(self.coco),
            "frames": self.frames,
            "skipped": [{"path": str(s.path), "reason": s.reason} for s in self.skipped],
        }


def judge_model(
    plan: EvidencePlan,
    clips: Sequence[Clip],
    truth: Mapping[str, Annotations],
    *,
    engines: EngineMaker,
    watcher: Watcher,
    score_floor: float = 0.05,
    iou: float = 0.5,
    unknown: UnknownObjects = "false_positive",
    coco: bool = False,
    tags: Mapping[str, tuple[str, ...]] = NO_TAGS,
) -> ModelReport:
    """Run the detector over clips and judge what it finds; detections are kept in the store.

    Args:
        plan: which detector, and where evidence lies; flow and estimates are not computed.
        clips: those with an entry in ``truth`` are judged.
        truth: clip id -> annotations; only labelled frames count.
        engines: where clips are processed.
        watcher: is told how far it is.
        score_floor, iou, unknown: as in ``evaluate_detections``.
        coco: also COCO's numbers, where pycocotools is installed.
        tags: clip id -> the conditions that the clip shows, for ``scores``.

    Raises:
        UsageError: no labelled frame among the clips, or a floor below the detector's own.
    """
    own = plan.detector.options.score_floor
    if score_floor < own:
        raise UsageError(
            f"score floor {score_floor}: the detector keeps no score below {own}.",
            hint=f"Give {own} or more.",
        )
    bare = EvidencePlan(plan.store, plan.detector, plan.batch, None, None)
    judged = [clip for clip in clips if clip.id in truth and truth[clip.id].labelled.any()]
    if not judged:
        raise UsageError("no labelled frames to judge the model by.")
    found = gather_clips(bare, judged, engines=engines, watcher=watcher)
    if not found.clips:
        raise UsageError("none of the clips can be decoded.", hint=str(found.skipped[0].path))
    pairs = _Pairs(found, truth)
    scored = score_detections(
        pairs, classes=found.classes, score_floor=score_floor, iou=iou, unknown=unknown
    )
    names = tuple(found.clips)
    return ModelReport(
        report=report_of(scored, score_floor=score_floor, iou=iou),
        coco=_coco(pairs, found.classes) if coco else None,
        frames=sum(int((each.scanned & table.labelled).sum()) for each, table in pairs),
        skipped=found.skipped,
        scores=ClipScores(names, tagged(names, tags), scored),
    )


def refuse_leak(notes: Mapping[str, Any], clips: Sequence[Clip], model: str) -> None:
    """Refuse to judge a model by clips that it was trained on; a renamed copy is the same clip.

    Args:
        notes: of the model's checkpoint; without a list of clips nothing can be told.
        clips: that it would be judged by.
        model: its name, for the message.

    Raises:
        UsageError: names the clips.
    """
    trained = {_digest(each) for each in notes.get(TRAINED_ON, ())}
    leaks = [clip.id for clip in clips if _digest(clip.id) in trained]
    if leaks:
        more = f" and {len(leaks) - _SHOWN} more" if len(leaks) > _SHOWN else ""
        raise UsageError(
            f"{model} was trained on {len(leaks)} of these clips: "
            f"{', '.join(leaks[:_SHOWN])}{more}.",
            hint="Judge it by clips it has not seen: split by clip, never by frame.",
        )


def _digest(clip_id: str) -> str:
    return clip_id.rpartition("-")[2]


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Detections and truth, clip by clip, from the store; can be read more than once."""

    found: Gathered
    truth: Mapping[str, Annotations]

    def __iter__(self) -> Iterator[tuple[Detections, Annotations]]:
        for clip in self.found.clips:
            detections = self.found.detections(clip)
            assert detections is not None
            yield detections, with_classes(self.truth[clip], self.found.classes)


def _coco(pairs: _Pairs, classes: Sequence[str]) -> dict[str, float | None] | None:
    try:
        return coco_ap(pairs, classes=classes)
    except ImportError:
        return None
