"""Trainings of a campaign: whole on disk or to be gone on with, whoever asks for them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from vidal.campaign.accuracy import TRAINED_ON
from vidal.campaign.config import CampaignConfig
from vidal.campaign.folder import Campaign
from vidal.campaign.oracle import only
from vidal.campaign.pseudo_labels import PseudoLabels, with_labels
from vidal.campaign.training import LabelledFrames, compares_snapshots, starting_detector
from vidal.errors import UsageError
from vidal.store import atomic
from vidal.types import Annotations, Clip, FrameRef
from vidal.words import counted

if TYPE_CHECKING:
    from vidal.detect.training import Snapshots

Progress = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class Fitting:
    """One training.

    Attributes:
        config: ``detector`` and ``training`` are read.
        classes: of the campaign.
        before: model of an earlier round that it starts from; None = the configured detector.
        start: draws weights where the detector has none.
        rng: of the training.
        target: file of the model.
        state: folder of what is needed to go on after an interruption.
        notes: written into the model; others are added.
        snapshots: states on the way that are kept beside the model.
    """

    config: CampaignConfig
    classes: tuple[str, ...]
    before: Path | None
    start: Generator
    rng: Generator
    target: Path
    state: Path
    notes: Mapping[str, Any]
    snapshots: int = 0

    @property
    def snapshots_missing(self) -> bool:
        """Whether states are wanted and were not kept."""
        return self.snapshots > 0 and not has_snapshots(self.target)


def snapshots_of(model: Path) -> Path:
    """Folder with the states that were kept of a model's training."""
    return model.with_suffix(".snapshots")


def has_snapshots(model: Path) -> bool:
    """Whether states of its training were kept; a training of one epoch has none."""
    return any(snapshots_of(model).glob("*.safetensors"))


def _check_states(job: Fitting, epochs: int) -> None:
    """Refuse a training without states on the way, where the strategy compares them."""
    if not job.snapshots or not compares_snapshots(job.config):
        return
    from vidal.detect.training import Snapshots

    if not Snapshots(job.state, job.snapshots).epochs(epochs):
        raise UsageError(
            f"{job.config.selection.strategy} compares states of the training, and one of"
            f" {counted(epochs, 'epoch')} has none on the way.",
            hint="Train for more epochs or steps, or give selection.options: {by: heads}.",
        )


def labelled_frames(
    campaign: Campaign, clips: Mapping[str, Clip], *, through: int = 2**62
) -> tuple[list[FrameRef], dict[str, Annotations]]:
    """The labelled frames of rounds up to a number, by clip and index, and the labels.

    Clips without labelled frames need not be among ``clips``.

    Raises:
        KeyError: a clip with labelled frames is not.
    """
    tables = {}
    for name in campaign.record.labelled_clips(through=through):
        states = campaign.record.states(clips[name], before=through + 1)
        table = campaign.record.annotations(name, clips[name].frames)
        tables[name] = only(table, np.flatnonzero(states.labelled).tolist())
    refs = [
        FrameRef(name, int(index))
        for name in sorted(tables)
        for index in np.flatnonzero(tables[name].labelled)
    ]
    return refs, tables


def fit_model(
    job: Fitting,
    refs: Sequence[FrameRef],
    clips: Mapping[str, Clip],
    tables: Mapping[str, Annotations],
    progress: Progress | None,
    *,
    pseudo: PseudoLabels | None = None,
) -> str:
    """Make sure that a model is on disk; the digest of its weights.

    ``pseudo``: labels that nobody gave, trained on beside those of ``refs``.

    Killed before that, the next call goes on with the last finished epoch and ends with the same
    weights (same machine, same number of threads).

    Raises:
        UsageError: the training diverges, or has no states on the way where those are compared.
        WeightsError: the model to start from is not there.
    """
    detector = starting_detector(job.config, job.classes, job.start, model=job.before)
    given = len(refs)
    refs, tables = with_labels(refs, tables, pseudo)
    labels = labels_digest(refs, tables)
    _check_states(job, detector.training.length(len(refs))[1])
    notes = {
        **job.notes,
        "frames": given,
        **({} if pseudo is None else {"pseudo_labels": pseudo.summary()}),
        "labels": labels,
        TRAINED_ON: sorted({ref.clip for ref in refs} | set(detector.notes.get(TRAINED_ON, ()))),
        "from": detector.key["weights"],
        "training": {k: list(v) if isinstance(v, tuple) else v for k, v in _options(detector)},
    }
    whole = job.target.exists() and not job.snapshots_missing
    if whole and (kept := _finished(job.target, notes)) is not None:
        return kept
    pixels = job.state / f"frames-{labels}.raw"
    with atomic.reporting(job.state):
        if job.state.exists() and not pixels.exists():
            shutil.rmtree(job.state)  # begun on labels that were corrected since
        job.state.mkdir(parents=True, exist_ok=True)
    samples = LabelledFrames(refs, clips, tables, pixels)
    kept_states = _snapshots(job)
    trained = detector.fit(
        samples, job.rng, progress, keep=job.state / "training.pt", snapshots=kept_states
    )
    if kept_states is not None:
        # Whole or not at all, and before the model: that says that all is there.
        shutil.rmtree(snapshots_of(job.target), ignore_errors=True)
        kept_states.folder.rename(snapshots_of(job.target))
    trained.save(job.target, notes)
    return str(trained.key["weights"])


def _snapshots(job: Fitting) -> Snapshots | None:
    """Where states of a training go until it is finished."""
    if not job.snapshots:
        return None
    from vidal.detect.training import Snapshots

    folder = job.state / "snapshots"
    with atomic.reporting(folder):
        folder.mkdir(exist_ok=True)
    return Snapshots(folder, job.snapshots)


def labels_digest(refs: Iterable[FrameRef], tables: Mapping[str, Annotations]) -> str:
    """Of frames and their labels."""
    total = hashlib.blake2b(digest_size=8)
    for ref in refs:
        table = tables[ref.clip]
        rows = table.on(ref.index)
        total.update(str(ref).encode())
        for column in (table.boxes, table.labels, table.ignore):
            total.update(column[rows].tobytes())
    return total.hexdigest()


def _options(detector: Any) -> Iterable[tuple[str, Any]]:
    return asdict(detector.training).items()


def _finished(model: Path, notes: Mapping[str, Any]) -> str | None:
    """The digest of a model that was saved, but not recorded, by a run that was killed."""
    from vidal.detect.checkpoints import digest, load_checkpoint

    checkpoint = load_checkpoint(model)
    return digest(checkpoint.state) if checkpoint.notes == notes else None
