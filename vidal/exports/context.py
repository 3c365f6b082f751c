"""Neighbours of picks that are shown and not annotated.

Their names end in ``_context.jpg``: no reader takes them for frames, so that a tool that gives them
back cannot turn them into answers. A neighbour that is a pick itself is not shown twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from vidal.exports.bundle import Bundle, Shot
from vidal.exports.pictures import Decoded, Picture, Reach, prints_of
from vidal.types import Clip, FrameRef
from vidal.words import counted

Progress = Callable[[str, int, int], None]
"""Called with a stage, how much of it is done, and how much there is."""


def with_context(
    bundle: Bundle,
    reach: Reach,
    clips: Mapping[str, Clip],
    decoded: Decoded,
    progress: Progress | None = None,
) -> Bundle:
    """The same, with the neighbours of every frame.

    Args:
        bundle: what goes out.
        reach: how far.
        clips: by id; those that are not among them, or have no pixels, have no neighbours.
        decoded: where pictures are made.
        progress: told how far it is.

    Raises:
        UnreadableClip: a clip cannot be opened any more.
        OutputError: a picture cannot be written.
    """
    around = _around(bundle, reach, clips)
    wanted: dict[str, set[int]] = {}
    for ref, indices in around.items():
        wanted.setdefault(ref.clip, set()).update(indices)
    found = _seen(wanted, clips, decoded, progress)
    shown = tuple(
        replace(
            _neighbour(bundle, shot, at, clips[shot.ref.clip]),
            picture=seen.path,
            sha256=seen.sha256,
            print=seen.print,
        )
        for shot in bundle.shots
        for at in around.get(shot.ref, ())
        if (seen := found.get(FrameRef(shot.ref.clip, at))) is not None
    )
    bare = len(bundle.shots) - len(around)
    lost = sum(map(len, wanted.values())) - len(found)
    why = f"{counted(bare, 'frame')} without neighbours: the clip is not there, or has no pixels."
    unread = f"{counted(lost, 'neighbour')} left out that cannot be decoded."
    return replace(bundle, context=shown).saying(why if bare else "", unread if lost else "")


def _around(bundle: Bundle, reach: Reach, clips: Mapping[str, Clip]) -> dict[FrameRef, list[int]]:
    """The neighbours of every frame whose clip can be read."""
    picks: dict[str, set[int]] = {}
    for shot in bundle.shots:
        picks.setdefault(shot.ref.clip, set()).add(shot.ref.index)
    return {
        shot.ref: reach.around(clips[shot.ref.clip], shot.ref.index, picks[shot.ref.clip])
        for shot in bundle.shots
        if shot.ref.clip in clips and clips[shot.ref.clip].pixels
    }


def _seen(
    wanted: Mapping[str, set[int]],
    clips: Mapping[str, Clip],
    decoded: Decoded,
    progress: Progress | None,
) -> dict[FrameRef, Picture]:
    """The pictures of neighbours, of those that decode."""
    total, made = sum(map(len, wanted.values())), 0

    def done(number: int) -> None:
        nonlocal made
        made += number
        if progress is not None:
            progress("context", made, total)

    files = decoded.pictures(
        [(clips[name], indices) for name, indices in wanted.items()], done, lenient=True
    )
    old = [ref for ref, file in files.items() if not file.print]
    used = [clips[name] for name in wanted]
    prints = prints_of(used, old, decoded.known, decoded.engines)
    return files | {ref: replace(files[ref], print=prints.get(ref, "")) for ref in old}


def _neighbour(bundle: Bundle, pick: Shot, index: int, clip: Clip) -> Shot:
    ref = FrameRef(pick.ref.clip, index)
    return Shot(
        ref=ref,
        name=f"{bundle.name(ref).removesuffix('.jpg')}_context.jpg",
        picture=None,
        pts=int(clip.pts[index]),
        time_base=clip.time_base,
        seconds=round(clip.seconds(index), 6),
        rank=pick.rank,
        of=pick.ref,
    )
