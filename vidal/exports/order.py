"""What is to be exported, and how; and the last steps that all exports have in common."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from vidal.errors import InputError, UnknownName, UsageError
from vidal.evidence.places import EngineMaker
from vidal.exports import archive
from vidal.exports.bundle import NAMELESS, Bundle
from vidal.exports.context import Progress, with_context
from vidal.exports.pictures import Decoded, KnownPrints, Reach
from vidal.exports.proposals import Kept
from vidal.exports.targets import EXPORTERS
from vidal.exports.write import Exported, check, write_bundle
from vidal.store import atomic
from vidal.types import Clip

FOLDER = "exports"
"""In a campaign, or in the folder of a query: where archives go unless a place is named."""

Unknown = Literal["drop", "class"]
"""What becomes of unknown objects of labelled frames: left out, or a class of their own."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be exported, and how.

    Attributes:
        to: of ``EXPORTERS``.
        out: ``*.zip`` or a folder; None = an archive in ``exports``.
        boxes: which proposals; None = all where the format tells verdicts, else those kept.
        context: how far neighbours go; None = none.
        unknown: unknown objects of labelled frames; None = left out of training sets, and a class
            where answers of a round go out: corrected, they have to come back whole.
    """

    to: str
    out: Path | None = None
    boxes: Kept | None = None
    context: Reach | None = None
    unknown: Unknown | None = None

    @staticmethod
    def of(
        to: str,
        *,
        out: Path | None = None,
        boxes: str | None = None,
        context: str | None = None,
        unknown: str | None = None,
    ) -> Order:
        """From what users write.

        Raises:
            UnknownName: no such tool, or another word.
            UsageError: a length of context that cannot be meant, or a format that shows none.
        """
        if to not in EXPORTERS:
            raise UnknownName("target", to, list(EXPORTERS))
        for name, value, known in (("boxes", boxes, Kept), ("unknown", unknown, Unknown)):
            if value is not None and value not in get_args(known):
                raise UnknownName(f"value of {name}", value, get_args(known))
        reach = None if context is None else Reach.parse(context)
        if reach is not None and EXPORTERS[to].context is None:
            raise UsageError(f"--context does not go with --to {to}: whole clips are shown.")
        return Order(to, out, cast(Kept | None, boxes), reach, cast(Unknown | None, unknown))

    @property
    def kept(self) -> Kept:
        """Which proposals go out."""
        return self.boxes or ("all" if EXPORTERS[self.to].tells else "kept")

    def label(self, suits: Unknown) -> str | None:
        """Of unknown objects of labelled frames; None = they are left out.

        Args:
            suits: what becomes of them where the user has not said.
        """
        return NAMELESS if (self.unknown or suits) == "class" else None

    def place(self, folder: Path, name: str) -> Path:
        """Where it goes: what the user named, else an archive in ``exports``.

        Raises:
            UsageError: a place without a name.
        """
        if self.out is None:
            return folder / FOLDER / f"{name}-{self.to}.zip"
        out = Path(self.out.absolute())
        if not out.name:
            raise UsageError(f"--out {self.out}: not a place for an archive.")
        return out


def title_of(out: Path) -> str:
    """The name of an archive or folder, which its texts use."""
    return out.stem if out.suffix.lower() == ".zip" else out.name


def decoded_beside(out: Path, known: KnownPrints, engines: EngineMaker | None = None) -> Decoded:
    """Where pictures are made that no query has written; kept until the archive is complete."""
    place = out.with_name(f".{out.name[:40]}-pictures{atomic.SUFFIX}")
    return Decoded(place, known, engines)


def finish(
    bundle: Bundle,
    order: Order,
    out: Path,
    clips: Mapping[str, Clip],
    decoded: Decoded,
    progress: Progress | None = None,
) -> Exported:
    """Neighbours where they are asked for, then the archive.

    Raises:
        UsageError: what the format cannot hold.
        InputError: a clip that the format shows whole is not there, or a picture changed.
        OutputError: the place cannot be written, or holds what vidal did not write.
    """
    exporter = EXPORTERS[order.to]
    if exporter.whole:
        for name, facts in bundle.clips.items():
            if name not in clips:
                why = f"clip {name} is not there, and {order.to} shows whole clips"
                raise InputError(facts.path, why, hint="Put it back, or choose another --to.")
    check(bundle, order.to)  # before pictures are decoded for nothing
    archive.check(out)
    if order.context is not None:
        bundle = with_context(bundle, order.context, clips, decoded, progress)
    done = write_bundle(bundle, order.to, out)
    shutil.rmtree(decoded.folder, ignore_errors=True)
    return done
