"""A campaign on disk: its folder, its lock, its configuration and its record.

CAMPAIGN/campaign.yaml                 the configuration, every default written out
CAMPAIGN/campaign.sqlite               the record of rounds, frames and labels
CAMPAIGN/campaign.v1.sqlite            the record as it was before it was brought to this version
CAMPAIGN/.lock                         held by the command that is running; its process id
CAMPAIGN/.running.json                 how far that command is, for `vidal status`
CAMPAIGN/evidence/                     what was computed about clips, under content keys
CAMPAIGN/models/round-000.safetensors  one model a trained round
CAMPAIGN/models/round-000.state/       a training that is running, or was interrupted
CAMPAIGN/models/round-001.pseudo.json  pseudo-labels that a training had, if it had any
CAMPAIGN/models/round-000-fold-0.*     detectors that judge labels which every model has seen
CAMPAIGN/queries/round-000/            the query of a round, with pictures and report
CAMPAIGN/queries/round-000/asked.npz   the regions that it asked about, as the model saw them
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidal.campaign._sql import SCHEMA, reporting_sql
from vidal.campaign.clips import Found, find_clips
from vidal.campaign.config import CampaignConfig, with_paths
from vidal.campaign.config_file import CONFIG, change_paths, read_config, write_config
from vidal.campaign.migrate import home_of, migrate, version_of
from vidal.campaign.places import located, place
from vidal.campaign.record import ClipEntry, Record, Split
from vidal.errors import CampaignBusy, CampaignError, InputError, OutputError
from vidal.evidence.places import EngineMaker
from vidal.store import atomic
from vidal.types import Annotations, Clip

RECORD, LOCK = "campaign.sqlite", ".lock"


@dataclass(frozen=True, slots=True)
class Campaign:
    """An open campaign.

    Attributes:
        folder: where it lies.
        config: with paths as this process sees them.
        record: open.
        home: where it lay when its relative paths were written; None = unknown.
        notes: what was done to it on opening, one sentence each.
    """

    folder: Path
    config: CampaignConfig
    record: Record
    home: Path | None = None
    notes: tuple[str, ...] = ()

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

    def pseudo_labels(self, number: int) -> Path:
        """Where it is kept which labels a training had that nobody gave, if it had any."""
        return self.folder / "models" / f"round-{number:03d}.pseudo.json"

    def fold(self, number: int, part: int) -> Path:
        """Where a detector lies that was trained to judge one fold of a round's labels."""
        return self.folder / "models" / f"round-{number:03d}-fold-{part}.safetensors"

    def query(self, number: int) -> Path:
        """Where the query of a round lies."""
        return self.folder / "queries" / f"round-{number:03d}"

    def newest_model(self, *, before: int | None = None) -> Path | None:
        """The model of the newest trained round (with a lower number than ``before``).

        None in a campaign with a detector of one's own (``data.detections``): its models are
        elsewhere.
        """
        if self.config.data.detections is not None:
            return None
        names = [
            entry.model
            for entry in self.record.rounds()
            if entry.model is not None and (before is None or entry.number < before)
        ]
        return self.folder / names[-1] if names else None

    def clips(
        self,
        engines: EngineMaker,
        split: Split | None = "train",
        *,
        only: Collection[str] | None = None,
    ) -> dict[str, Clip]:
        """The clips of a split by id, in order of id.

        Args:
            engines: where clips are opened.
            split: which; None = all.
            only: ids of those that are needed; None = all of the split.

        Raises:
            InputError: one is gone, or has changed.
        """
        found = self.found(engines, split, only=only)
        found.need(self.folder)
        return found.clips

    def found(
        self,
        engines: EngineMaker,
        split: Split | None = "train",
        *,
        only: Collection[str] | None = None,
        keep: bool = True,
    ) -> Found:
        """The clips of a split that are there, and those that are not.

        ``keep``: what is found out about them is kept in the store; else nothing is written.
        """
        entries = [e for e in self.record.clips(split) if only is None or e.id in only]
        return find_clips(
            entries,
            self.place_of,
            engines=engines,
            store=self.evidence,
            image_rate=Fraction(self.config.data.image_rate),
            keep=keep,
        )

    def place_of(self, written: str) -> Path:
        """Where a path lies that the record or the configuration names."""
        return located(written, self.folder, self.home)

    def absent(self) -> list[ClipEntry]:
        """Clips that are not where they were; whether the others have changed is not looked at."""
        return [e for e in self.record.clips() if not os.path.lexists(self.place_of(e.path))]


def create_campaign(
    folder: Path,
    config: CampaignConfig,
    classes: Sequence[str],
    clips: Sequence[ClipEntry],
    *,
    given: Mapping[str, Annotations] | None = None,
    told: Mapping[str, Mapping[str, Any]] | None = None,
) -> bool:
    """Begin a campaign; afterwards it is there whole or, after a crash, not at all.

    The caller holds the campaign's lock (``locked``).

    Args:
        folder: where; made if it is missing.
        config: resolved, with absolute paths.
        classes: in the order of their labels.
        clips: all clips with their splits.
        given: clip id -> labels of training clips that are there already: round 0, answered.
        told: kind -> detail of events that its record begins with.

    Returns:
        Whether it is new; False where this very campaign (same configuration) was there already.

    Raises:
        CampaignError: there is another campaign here already.
        OutputError: the folder cannot be written.
    """
    if recorded(folder):
        if begun_with(folder, config):
            return False
        raise CampaignError(
            f"{folder}: there is a campaign here already, with another configuration.",
            hint="Name another folder.",
        )
    write_config(folder, config)
    with atomic.reporting(folder / RECORD):
        Record.create(folder / RECORD, classes, clips, given=given, told=told)
    return True


def recorded(folder: Path) -> bool:
    """Whether there is a campaign in a folder.

    Raises:
        InputError: the folder may not be looked into.
    """
    try:
        (folder / RECORD).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InputError(folder, (error.strerror or str(error)).lower()) from error
    return (folder / RECORD).is_file()


def begun_with(folder: Path, config: CampaignConfig) -> bool:
    """Whether the campaign of a folder has this configuration (resolved, absolute paths)."""
    if not (folder / CONFIG).is_file():
        return False
    home = _home(folder)
    return read_config(folder, home) == with_paths(
        config, lambda path: located(place(path, folder), folder, home)
    )


def _home(folder: Path) -> Path | None:
    with reporting_sql(folder / RECORD), Record(folder / RECORD, read_only=True) as record:
        return home_of(record.db)


@contextmanager
def open_campaign(folder: Path, *, lock: bool = True, migrates: bool = True) -> Iterator[Campaign]:
    """The campaign in a folder, for the time of the block.

    Args:
        folder: of the campaign.
        lock: keep other commands out; without it only read.
        migrates: also without the lock, a record of an older version is brought up to date where
            nobody works on it and the folder can be written; else nothing is written at all.

    Raises:
        InputError: there is no campaign.
        CampaignBusy: another process works on it.
        UsageError: its configuration was changed to something that cannot be meant.
    """
    if not recorded(folder):
        raise InputError(folder, "no campaign here", hint="Begin one with `vidal init`.")
    if lock:
        with locked(folder), _opened(folder, _brought_up(folder), read_only=False) as campaign:
            yield campaign
    else:
        notes = _perhaps_brought_up(folder) if migrates else ()
        with _opened(folder, notes, read_only=True) as campaign:
            yield campaign


def _brought_up(folder: Path) -> tuple[str, ...]:
    """Bring a record of an older version up to date; the campaign is locked."""
    if not 1 <= version_of(folder / RECORD) < SCHEMA:
        return ()
    change_paths(folder, None, lambda path: path)
    return (migrate(folder / RECORD),)


def _perhaps_brought_up(folder: Path) -> tuple[str, ...]:
    """The same for a reader, where nobody works on the campaign and its folder can be written."""
    if not 1 <= version_of(folder / RECORD) < SCHEMA:
        return ()
    try:
        with locked(folder):
            return _brought_up(folder)
    except (CampaignBusy, OutputError):
        return ()


@contextmanager
def _opened(folder: Path, notes: tuple[str, ...], *, read_only: bool) -> Iterator[Campaign]:
    path = folder / RECORD
    with reporting_sql(path), Record(path, read_only=read_only) as record:
        home = home_of(record.db)
        yield Campaign(folder, read_config(folder, home), record, home, notes)


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
        with atomic.reporting(path):
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
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() and len(text) < 20 else None
