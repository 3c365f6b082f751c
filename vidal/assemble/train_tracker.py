"""Training of a tracker on labelled or rendered clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vidal.assemble.selection import rate_of
from vidal.errors import OutputError, UnknownName, UsageError, WeightsError
from vidal.evidence.label_files import read_labels
from vidal.evidence.labels import match_labels
from vidal.scenes import plan, render
from vidal.store import atomic
from vidal.track.device import choose_device
from vidal.track.siamfc_network import WIDTHS, SiamFCNetwork, load_network, save_network
from vidal.track.siamfc_training import SiamFCTraining, Tracklets, train_siamfc
from vidal.types import FloatArray, Frame, FrameRef, IntArray
from vidal.video import find_clips, open_clip, read_frames

TRAINABLE = ("siamfc",)

_Clip = tuple[Iterator[Frame], IntArray, FloatArray, IntArray]


@dataclass(frozen=True, slots=True)
class TrackerJob:
    """What a tracker is trained on, and how.

    Attributes:
        out: file of the weights, safetensors.
        videos, labels, format, image_rate: clips with tracks; None = rendered ones.
        clips: how many clips are rendered.
        every: frames between pictures that are kept of an object, 0.3 MB each.
        start: weights to begin from; None = random ones.
        divisor: divides the channels of a network that begins anew.
        seed: of the scenes, the weights and the pairs.
        device: auto, cpu, cuda or cuda:1.
        training: the rest.
    """

    out: Path
    videos: Path | None = None
    labels: Path | None = None
    format: str = "coco-video"
    image_rate: float = 10.0
    clips: int = 20
    every: int = 5
    start: Path | None = None
    divisor: int = 1
    seed: int = 0
    device: str = "auto"
    training: SiamFCTraining = SiamFCTraining()


def train_tracker(
    name: str, job: TrackerJob, progress: Callable[[Mapping[str, float]], None] | None = None
) -> dict[str, float | int | str]:
    """Train, write the weights, and say what was learned from.

    Raises:
        UnknownName: no such tracker.
        UsageError: clips without labels, labels without tracks, or an unknown width.
        WeightsError: ``start`` cannot be used.
        OutputError: the place cannot be written.
    """
    if name not in TRAINABLE:
        raise UnknownName("trainable tracker", name, TRAINABLE)
    if (job.videos is None) != (job.labels is None):
        raise UsageError("--videos and --labels go together.")
    if job.divisor not in WIDTHS:
        raise UsageError(f"divisor {job.divisor}: not one of {', '.join(map(str, WIDTHS))}.")
    _check_out(job.out)
    where = choose_device(job.device)
    if job.start is None:
        network = SiamFCNetwork(job.divisor)
        network.begin(torch.Generator().manual_seed(job.seed))
    else:
        network = load_network(job.start)
    tracklets = Tracklets.of(_clips(job), every=job.every, room=job.training.shift)
    rng = np.random.default_rng(job.seed)
    losses = train_siamfc(network.to(where), tracklets, job.training, rng, progress)
    save_network(job.out, network)
    tenth = max(1, len(losses) // 10)
    return {
        "weights": str(job.out),
        "pictures": len(tracklets.object),
        "objects": len(np.unique(tracklets.object)),
        "steps": len(losses),
        "loss_first": float(np.mean(losses[:tenth])),
        "loss_last": float(np.mean(losses[-tenth:])),
    }


def _check_out(path: Path) -> None:
    """Refuse, before the training, a place that does not take the weights.

    Raises:
        OutputError: a folder, a file that holds no weights of a tracker, or it cannot be written.
    """
    if path.is_dir():
        raise OutputError(path, "it is a folder", hint="Name a file, such as siamfc.safetensors.")
    if path.exists():
        try:
            load_network(path)
        except WeightsError as error:
            raise OutputError(
                path,
                "it holds no weights of a tracker, and would be replaced",
                hint="Name another file with --out.",
            ) from error
    probe = atomic.beside(path)
    atomic.write_bytes(probe, b"")
    probe.unlink(missing_ok=True)


def _clips(job: TrackerJob) -> Iterator[_Clip]:
    if job.videos is None or job.labels is None:
        yield from _rendered(job.clips, job.seed)
        return
    rate = rate_of(str(job.image_rate))
    paths = find_clips(job.videos)
    root = job.videos if job.videos.is_dir() and job.videos not in paths else job.videos.parent
    clips = [open_clip(path, root=root, image_rate=rate) for path in paths]
    truth = match_labels(
        job.labels, read_labels(job.labels, job.format, classes=None, clips=clips), clips
    ).annotations
    for clip in clips:
        table = truth.get(clip.id)
        if table is not None:
            kept = ~table.ignore
            yield read_frames(clip), table.frame[kept], table.boxes[kept], table.track[kept]


def _rendered(clips: int, seed: int) -> Iterator[_Clip]:
    for spec in plan(clips, seed):
        truth = [each for _, each in render(spec)]
        counts = [len(each.track) for each in truth]
        frames = (
            Frame(FrameRef(spec.name, index), image)
            for index, (image, _) in enumerate(render(spec))
        )
        yield (
            frames,
            np.repeat(np.arange(len(truth)), counts),
            np.concatenate([each.boxes for each in truth]),
            np.concatenate([each.track for each in truth]),
        )
