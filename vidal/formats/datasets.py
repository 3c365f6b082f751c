"""Cards of data sets, and whether a folder holds what its card says.

A card is one YAML file in ``cards/``: where to get the data, its layout, classes, splits and
licence, as far as known; what nobody has confirmed stands under ``unverified``. ``check`` walks a
folder sequence by sequence and counts what is missing or broken; it never changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vidal.errors import FormatError, InputError, UnknownName
from vidal.formats._files import hidden
from vidal.formats._rows import load_json, read_text
from vidal.formats._tree import is_file, is_folder
from vidal.formats._xml import events
from vidal.formats._yaml import parse_yaml

CARDS = Path(__file__).parent / "cards"
"""The cards that come with vidal."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Model):
    """Terms of use; ``verified`` = read at the source, not taken from a paper or from hearsay."""

    name: str
    verified: bool
    note: str = ""


class Split(_Model):
    """One part of a data set, and where its files lie.

    Attributes:
        name: as the data set calls it.
        sequences: how many there should be; None = not known.
        frames: how many images there should be; None = not known.
        sequence: glob below the root; each folder it finds is a sequence.
        images: glob below a sequence.
        labels: path below the root, with ``{tail}`` = what the wildcards of ``sequence`` found and
            ``{stem}`` = an image's name without suffix; None = no labels are published.
        columns: numbers of columns that a line of a text label may have.
        frame_column: column of a text label that holds the frame; None = one file an image.
        first_frame: number of a sequence's first frame in that column.
    """

    name: str
    sequences: int | None = Field(default=None, ge=0)
    frames: int | None = Field(default=None, ge=0)
    sequence: str = Field(pattern=r"^[^/]")
    images: str
    labels: str | None = None
    columns: tuple[int, ...] = ()
    frame_column: int | None = Field(default=None, ge=0)
    first_frame: int = 0

    @property
    def prefix(self) -> str:
        """The folder before the first wildcard."""
        return re.split(r"[^/]*[*?\[]", self.sequence, maxsplit=1)[0].rstrip("/") or "."


class Card(_Model):
    """What is known about a data set.

    Attributes:
        name: of the card's file and on the command line.
        title: in full.
        source: where to get it.
        reader: the format that reads it (a module of ``vidal.formats``).
        classes: names as the files spell them, in order.
        names: readable names of classes that are codes.
        ignore: names that mark regions to leave out.
        rate: frames a second, as a fraction; None = not known or not one.
        licence: terms of use.
        layout: folders and files, drawn.
        splits: the parts and their files.
        files: globs of further files that have to be there; JSON and XML have to be readable.
        unverified: statements of this card that nobody has confirmed on the data.
        notes: traps and hints, Markdown.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    source: str
    reader: str
    classes: tuple[str, ...] = ()
    names: dict[str, str] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    rate: str | None = Field(default=None, pattern=r"^\d+(/\d+)?$")
    licence: Licence
    layout: str
    splits: tuple[Split, ...] = ()
    files: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that is wrong in a folder.

    Attributes:
        kind: ``missing`` (not there), ``broken`` (cannot be read) or ``differs`` (from the card).
        where: the split, or the file or glob.
        what: in words, with an example.
        count: how many of them.
    """

    kind: Literal["missing", "broken", "differs"]
    where: str
    what: str
    count: int = 1


def load_cards(folder: Path = CARDS) -> dict[str, Card]:
    """All cards of a folder by name.

    Raises:
        InputError: the folder cannot be read, or has no cards.
        FormatError: a card with unknown, missing or wrong keys; says which.
    """
    files = sorted(Path(folder).glob("*.yaml"))
    if not files:
        raise InputError(folder, "no cards here")
    cards = [_load(file) for file in files]
    return {card.name: card for card in cards}


def find_card(name: str, cards: dict[str, Card]) -> Card:
    """The card of that name.

    Raises:
        UnknownName: there is none; lists the names.
    """
    if name not in cards:
        raise UnknownName("data set", name, sorted(cards))
    return cards[name]


def _load(path: Path) -> Card:
    try:
        card = Card.model_validate(parse_yaml(read_text(path), path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise FormatError(path, ".".join(map(str, first["loc"])), first["msg"]) from error
    if card.name != path.stem:
        raise FormatError(path, "name", f"{card.name!r} is not the file's name")
    return card


def check(card: Card, root: Path) -> list[Finding]:
    """What a folder lacks of a data set; empty = all that the card speaks of is there.

    Goes through one sequence at a time; memory grows with its number of images only.

    Raises:
        InputError: ``root`` is not a folder, or one below it cannot be read.
    """
    root = Path(root)
    if not is_folder(root):
        raise InputError(root, "no such folder")
    found = [finding for split in card.splits for finding in _check_split(split, root)]
    for pattern in card.files:
        tally = _Tally(pattern)
        files = [file for file in _found(root, pattern) if is_file(file)]
        for file in files:
            _readable(file, (), tally)
        found += [] if files else [Finding("missing", pattern, "no such file")]
        found += tally.findings()
    return found


def _found(folder: Path, pattern: str) -> list[Path]:
    """What a glob finds, sorted, without hidden files."""
    try:
        return sorted(f for f in folder.glob(pattern) if not hidden(f.relative_to(folder)))
    except OSError as error:
        raise InputError(folder, f"cannot be read ({error.strerror or error})") from error


@dataclass(slots=True)
class _Tally:
    """Counts of each kind of finding, with the first example."""

    where: str
    counts: dict[tuple[Literal["missing", "broken", "differs"], str], int] = field(
        default_factory=dict
    )
    examples: dict[str, str] = field(default_factory=dict)

    def add(
        self, kind: Literal["missing", "broken", "differs"], what: str, example: str, n: int = 1
    ) -> None:
        self.counts[kind, what] = self.counts.get((kind, what), 0) + n
        self.examples.setdefault(what, example)

    def findings(self) -> list[Finding]:
        return [
            Finding(kind, self.where, f"{what}, e.g. {self.examples[what]}", count)
            for (kind, what), count in self.counts.items()
        ]


def _check_split(split: Split, root: Path) -> Iterator[Finding]:
    if not is_folder(root / split.prefix):
        yield Finding("missing", split.name, f"folder {split.prefix}")
        return
    tally = _Tally(split.name)
    sequences = frames = 0
    for folder in _found(root, split.sequence):
        if is_folder(folder):
            sequences += 1
            frames += _check_sequence(split, root, folder, tally)
    for name, stated, have in (
        ("sequences", split.sequences, sequences),
        ("frames", split.frames, frames),
    ):
        if stated is not None and stated != have:
            yield Finding("differs", split.name, f"{have} {name}, expected {stated}")
    if not sequences:
        yield Finding("missing", split.name, f"no sequences in {split.sequence}")
    yield from tally.findings()


def _check_sequence(split: Split, root: Path, folder: Path, tally: _Tally) -> int:
    """Count a sequence's images and compare them with its labels; returns the count."""
    tail = folder.relative_to(root / split.prefix).as_posix()
    stems = {file.stem for file in _found(folder, split.images)}
    if not stems:
        tally.add("missing", "sequences without images", tail)
    if split.labels is None:
        return len(stems)
    if "{stem}" in split.labels:
        pattern = root / split.labels.format(tail=tail, stem="*")
        _check_twins(pattern, split.columns, tail, stems, tally)
        return len(stems)
    file = root / split.labels.format(tail=tail, stem="")
    if not is_file(file):
        tally.add("missing", "sequences without labels", tail)
        return len(stems)
    last = _readable(file, split.columns, tally, split.frame_column)
    if stems and last is not None and not 0 <= last - split.first_frame < len(stems):
        tally.add("differs", "sequences whose labels name frames without an image", tail)
    return len(stems)


def _check_twins(
    pattern: Path, columns: tuple[int, ...], tail: str, stems: set[str], tally: _Tally
) -> None:
    """Labels of which there is one an image; ``pattern`` globs those of one sequence."""
    labels = {file.stem: file for file in _found(pattern.parent, pattern.name)}
    if not labels:
        tally.add("missing", "sequences without labels", tail)
        return
    for what, lost in (
        ("images without a label file", stems - labels.keys()),
        ("label files without an image", labels.keys() - stems),
    ):
        if lost:
            tally.add("missing", what, f"{tail}/{min(lost)}", len(lost))
    for file in labels.values():
        _readable(file, columns, tally)


def _readable(
    file: Path, columns: tuple[int, ...], tally: _Tally, frame_column: int | None = None
) -> int | None:
    """Try to read a label file; returns the last frame it names, where it names any."""
    try:
        reader = _READERS.get(file.suffix.lower())
        if reader is not None:
            reader(file)
            return None
        return _text(file, columns, frame_column) if columns else None
    except InputError as error:
        tally.add("broken", "label files that cannot be read", str(error))
        return None


def _text(file: Path, columns: tuple[int, ...], frame_column: int | None) -> int | None:
    last: int | None = None
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        parts = line.replace(",", " ").split()
        if not parts:
            continue
        if len(parts) not in columns:
            wanted = " or ".join(map(str, columns))
            raise FormatError(file, f"line {number}", f"{len(parts)} columns, expected {wanted}")
        if frame_column is not None:
            try:
                frame = int(float(parts[frame_column]))
            except (ValueError, OverflowError) as error:
                raise FormatError(file, f"line {number}", "frame is not a number") from error
            last = frame if last is None else max(last, frame)
    return last


def _drain(file: Path) -> None:
    for _ in events(file):
        pass


_READERS: dict[str, Callable[[Path], object]] = {".json": load_json, ".xml": _drain}
