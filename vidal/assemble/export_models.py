"""What a model adds to an export: boxes where the round's strategy needed none, and tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vidal import boxes as box
from vidal.assemble.campaign import engines_of, plan_round
from vidal.campaign.folder import Campaign
from vidal.campaign.oracle import by_clip
from vidal.campaign.training import detector_spec
from vidal.detect.load import SHIPPED, find_detector
from vidal.detect.spec import DetectorSpec
from vidal.evidence.gather import EvidenceJob, EvidencePlan
from vidal.evidence.gathered import gather_clips
from vidal.evidence.linked import load_linked
from vidal.evidence.watch import Watcher
from vidal.exports.bundle import Boxes, Bundle, Shot
from vidal.exports.proposals import Kept, Proposed
from vidal.exports.tracks import identities, whole_clip
from vidal.formats._notes import RowNote
from vidal.selection.labelled import class_at
from vidal.types import Annotations, BoolArray, Clip, Detections, Frame, FrameRef
from vidal.video import read_image


def has_own(campaign: Campaign) -> bool:
    """Whether the campaign works with detections of the user's own detector."""
    return getattr(campaign.config.data, "detections", None) is not None


def at_hand(campaign: Campaign, number: int) -> DetectorSpec | None:
    """The detector of a round, where it is on this machine: nothing is downloaded for an export.

    Raises:
        WeightsError: a file that the configuration names is not there.
    """
    config = campaign.config
    if has_own(campaign):
        return None  # no other model speaks for the user's own
    model = campaign.newest_model(before=number)
    if model is None and config.detector.start == "fresh":
        return None
    spec = detector_spec(config, model=model)
    if spec.weights is None and spec.name not in SHIPPED and not _cached(spec):
        return None
    spec.check()
    return spec


def _cached(spec: DetectorSpec) -> bool:
    """Whether torchvision's COCO weights are here."""
    if find_detector(spec.name) is not None:
        return False
    from vidal.detect.architectures import ARCHITECTURES, coco_file

    name = spec.name
    if name == "auto":
        on_gpu = spec.resolved_device == "cuda"
        name = "fasterrcnn-resnet50-v2" if on_gpu else "fasterrcnn-mobilenet-320"
    return name in ARCHITECTURES and coco_file(name).is_file()


def detected(
    spec: DetectorSpec, shots: Sequence[Shot], threshold: float
) -> dict[FrameRef, tuple[Proposed, ...]]:
    """What a detector sees on the pictures of these frames, and on no others; without verdicts."""
    detector = spec.load()
    found: dict[FrameRef, tuple[Proposed, ...]] = {}
    for shot in shots:
        image = None if shot.picture is None else read_image(shot.picture)
        if image is None:
            continue
        table = detector.detect([Frame(shot.ref, image)])
        size = (image.shape[0], image.shape[1])
        found[shot.ref] = _rows(table, table.scores > threshold, size)
    return found


def looked_up(
    campaign: Campaign,
    number: int,
    shots: Sequence[Shot],
    clips: Mapping[str, Clip],
    watcher: Watcher,
) -> dict[FrameRef, tuple[Proposed, ...]]:
    """What the user's own detections have on these frames, without verdicts.

    Raises:
        UsageError: there are none for this round.
    """
    plan, threshold = _looking(campaign, number), campaign.config.selection.threshold
    mine = by_clip([shot.ref for shot in shots])
    asked = [clips[name] for name in sorted(mine) if name in clips]
    gathered = gather_clips(plan, asked, engines=engines_of(campaign.config), watcher=watcher)
    found: dict[FrameRef, tuple[Proposed, ...]] = {}
    for name, clip in gathered.clips.items():
        table = gathered.detections(name)
        if table is None:
            continue
        for index in mine[name]:
            on = (table.frame == index) & (table.scores > threshold)
            found[FrameRef(name, index)] = _rows(table, on, clip.size)
    return found


def _looking(campaign: Campaign, number: int) -> EvidencePlan:
    """How every frame is looked at, whatever the strategy of the round needs."""
    chosen = {"strategy": "expected-errors", "initial_strategy": "expected-errors"}
    plain = {"options": {}, "random_share": 0.0, "known_only": False}
    config = campaign.config.changed(selection={**chosen, **plain})
    return plan_round(replace(campaign, config=config), number=number).plan.evidence


def _rows(table: Detections, use: BoolArray, size: tuple[int, int]) -> tuple[Proposed, ...]:
    """Rows of a table as proposals, cut to the picture."""
    boxes = box.clip(table.boxes, size)
    use = use & (box.area(boxes) > 0)
    return tuple(
        Proposed(table.classes[label], (x1, y1, x2, y2), RowNote(score=score))
        for label, (x1, y1, x2, y2), score in zip(
            table.labels[use].tolist(),
            boxes[use].round(3).tolist(),
            table.scores[use].tolist(),
            strict=True,
        )
    )


def tracked(
    campaign: Campaign,
    number: int,
    bundle: Bundle,
    clips: Mapping[str, Clip],
    kept: Kept,
    watcher: Watcher,
) -> dict[str, tuple[Annotations, Sequence[RowNote]]]:
    """Tracks on all frames of the clips that were asked about.

    From the stored evidence of the round; what is missing of it is computed.

    Args:
        campaign: open.
        number: of the round.
        bundle: what goes out.
        clips: by id.
        kept: which detections are proposed.
        watcher: told how far it is.

    Raises:
        UsageError, WeightsError: no detector to look with.
    """
    plan = _looking(campaign, number)
    asked = [clips[name] for name in bundle.clips if name in clips]
    gathered = gather_clips(plan, asked, engines=engines_of(campaign.config), watcher=watcher)
    result: dict[str, tuple[Annotations, Sequence[RowNote]]] = {}
    for clip in gathered.clips.values():
        linked = load_linked(EvidenceJob(clip, plan))
        rows = linked.judged.detections
        keep = np.full(len(rows), kept != "none")  # a track with holes helps nobody
        picks: dict[int, Boxes] = {
            shot.ref.index: shot.boxes for shot in bundle.shots if shot.ref.clip == clip.id
        }
        result[clip.id] = whole_clip(
            rows,
            identities(linked.links, rows.frame, keep),
            picks,
            classes=bundle.classes,
            labels=[class_at(name, bundle.classes) for name in rows.classes],
            size=clip.size,
        )
    return result
