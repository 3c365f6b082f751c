"""Frames that nobody has decoded yet: which of those that were chosen do not decode."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vidal.engine import ProcessEngine
from vidal.errors import UnreadableClip
from vidal.evidence import pictures
from vidal.selection.readable import Looked
from vidal.types import Clip, FrameSet, Pool
from vidal.video import open_clip, write_video


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Clip:
    """A clip that says it has 40 frames; the file holds 30 by now."""
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for name, frames in (("long", 40), ("short", 30)):
        images = (np.full((48, 64, 3), 5 * index, np.uint8) for index in range(frames))
        write_video(folder / f"{name}.mp4", images, Fraction(10))
        found.append(open_clip(folder / f"{name}.mp4"))
    return replace(found[0], path=found[1].path)


def pool_of(clips: list[Clip]) -> Pool:
    frames = FrameSet(
        tuple(clip.id for clip in clips),
        np.repeat(np.arange(len(clips)), [clip.frames for clip in clips]),
        np.concatenate([np.arange(clip.frames) for clip in clips]),
        np.concatenate([clip.pts for clip in clips]),
        tuple(clip.time_base for clip in clips),
        tuple(clip.size for clip in clips),
    )
    none = replace(frames, clip=frames.clip[:0], index=frames.index[:0], pts=frames.pts[:0])
    return Pool(frames=frames, classes=(), labelled=none, columns={})


@pytest.mark.parametrize("workers", [0, 2])
def test_chosen_frames_that_do_not_decode_are_named(cut, workers, monkeypatch):
    monkeypatch.setattr(pictures, "FEW", 0)
    clips = [cut, replace(cut, id="blind", reader="none")]
    engines = None if not workers else lambda items, **_: ProcessEngine(workers)
    looked = Looked({clip.id: clip for clip in clips}, engines)
    positions = np.array([39, 2, 35, 20, 40 + 39])
    assert looked.unreadable(pool_of(clips), positions) == {cut.id: frozenset((35, 39))}


def test_a_frame_that_decodes_is_decoded_once_however_often_it_is_chosen(cut, monkeypatch):
    looked = Looked({cut.id: cut})
    pool = pool_of([cut])
    looked.unreadable(pool, np.array([1, 2, 39]))
    asked = []
    real = pictures.make
    monkeypatch.setattr(pictures, "make", lambda job: asked.extend(job.files) or real(job))
    assert looked.unreadable(pool, np.array([1, 2, 20])) == {}
    assert asked == [20]


def test_a_clip_that_is_gone_is_told_by_name(cut):
    gone = replace(cut, path=cut.path.with_name("gone.mp4"))
    with pytest.raises(UnreadableClip, match=r"gone\.mp4"):
        Looked({gone.id: gone}).unreadable(pool_of([gone]), np.array([1]))
