"""The campaign's own pictures, which those of answers are compared with."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from vidal.campaign import pictures
from vidal.campaign.pictures import Pictures, _shrunk
from vidal.types import FrameRef
from vidal.video import open_clip, read_frames, save_jpeg, write_video


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Pictures:
    """60 frames of noise over a few scenes; some pictures are gone, of one clip all are."""
    folder, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    files, clips = {}, {}
    scenes = rng.integers(0, 256, (4, 96, 128, 3))
    for name in "ab":
        images = [
            np.clip(scenes[n // 8] + rng.integers(-9, 10, (96, 128, 3)), 0, 255).astype(np.uint8)
            for n in range(30)
        ]
        write_video(folder / f"{name}.mp4", iter(images), Fraction(10), quality=1)
        clip = replace(open_clip(folder / f"{name}.mp4"), id=name)
        clips[name] = clip
        for frame in read_frames(clip):
            path = folder / f"{name}-{frame.ref.index}.jpg"
            files[FrameRef(name, frame.ref.index)] = path
            if name == "a" and frame.ref.index % 5:
                save_jpeg(path, frame.image)
    return Pictures(files, clips)


def looks(rng, held: Pictures):
    """Pictures of frames, written anew, and of none."""
    for ref in [FrameRef("a", 3), FrameRef("b", 17), FrameRef("a", 25)]:
        yield ref, held.small(ref) + rng.normal(0, 2, (96, 96)).astype(np.float32)
    yield FrameRef("a", 1), rng.uniform(0, 255, (96, 96)).astype(np.float32)


def test_the_nearest_frame_is_the_one_that_comparing_with_all_finds(held):
    rng = np.random.default_rng(1)
    found = 0
    for ref, look in looks(rng, held):
        every = {
            other: float(np.abs(held.small(other) - look).mean())
            for other in held.files
            if other != ref
        }
        due = min(every, key=every.get)
        for within in (np.inf, 30.0, every[due] + 1e-3, every[due] - 1e-3, 1.0):
            near = held.nearest(look, ref, within)
            assert near == ((due, every[due]) if every[due] < within else None)
            found += near is not None
    assert found >= 8


def test_most_pictures_are_told_apart_by_the_means_of_their_blocks(held, monkeypatch):
    look = held.small(FrameRef("a", 3)) + 1
    held.nearest(look, FrameRef("a", 4), 30.0)
    asked = []
    small = Pictures.small
    monkeypatch.setattr(Pictures, "small", lambda self, ref: asked.append(ref) or small(self, ref))
    assert held.nearest(look, FrameRef("a", 4), 30.0)[0] == FrameRef("a", 3)
    assert len(asked) < len(held.files) / 2


def test_frames_whose_picture_is_gone_are_decoded_in_one_pass_a_clip(held, monkeypatch):
    fresh = Pictures(held.files, held.clips)
    passes = []
    real = pictures.read_frames
    monkeypatch.setattr(
        pictures, "read_frames", lambda clip, at: passes.append((clip.id, at)) or real(clip, at)
    )
    for ref in held.files:
        (frame,) = read_frames(held.clips[ref.clip], [ref.index])
        due = _shrunk(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        assert np.abs(fresh.small(ref) - due).mean() < 3
    assert passes == [("a", list(range(0, 30, 5))), ("b", list(range(30)))]


def test_a_frame_that_no_query_asked_for_is_decoded_too(held):
    one = Pictures({}, held.clips)
    assert one.small(FrameRef("a", 7)) is not None
    assert one.small(FrameRef("a", 99)) is None
    assert one.small(FrameRef("c", 0)) is None
    assert one.nearest(np.zeros((96, 96), np.float32), FrameRef("a", 1), 9.0) is None
