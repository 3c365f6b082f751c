"""A clip that is scanned as beside a GPU: groups ahead of their tables, flow by several threads."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal import scenes
from vidal.detect import DetectOptions, faster_rcnn, load_detector
from vidal.detect.columns import giving
from vidal.detect.stream import overlapped
from vidal.evidence.scan import scan_clip
from vidal.evidence.windows import Window
from vidal.track import FlowMeter, FlowOptions
from vidal.types import Clip, Frame, FrameRef

LENGTH = 22
WITHOUT = (3, 9, 10)
"""Frames that do not decode."""


@pytest.fixture(scope="module")
def frames():
    spec = scenes.plan(1, 5, split="test", frames=(LENGTH, LENGTH), rate=25)[0]
    return [Frame(FrameRef("a", n), image) for n, (image, _) in enumerate(scenes.render(spec))]


@pytest.fixture(scope="module")
def clip(frames):
    size = frames[0].image.shape[:2]
    return Clip("a", Path("a.mp4"), np.arange(LENGTH), Fraction(1, 25), Fraction(25), size)


@pytest.fixture(scope="module")
def detector():
    options = DetectOptions(precision="fp32")
    return load_detector("scenes-tiny", device="cpu", options=options)


def scanned(clip, frames, detector, *, threads, told, window=None):
    around = window or Window(0, LENGTH)
    return scan_clip(
        clip,
        [each for each in frames if each.ref.index not in WITHOUT],
        detector=detector,
        meter=FlowMeter(FlowOptions(threads=threads), LENGTH, clip.size),
        batch=4,
        report=lambda done, total: told.append((done, total)),
        window=around,
        margin=0 if window is None else LENGTH,
    )


@pytest.mark.parametrize("window", [None, Window(4, 16)])
@pytest.mark.parametrize("columns", [(), ("features", "embedding")])
def test_a_clip_is_the_same_beside_a_gpu(clip, frames, detector, monkeypatch, window, columns):
    told, told_ahead = [], []
    alone = giving(detector, columns)
    plain = scanned(clip, frames, alone, threads=1, told=told, window=window)
    monkeypatch.setattr(faster_rcnn, "in_turn", overlapped)
    ahead = scanned(clip, frames, alone, threads=3, told=told_ahead, window=window)
    assert len(plain[0]) > 20
    assert ahead[0] == plain[0]
    for name in ("forward", "backward", "valid"):
        assert np.array_equal(getattr(ahead[1], name), getattr(plain[1], name))
    assert told_ahead == told
    expected = np.ones(LENGTH, bool)
    expected[list(WITHOUT)] = False
    inside = slice(None) if window is None else slice(window.start, window.stop)
    assert ahead[0].scanned.tolist() == expected[inside].tolist()


def test_a_clip_that_breaks_off_ends_the_scan_with_its_own_error(
    clip, frames, detector, monkeypatch
):
    def broken():
        yield from frames[:9]
        raise OSError("gone")

    monkeypatch.setattr(faster_rcnn, "in_turn", overlapped)
    with pytest.raises(OSError, match="gone"):
        scan_clip(
            clip,
            broken(),
            detector=detector,
            meter=FlowMeter(FlowOptions(threads=2), LENGTH, clip.size),
            batch=4,
            report=lambda done, total: None,
        )


def test_a_detector_that_fails_ends_the_scan_with_its_own_error(
    clip, frames, detector, monkeypatch
):
    monkeypatch.setattr(faster_rcnn, "in_turn", overlapped)
    broken = replace(detector, _cache={})
    object.__setattr__(broken, "classes", ("car",))  # of other columns than the network's
    with pytest.raises(ValueError, match="probs"):
        scanned(clip, frames, broken, threads=2, told=[])
