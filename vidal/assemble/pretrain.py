"""Pre-training of a detector's body on the frames of a folder of clips."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidal.assemble.selection import rate_of
from vidal.detect.architectures import ARCHITECTURES, fresh
from vidal.detect.body import Body, body_checkpoint, body_state
from vidal.detect.checkpoints import Checkpoint, digest, load_checkpoint, save_checkpoint
from vidal.detect.device import choose_device, native_bf16
from vidal.detect.load import SHIPPED, load_detector
from vidal.errors import OutputError, UnknownName, UsageError, VidalError
from vidal.evidence.clips import open_clips
from vidal.evidence.places import Engines
from vidal.pretrain.frames import FrameSample, collect, draw_frames, load_sample, save_sample
from vidal.pretrain.network import feature_width, simsiam_network
from vidal.pretrain.options import SimSiamOptions
from vidal.pretrain.simsiam import healthy_std
from vidal.pretrain.training import PretrainOutcome, pretrain
from vidal.store import atomic, content_key
from vidal.store.lock import locked
from vidal.types import Clip, SkippedClip

METHODS = ("simsiam",)
VERSION = 1
"""Raised whenever the same frames and options would give other weights than before."""
_BODY, _VIEWS, _EPOCHS, _SAMPLE, _HEADS = range(5)
"""What random numbers are drawn for."""

_FRAMES, _MARK = "frames.npz", ".vidal-pretraining"
"""Files of an unfinished pre-training: its pictures, and what tells that vidal made the folder."""

Progress = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class PretrainJob:
    """What is pre-trained, and on what.

    Attributes:
        videos: a clip or a folder of clips.
        out: file of the backbone, safetensors.
        method: of ``METHODS``.
        detector: whose backbone; ``auto`` = that of ``weights``, else what suits the device.
        weights: a checkpoint to begin from.
        start: ``fresh`` = random weights, ``weights`` = those of ``weights`` or of the detector;
            None = ``weights`` where a checkpoint is given, else ``fresh``.
        frames: at most so many are learned from.
        neighbours: a frame at most so far away is a further positive; 0 = none.
        image_rate: frames a second of folders of images.
        seed: of the weights, the sample, the order and the views.
        device: auto, cpu, cuda or cuda:1.
        training: the rest.
    """

    videos: Path
    out: Path
    method: str = "simsiam"
    detector: str = "auto"
    weights: Path | None = None
    start: str | None = None
    frames: int = 2000
    neighbours: int = 0
    image_rate: str = "10"
    seed: int = 0
    device: str = "auto"
    training: SimSiamOptions = field(default_factory=SimSiamOptions)


def pretrain_backbone(
    job: PretrainJob,
    *,
    reading: Progress | None = None,
    training: Progress | None = None,
) -> dict[str, Any]:
    """Pre-train, write the backbone, and say what became of it.

    Killed at any time, the next call goes on after the last finished epoch and ends with the same
    weights (same machine, same number of threads). Once it is finished, the next call says the same
    again.

    Args:
        job: what to do.
        reading: told after every frame that is read: ``step``, ``steps``.
        training: told after every step, see ``vidal.pretrain.training.run_epoch``.

    Raises:
        UnknownName, UsageError: what cannot be meant, fewer than two frames, or divergence.
        NoClips: nothing that can be read.
        WeightsError: weights that cannot be used, or an unfinished pre-training of other settings.
        OutputError: the place cannot be written, or holds something else.
    """
    _check(job)
    before = _earlier(job.out)
    name, network = _network(job)
    with _workplace(job.out) as state:
        clips, skipped = open_clips(
            job.videos, engines=Engines(1), store=state, image_rate=rate_of(job.image_rate)
        )
        clips = sorted((each for each in clips if each.pixels), key=lambda each: each.id)
        key = _key(job, name, clips, digest(body_state(name, network.state_dict())))
        if before is not None:
            return _told_again(job.out, before, key)
        sample = _sample(job, clips, state / _FRAMES, key, reading)
        outcome = _trained(job, name, network, sample, state / "training.pt", key, training)
        notes = {"pretrained": _notes(job, name, clips, sample, skipped, outcome, key)}
        save_checkpoint(job.out, body_checkpoint(name, network, notes))
    return {"weights": str(job.out), "new": True, **notes["pretrained"]}


def _check(job: PretrainJob) -> None:
    if job.method not in METHODS:
        raise UnknownName("method", job.method, METHODS)
    if job.start not in (None, "fresh", "weights"):
        raise UnknownName("start", str(job.start), ("fresh", "weights"))
    if job.start == "fresh" and job.weights is not None:
        raise UsageError("weights to begin from, and --start fresh.", hint="Drop one of them.")
    if job.frames < 2 or job.neighbours < 0 or job.seed < 0:
        raise UsageError("frames is below 2, or neighbours or seed is negative.")
    known = tuple(dict.fromkeys(("auto", *ARCHITECTURES, *SHIPPED)))
    if job.detector not in known:
        raise UnknownName("detector whose backbone can be pre-trained", job.detector, known)


def _earlier(out: Path) -> Checkpoint | None:
    """What is at the place already.

    Raises:
        OutputError: something that ``vidal pretrain`` did not write.
    """
    if out.is_dir():
        raise OutputError(out, "it is a folder", hint="Name a file: backbone.safetensors.")
    if out.suffix != ".safetensors":
        raise OutputError(out, "its name does not end in .safetensors", hint="Name another --out.")
    if not out.exists():
        return None
    with suppress(VidalError):
        found = load_checkpoint(out)
        if "pretrained" in found.notes:
            return found
    raise OutputError(
        out, "it holds something else, and would be replaced", hint="Name another file with --out."
    )


@contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """The folder of an unfinished pre-training, for one process at a time.

    Afterwards it is there only where there is something to go on with.

    Raises:
        OutputError: there is such a folder, and vidal did not make it.
    """
    state = out.with_suffix(".state")
    with atomic.reporting(state):
        if state.exists() and not (state / _MARK).exists() and any(state.iterdir()):
            raise OutputError(
                state, "it holds something else", hint="Name another file with --out."
            )
        state.mkdir(parents=True, exist_ok=True)
        (state / _MARK).touch()
    with locked(state):
        try:
            yield state
            if out.exists():
                (state / _FRAMES).unlink(missing_ok=True)
        finally:
            if not (state / _FRAMES).exists():
                shutil.rmtree(state, ignore_errors=True)


def _network(job: PretrainJob) -> tuple[str, Any]:
    """Name of the architecture, and the network to begin with, on its device."""
    device = choose_device(job.device, several=False)
    if job.weights is not None or job.start == "weights":
        detector = load_detector(job.detector, weights=job.weights, device=job.device)
        return detector.architecture, detector.network
    default = "fasterrcnn-resnet50-v2" if device.type == "cuda" else "fasterrcnn-mobilenet-320"
    name = {"auto": default, **dict.fromkeys(SHIPPED, "scenes-tiny")}.get(
        job.detector, job.detector
    )
    return name, fresh(name, 2, np.random.default_rng([job.seed, _BODY])).to(device)


def _key(job: PretrainJob, name: str, clips: list[Clip], body: str) -> str:
    """Of all that the weights depend on."""
    options: dict[str, Any] = {
        "method": job.method,
        "frames": job.frames,
        "neighbours": job.neighbours,
        "seed": job.seed,
        **asdict(job.training),
    }
    return content_key("pretrain", VERSION, [name, body, [each.id for each in clips]], options)


def _told_again(out: Path, before: Checkpoint, key: str) -> dict[str, Any]:
    found: dict[str, Any] = before.notes["pretrained"]
    if found["key"] != key:
        raise OutputError(
            out,
            "a backbone that was pre-trained on other frames, or otherwise, is there",
            hint="Name another file with --out, or remove it.",
        )
    return {"weights": str(out), "new": False, **found}


def _sample(
    job: PretrainJob, clips: list[Clip], path: Path, key: str, reading: Progress | None
) -> FrameSample:
    """The frames to learn from, read once."""
    if path.exists():
        return load_sample(path, key)
    rng = np.random.default_rng([job.seed, _SAMPLE])
    picks = draw_frames([each.frames for each in clips], job.frames, job.neighbours, rng)

    def tell(done: int, total: int) -> None:
        if reading is not None:
            reading({"step": done, "steps": total})

    # A crop of a fifth of the area has about half the side: twice the view's side is enough.
    sample = collect(clips, picks, 2 * job.training.size, tell)
    if len(sample) < 2:
        raise UsageError(
            f"{job.videos}: fewer than two frames decode.", hint="Name a folder of clips."
        )
    save_sample(sample, path, key)
    return sample


def _trained(
    job: PretrainJob,
    name: str,
    network: Any,
    sample: FrameSample,
    keep: Path,
    key: str,
    progress: Progress | None,
) -> PretrainOutcome:
    """Train the network's body in place."""
    network.to(memory_format=torch.channels_last)
    encoder = Body(name, network)
    rng = np.random.default_rng([job.seed, _HEADS])
    transform = network.transform
    siamese = simsiam_network(
        encoder,
        feature_width(encoder),
        job.training,
        rng,
        mean=transform.image_mean,
        std=transform.image_std,
    )
    device = next(network.parameters()).device
    seed = int(np.random.default_rng([job.seed, _EPOCHS]).integers(2**63))
    return pretrain(
        siamese.to(device),
        sample,
        job.training,
        seed,
        progress=progress,
        keep=keep,
        key=key,
        bf16=device.type == "cuda" and native_bf16(device),
    )


def _notes(
    job: PretrainJob,
    name: str,
    clips: list[Clip],
    sample: FrameSample,
    skipped: list[SkippedClip],
    outcome: PretrainOutcome,
    key: str,
) -> dict[str, Any]:
    """About the result, as JSON values; kept in the file."""
    unread = [*((str(each.path), each.reason) for each in skipped), *sample.skipped]
    last = outcome.stds[-max(1, len(outcome.stds) // 10) :]
    return {
        "method": job.method,
        "architecture": name,
        "start": "weights" if job.weights is not None or job.start == "weights" else "fresh",
        "clips": len(clips),
        "frames": len(sample),
        "lost": sample.lost,
        "skipped": [{"path": path, "reason": why} for path, why in unread],
        "neighbours": job.neighbours,
        "without_neighbour": sample.alone,
        "seed": job.seed,
        "options": {k: list(v) if isinstance(v, tuple) else v for k, v in _options(job)},
        "steps": outcome.steps,
        "losses": list(outcome.losses),
        "stds": list(outcome.stds),
        "std": float(np.mean(last)),
        "healthy_std": healthy_std(outcome.dim),
        "spread": outcome.spread,
        "collapsed": outcome.collapsed,
        "key": key,
    }


def _options(job: PretrainJob) -> list[tuple[str, Any]]:
    return list(asdict(job.training).items())
