"""A campaign on disk: its folder, its lock, its configuration and its record.

CAMPAIGN/campaign.yaml                 the configuration, every default written out
CAMPAIGN/campaign.sqlite               the record of rounds, frames and labels
CAMPAIGN/.lock                         held by the command that is running; its process id
CAMPAIGN/evidence/                     what was computed about clips, under content keys
CAMPAIGN/models/round-000.safetensors  one model a trained round
CAMPAIGN/models/round-000.state/       a training that is running, or was interrupted
CAMPAIGN/models/round-000-fold-0.*     detectors that judge labels which every model has seen
CAMPAIGN/queries/round-000/            the query of a round, with pictures and report
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidal.campaign.config import CampaignConfig, dump_config, load_config, with_paths
from vidal.campaign.record import ClipEntry, Record, Split
from vidal.campaign.source import place, reopen
from vidal.errors import CampaignBusy, CampaignError, InputError
from vidal.evidence.places import EngineMaker
from vidal.store import atomic
from vidal.types import Annotations, Clip

CONFIG, RECORD, LOCK = "campaign.yaml", "campaign.sqlite", ".lock"


@dataclass(frozen=True, slots=True)
class Campaign:
    """An open campaign.

    Attributes:
        folder: where it lies.
        config: with paths as this process sees them.
        record: open.
    """

    folder: Path
    config: CampaignConfig
    record: Record

    @property
    def evidence(self) -> Path:
        """Root of the evidence store."""
        return self.folder / "evidence"

    def model(self, number: int) -> Path:
        """Where the model of a round lies, once it is trained."""
        return self.folder / "models" / f"round-{number:03d}.safetensors"

    def training(self, number: int) -> Path:
        """Folder of a training that is not finished."""
        return self.folder / "models" / f"round-{number:03d}.state"

    def fold(self, number: int, part: int) -> Path:
        """Where a detector lies that was trained to judge one fold of a round's labels."""
        return self.folder / "models" / f"round-{number:03d}-fold-{part}.safetensors"

    def query(self, number: int) -> Path:
        """Where the query of a round lies."""
        return self.folder / "queries" / f"round-{number:03d}"

    def newest_model(self, *, before: int | None = None) -> Path | None:
        """The model of the newest trained round (with a lower number than ``before``)."""
        names = [
            entry.model
            for entry in self.record.rounds()
            if entry.model is not None and (before is None or entry.number < before)
        ]
        return self.folder / names[-1] if names else None

    def clips(self, engines: EngineMaker, split: Split | None = "train") -> dict[str, Clip]:
        """The clips of a split by id, in order of id.

        Raises:
            InputError: one is gone, or has changed.
        """
        return reopen(
            self.record.clips(split),
            self.folder,
            engines=engines,
            store=self.evidence,
            image_rate=Fraction(self.config.data.image_rate),
        )


def create_campaign(
    folder: Path,
    config: CampaignConfig,
    classes: Sequence[str],
    clips: Sequence[ClipEntry],
    *,
    given: Mapping[str, Annotations] | None = None,
) -> bool:
    """Begin a campaign; afterwards it is there whole or, after a crash, not at all.

    The caller holds the campaign's lock (``locked``).

    Args:
        folder: where; made if it is missing.
        config: resolved, with absolute paths.
        classes: in the order of their labels.
        clips: all clips with their splits.
        given: clip id -> labels of training clips that are there already: round 0, answered.

    Returns:
        Whether it is new; False where this very campaign (same configuration) was there already.

    Raises:
        CampaignError: there is another campaign here already.
        OutputError: the folder cannot be written.
    """
    stored = with_paths(config, lambda path: Path(place(path, folder)))
    text = dump_config(stored)
    path = folder / CONFIG
    if (folder / RECORD).exists():
        if path.exists() and path.read_text("utf-8") == text:
            return False
        raise CampaignError(
            f"{folder}: there is a campaign here already, with another configuration.",
            hint="Name another folder.",
        )
    atomic.write_text(path, text)
    with atomic.reporting(folder / RECORD):
        Record.create(folder / RECORD, classes, clips, given=given)
    return True


@contextmanager
def open_campaign(folder: Path, *, lock: bool = True) -> Iterator[Campaign]:
    """The campaign in a folder, for the time of the block.

    Args:
        folder: of the campaign.
        lock: keep other commands out; without it only read.

    Raises:
        InputError: there is no campaign.
        CampaignBusy: another process works on it.
        UsageError: its configuration was changed to something that cannot be meant.
    """
    if not (folder / RECORD).is_file():
        raise InputError(folder, "no campaign here", hint="Begin one with `vidal init`.")
    if lock:
        with locked(folder), _opened(folder) as campaign:
            yield campaign
    else:
        with _opened(folder) as campaign:
            yield campaign


@contextmanager
def _opened(folder: Path) -> Iterator[Campaign]:
    config = load_config(folder / CONFIG)
    with Record(folder / RECORD) as record:
        yield Campaign(folder, config, record)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a campaign, for the time of the block.

    The operating system lets go of the lock when the process ends, however it ends: a ``.lock``
    file that is left behind means nothing.

    Raises:
        CampaignBusy: another process holds it.
        OutputError: the folder cannot be written.
    """
    path = folder / LOCK
    with atomic.reporting(path):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CampaignBusy(folder, holder(folder) or 0) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder(folder: Path) -> int | None:
    """The process that holds, or held, the lock; None where nobody is named."""
    try:
        text = (folder / LOCK).read_text("ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
