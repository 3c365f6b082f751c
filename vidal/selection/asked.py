"""What a query asks for, as the model that chose it saw it; kept beside the query.

Answers say what the regions were: how many of them known objects (query precision), and to a
strategy that wants to know, region by region (``Remembering``).
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.protocols import Remembering
from vidal.selection.labelled import (
    join_items,
    labelled_items,
    matched_objects,
    with_classes,
)
from vidal.store import atomic
from vidal.types import (
    UNKNOWN,
    Annotations,
    Detections,
    FloatArray,
    HalfArray,
    IntArray,
    Items,
    Pool,
    Query,
    frozen,
)

FILE = "asked.npz"
"""In the folder of a query."""
_FORMAT = "vidal-asked"
_COLUMN = "column."


class Counts(NamedTuple):
    """What the regions of a query turned out to be.

    Attributes:
        known: objects of the classes.
        unknown: annotated objects outside them.
        background: regions where nothing was annotated.
    """

    known: int = 0
    unknown: int = 0
    background: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def precision(self) -> float:
        """Query precision: share of the objects that are of the classes, in [0, 1].

        NaN where there is no object: nothing was found, or nobody looked.
        """
        objects = self.known + self.unknown
        return self.known / objects if objects else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The detections above the threshold on the frames of a query.

    Attributes:
        strategy: that asked, as users write it.
        classes: the detector's.
        clips: ids of the clips.
        clip: (N,) int64, position of the region's clip in ``clips``; sorted.
        frame: (N,) int64 index of its frame; sorted within a clip.
        boxes, scores, labels, probs: as in ``Detections``.
        features: (N, D) float16; D = 0 where the strategy remembers nothing.
        columns: name -> (N, ...) what the strategy wanted kept.
    """

    strategy: str
    classes: tuple[str, ...]
    clips: tuple[str, ...]
    clip: IntArray
    frame: IntArray
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    probs: FloatArray
    features: HalfArray
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, k = len(self.clip), len(self.classes)
        checks: tuple[tuple[str, Any, tuple[int | None, ...]], ...] = (
            ("clip", np.int64, (n,)),
            ("frame", np.int64, (n,)),
            ("boxes", np.float32, (n, 4)),
            ("scores", np.float32, (n,)),
            ("labels", np.int64, (n,)),
            ("probs", np.float32, (n, k + 1)),
            ("features", np.float16, (n, None)),
        )
        for name, dtype, shape in checks:
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, shape, name))
        for name, values in self.columns.items():
            if len(values) != n:
                raise ValueError(f"{name}: expected {n} rows, got {len(values)}")
        object.__setattr__(self, "columns", dict(self.columns))  # it travels with a result

    def __len__(self) -> int:
        return len(self.clip)

    def table(self, clip: str, frames: int) -> tuple[Detections, IntArray]:
        """The detections of a clip of so many frames, and their rows here."""
        rows = np.zeros(0, np.int64)
        if clip in self.clips:
            rows = np.flatnonzero(self.clip == self.clips.index(clip))
        rows = rows[self.frame[rows] < frames]
        names = ("frame", "boxes", "scores", "labels", "probs", "features")
        values = {name: getattr(self, name)[rows] for name in names}
        none = np.zeros((frames, 0), np.float32)
        scanned = np.ones(frames, np.bool_)
        return Detections(self.classes, scanned, **values, embedding=none), rows


def asked_of(
    query: Query,
    detections: Callable[[str], Detections | None],
    pool: Pool,
    selector: Any,
    *,
    strategy: str,
    threshold: float,
) -> Asked | None:
    """What a query asks for; None where no detector looked at its frames.

    Args:
        query: the chosen frames.
        detections: of a clip, by id; None where no detector ran.
        pool: that they were chosen from, with everything that was learned.
        selector: that chose; it, or one that it wraps, may be ``Remembering``.
        strategy: its name.
        threshold: detections with a higher score count.
    """
    remembers = rememberer_of(selector)
    if remembers is not None and pool.regions is not None:
        return _remembered(query, pool, remembers, strategy)
    parts: list[tuple[int, Detections]] = []
    frames: dict[str, list[int]] = {}
    for ref in query.frames:
        frames.setdefault(ref.clip, []).append(ref.index)
    clips = tuple(sorted(frames))
    for number, name in enumerate(clips):
        found = detections(name)
        if found is None:
            return None
        mine = frames[name]
        use = (found.scores > threshold) & np.isin(found.frame, mine)
        parts.append((number, found.keep(np.flatnonzero(use))))
    if not parts:
        return None

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(table, name) for _, table in parts])

    names = ("frame", "boxes", "scores", "labels", "probs")
    plain: dict[str, Any] = {name: column(name) for name in names}
    clip = np.repeat([number for number, _ in parts], [len(table) for _, table in parts])
    none = np.zeros((len(clip), 0), np.float16)
    return Asked(strategy, parts[0][1].classes, clips, clip, **plain, features=none)


def _remembered(query: Query, pool: Pool, strategy: Remembering, name: str) -> Asked:
    regions = pool.regions
    assert regions is not None
    found = pool.frames.find(query.frames)
    picked = np.zeros(len(pool), np.bool_)
    picked[found[found >= 0]] = True
    rows = np.flatnonzero(picked[regions.pos] if len(pool) else regions.pos)
    pos = regions.pos[rows]
    columns = {key: np.asarray(v) for key, v in strategy.memory(pool, rows).items()}
    names = ("boxes", "scores", "labels", "probs", "features")
    values: dict[str, Any] = {each: getattr(regions, each)[rows] for each in names}
    clip, frame = pool.frames.clip[pos], pool.frames.index[pos]
    return Asked(name, pool.classes, pool.frames.clips, clip, frame, **values, columns=columns)


def rememberer_of(selector: Any) -> Remembering | None:
    """The strategy that learns from its last query: this one, or one that it wraps."""
    while selector is not None:
        if isinstance(selector, Remembering):
            return selector
        selector = getattr(selector, "inner", None)
    return None


def write_asked(path: Path, asked: Asked) -> None:
    """Keep it; afterwards the file is there whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    plain = {"format": _FORMAT, "version": 1, "strategy": asked.strategy}
    plain |= {"classes": list(asked.classes), "clips": list(asked.clips)}
    arrays: dict[str, NDArray[Any]] = {
        each.name: getattr(asked, each.name)
        for each in fields(Asked)
        if isinstance(getattr(asked, each.name), np.ndarray)
    }
    arrays |= {f"{_COLUMN}{name}": values for name, values in asked.columns.items()}
    text = json.dumps(plain, sort_keys=True, allow_nan=False).encode()
    arrays["@"] = np.frombuffer(text, np.uint8)
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    atomic.write_bytes(path, stream.getvalue())


def read_asked(path: Path) -> Asked | None:
    """What ``write_asked`` kept; None where nothing lies there.

    Raises:
        InputError: the file is damaged, or another one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        plain = json.loads(arrays.pop("@").tobytes())
        if plain["format"] != _FORMAT:
            raise ValueError("another kind of file")
        columns = {n[len(_COLUMN) :]: arrays.pop(n) for n in list(arrays) if n.startswith(_COLUMN)}
        names = {each.name for each in fields(Asked)}
        return Asked(
            str(plain["strategy"]),
            tuple(plain["classes"]),
            tuple(plain["clips"]),
            columns=columns,
            **{name: values for name, values in arrays.items() if name in names},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, BadZipFile) as error:
        hint = "Put back a copy of it, or remove it: then what that query asked for is forgotten."
        raise InputError(path, f"cannot be read ({error})", hint=hint) from error


def judge_asked(asked: Asked, truth: Mapping[str, Annotations]) -> Counts:
    """What its regions were, by answers in the classes that are known (label -1 = none of them).

    Args:
        asked: the regions.
        truth: clip id -> annotations; regions on frames that are not labelled do not count.
    """
    total = Counts()
    for name in sorted(truth):
        table, _ = asked.table(name, truth[name].frames)
        total = total.plus(count_regions(table, truth[name]))
    return total


def count_regions(table: Detections, truth: Annotations) -> Counts:
    """What detections on labelled frames are on; those in ignore regions are left out."""
    table = table.keep(np.flatnonzero(truth.labelled[table.frame]))
    matched, out = matched_objects(table, truth)
    labels = truth.labels[matched[matched >= 0]]
    unknown = int(np.count_nonzero(labels == UNKNOWN))
    background = int(np.count_nonzero((matched < 0) & ~out))
    return Counts(len(labels) - unknown, unknown, background)


def answered_items(asked: Asked, truth: Mapping[str, Annotations]) -> Items:
    """The regions on labelled frames with their answers: ``Pool.asked``."""
    parts = []
    for name in asked.clips:
        if name not in truth:
            continue
        table, rows = asked.table(name, truth[name].frames)
        labels = with_classes(truth[name], asked.classes)
        columns = {key: values[rows] for key, values in asked.columns.items()}
        parts.append(
            labelled_items(
                table, labels, labels.labelled, threshold=-1.0, features=True, columns=columns
            )
        )
    return join_items(parts, len(asked.classes))
