"""A bundle on its way into an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.errors import OutputError, UsageError
from vidal.exports import archive, frame_map
from vidal.exports.bundle import Bundle, Shot, notes_of
from vidal.exports.fit import fitted
from vidal.exports.targets import EXPORTERS, README, place
from vidal.types import UNKNOWN
from vidal.words import counted


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        path: the archive or folder.
        to: for which tool.
        frames: that are to be annotated, or were.
        empty: those of them without boxes.
        boxes: that went out.
        context: neighbours that are only shown.
        verdicts: verdict -> boxes; empty where labels went out.
        classes: class -> boxes.
        parts: train, val, test -> frames; empty where there are none.
        notes: remarks for the user, one sentence each.
    """

    path: Path
    to: str
    frames: int
    empty: int
    boxes: int
    context: int
    verdicts: Mapping[str, int]
    classes: Mapping[str, int]
    parts: Mapping[str, int]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "path": str(self.path),
            "to": self.to,
            "frames": self.frames,
            "empty": self.empty,
            "boxes": self.boxes,
            "context": self.context,
            "verdicts": dict(self.verdicts),
            "classes": dict(self.classes),
            "parts": dict(self.parts),
            "notes": list(self.notes),
        }


def check(bundle: Bundle, to: str) -> None:
    """Refuse what a format cannot hold, before anything is written.

    Raises:
        UsageError: names the frame or the class.
    """
    exporter = EXPORTERS[to]
    bare = [shot for shot in bundle.shots if shot.picture is None]
    if exporter.pictures and bare:
        raise UsageError(
            f"{counted(len(bare), 'frame')} without a picture ({bare[0].ref} for one): the clip has"
            f" no pixels, and {to} needs pictures.",
            hint="Export as csv, or as cvat-video beside the clips, or put the clips where"
            " `vidal select --videos` finds them.",
        )
    if bundle.unknown is not None and bundle.unknown in bundle.classes:
        lost = sum(int((shot.boxes.labels == UNKNOWN).sum()) for shot in bundle.shots)
        if lost:
            raise UsageError(
                f"a class is called {bundle.unknown!r}: {counted(lost, 'unknown object')} could not"
                " be told from it.",
                hint="Leave unknown objects out: --unknown drop.",
            )


def write_bundle(bundle: Bundle, to: str, out: Path) -> Exported:
    """Write an archive or a folder for a tool; it is there whole or not at all.

    Args:
        bundle: what goes out.
        to: of ``EXPORTERS``.
        out: ``*.zip``, or a folder.

    Raises:
        UsageError: what the format cannot hold.
        OutputError: the place cannot be written, or holds what vidal did not write.
        InputError: a picture that changed meanwhile.
    """
    check(bundle, to)
    archive.check(out)
    exporter = EXPORTERS[to]
    bundle = fitted(bundle, exporter)
    where = {id(shot): place(exporter, bundle, shot) for shot in (*bundle.shots, *bundle.context)}
    with archive.workplace(out) as texts:
        try:
            exporter.write(bundle, texts)
            frame_map.write(texts, frame_map.rows(bundle, lambda shot: where[id(shot)]))
            lines = [line.replace("{title}", bundle.title) for line in exporter.readme]
            (texts / README).write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(out, (error.strerror or str(error)).lower()) from error
        except OutputError as error:  # of a file in the hidden folder: the archive is what is meant
            raise OutputError(out, error.why, hint=error.hint) from error
        archive.write(out, texts, _pictures(bundle, where))
    return _told(bundle, to, out)


def _pictures(bundle: Bundle, where: Mapping[int, str]) -> dict[str, tuple[Path, str]]:
    return {
        where[id(shot)]: (shot.picture, shot.sha256)
        for shot in (*bundle.shots, *bundle.context)
        if shot.picture is not None and where[id(shot)]
    }


def _told(bundle: Bundle, to: str, out: Path) -> Exported:
    verdicts: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for shot in bundle.shots:
        if bundle.judged and not shot.answered:
            verdicts.update(note.value for note in notes_of(shot))
        classes.update(_names(bundle, shot))
        part = bundle.clips[shot.ref.clip].part
        parts.update([part] if part else [])
    return Exported(
        path=out,
        to=to,
        frames=len(bundle.shots),
        empty=sum(not len(shot.boxes) for shot in bundle.shots),
        boxes=classes.total(),
        context=len(bundle.context),
        verdicts=dict(sorted(verdicts.items())),
        classes=dict(sorted(classes.items())),
        parts=dict(parts),
        notes=bundle.notes,
    )


def _names(bundle: Bundle, shot: Shot) -> list[str]:
    """The labels of the boxes of a frame that go out."""
    names = dict(enumerate(bundle.classes))
    if bundle.unknown is not None:
        names[UNKNOWN] = bundle.unknown
    return [names[label] for label in shot.boxes.labels.tolist() if label in names]
