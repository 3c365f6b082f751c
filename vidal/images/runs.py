"""The runs of an image simulation on disk: what each is, and what it has so far.

OUT/data/                          the images
OUT/runs/initial-0/                the first model of seed 0: model.safetensors, row-000.json, and
                                   body.safetensors where networks are pre-trained
OUT/runs/entropy-0/run.json        what the run was begun with
OUT/runs/entropy-0/row-001.json    what ``Row`` says of a trained round
OUT/runs/entropy-0/query-001.json  what was asked with that round's model
OUT/runs/mqnet-0/query-001.npz     the same as the model of then saw it, for strategies that learn
                                   from their last query
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from vidal.errors import CampaignError
from vidal.evaluate.curves import ALL_DATA, Picks, Row
from vidal.images.config import ImagesConfig, ImageVariant
from vidal.images.encoded import encoding_file
from vidal.protocols import Selector
from vidal.store import atomic
from vidal.types import Items

INITIAL = "initial"
"""The run of a seed whose first model all its strategies share."""

Maker = Callable[[str, ImageVariant], Selector]
"""A strategy ready to select, by the name of a run and what it is; importable by name."""


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One run, in references only, so that it can travel to another process.

    Attributes:
        out: folder of the simulation.
        config: with this run's seed.
        name: of the strategy or variant, ``INITIAL`` or ``ALL_DATA``.
        variant: what it is; None for the latter two.
        rounds: to be trained, the initial one included.
        make: see ``Maker``.
        truth: the strategy is an oracle, and sees the labels of the pool.
        encoders: that the run of the first model makes, for the strategies of its seed.
    """

    out: Path
    config: ImagesConfig
    name: str
    variant: ImageVariant | None
    rounds: int
    make: Maker
    truth: bool = False
    encoders: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Of this run."""
        return self.out / "runs" / f"{self.name}-{self.config.seed}"

    @property
    def body(self) -> Path:
        """What all networks of this seed begin with, where they are pre-trained."""
        return self.initial / "body.safetensors"

    @property
    def initial(self) -> Path:
        """Of the run whose first model it shares."""
        return self.out / "runs" / f"{INITIAL}-{self.config.seed}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a run.

    Attributes:
        images: positions in the task that are labelled from now on.
        picks: what they held.
        pseudo: positions and labels that the next training takes as given (CEAL).
        told: means over the picks of what the strategy explains them with, by name.
    """

    images: tuple[int, ...]
    picks: Picks
    pseudo: tuple[tuple[int, int], ...] = ()
    told: Mapping[str, float] = field(default_factory=dict)


def variant_of(config: ImagesConfig, name: str) -> ImageVariant:
    """What a name means: a variant of the configuration, or a strategy as it is."""
    return config.simulation.variants.get(name, ImageVariant(strategy=name))


def begin(job: ImageJob) -> None:
    """Note what a run is, or refuse one that was begun otherwise.

    Raises:
        CampaignError: its folder holds a run of another variant.
    """
    check_begun(job)
    atomic.write_text(
        job.folder / "run.json", json.dumps(_what(job), indent=1, allow_nan=False) + "\n"
    )


def check_begun(job: ImageJob) -> None:
    """Refuse a run that was begun otherwise; one that was not begun is fine.

    Raises:
        CampaignError: its folder holds a run of another variant.
    """
    found = _read(job.folder / "run.json")
    if found is not None and found != json.loads(json.dumps(_what(job), allow_nan=False)):
        raise CampaignError(
            f"{job.folder}: this run was begun with other options.",
            hint="Remove it, or name another folder with --out.",
        )


def _what(job: ImageJob) -> dict[str, Any]:
    """What a run is, beside what all runs of the simulation have in common."""
    own = {"variant": None if job.variant is None else job.variant.model_dump(mode="json")}
    return {**own, "training": job.config.simulation.all_data} if job.name == ALL_DATA else own


def row_of(job: ImageJob, number: int) -> Row | None:
    """What a round gave, if it is done."""
    values = _read(job.folder / f"row-{number:03d}.json")
    return None if values is None else replace(Row.from_dict(values["row"]), strategy=job.name)


def query_of(job: ImageJob, number: int) -> Asked | None:
    """What was asked with the model of a round, if it is known."""
    values = _read(job.folder / f"query-{number:03d}.json")
    if values is None:
        return None
    pseudo = tuple((int(position), int(label)) for position, label in values["pseudo"])
    told = values.get("told", {})
    return Asked(tuple(values["images"]), Picks(**values["picks"]), pseudo, told)


def keep_row(job: ImageJob, row: Row, seconds: float) -> None:
    """Write what a round gave."""
    _write(job.folder / f"row-{row.round:03d}.json", {"row": row.as_dict(), "seconds": seconds})


def keep_query(job: ImageJob, number: int, asked: Asked, seconds: float) -> None:
    """Write what was asked with the model of a round."""
    _write(job.folder / f"query-{number:03d}.json", {**asdict(asked), "seconds": seconds})


def keep_memory(job: ImageJob, number: int, items: Items) -> None:
    """Write how the model of a round saw what it asked for; before the query, which counts."""
    arrays: dict[str, Any] = {f"{_COLUMN}{name}": each for name, each in items.columns.items()}
    arrays |= {name: getattr(items, name) for name in ("features", "probs", "answers")}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic.write_bytes(_memory(job, number), buffer.getvalue())


def memory_of(job: ImageJob, number: int) -> Items | None:
    """What ``keep_memory`` has written of a round, if it has.

    Raises:
        CampaignError: it cannot be read.
    """
    path = _memory(job, number)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, BadZipFile) as error:
        raise CampaignError(
            f"{path}: what was asked for cannot be read ({error}).",
            hint="Remove the folder of this run: it is done again.",
        ) from error
    columns = {n.removeprefix(_COLUMN): a for n, a in arrays.items() if n.startswith(_COLUMN)}
    return Items(arrays["features"], arrays["probs"], arrays["answers"], columns)


_COLUMN = "column."


def _memory(job: ImageJob, number: int) -> Path:
    return job.folder / f"query-{number:03d}.npz"


def rows_of(job: ImageJob) -> tuple[Row, ...]:
    """The rows that a run has so far, from the first without a gap."""
    rows = []
    for number in range(job.rounds):
        row = row_of(job, number)
        if row is None:
            break
        rows.append(row)
    return tuple(rows)


def finished(job: ImageJob) -> bool:
    """Whether all rounds are done, and of the first model's run all encoders."""
    made = all(encoding_file(job.folder, group).exists() for group in job.encoders)
    return made and len(rows_of(job)) >= job.rounds


def seconds_of(job: ImageJob) -> float:
    """Computing time of what is done, in seconds."""
    kinds = ("row-*.json", "query-*.json", "encoding-*.json")
    files = [each for kind in kinds for each in job.folder.glob(kind)]
    return float(sum(json.loads(each.read_text("utf-8"))["seconds"] for each in files))


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _write(path: Path, values: Mapping[str, Any]) -> None:
    atomic.write_text(path, json.dumps(values, allow_nan=False, indent=1) + "\n")
