"""Flow measured on images whose motion is known."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidal.errors import UnknownName, UsageError
from vidal.track import FlowField, FlowMeter, FlowOptions
from vidal.track import flow as flow_module
from vidal.types import Frame, FrameRef, Image

REAL = Path(os.environ.get("VIDAL_DATA", Path(__file__).parents[4] / "shared" / "data"))


def texture(seed: int, size: tuple[int, int] = (400, 640)) -> np.ndarray:
    """(H, W) float32 grey values with detail at several scales, 40 to 215."""
    rng = np.random.default_rng(seed)
    values = sum(
        cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), sigma) * sigma
        for sigma in (2, 5, 14)
    )
    low, high = values.min(), values.max()
    return (values - low) / (high - low) * 175 + 40


def frame(grey: np.ndarray, index: int, clip: str = "a") -> Frame:
    image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Frame(FrameRef(clip, index), image)


def panning(count: int, dx: int = 3, dy: int = 1, seed: int = 0) -> list[np.ndarray]:
    """Views of 180 x 320 px on a texture whose content moves by (dx, dy) px a frame."""
    ground = texture(seed)
    return [
        ground[100 - dy * i : 280 - dy * i, 120 - dx * i : 440 - dx * i].copy()
        for i in range(count)
    ]


def measured(views: list[np.ndarray], options: FlowOptions | None = None) -> FlowField:
    meter = FlowMeter(options or FlowOptions(), len(views), views[0].shape)
    for index, view in enumerate(views):
        meter.push(frame(view, index))
    return meter.finish()


def test_flow_of_a_pan_is_its_motion_in_both_directions() -> None:
    field = measured(panning(4, dx=3, dy=1))
    assert field.forward.shape == (3, 45, 80, 2)
    assert field.forward.dtype == np.float16
    assert field.valid.all()
    inner = np.s_[:, 6:-6, 6:-6]
    np.testing.assert_allclose(np.median(field.forward[inner], axis=(0, 1, 2)), [3, 1], atol=0.1)
    np.testing.assert_allclose(np.median(field.backward[inner], axis=(0, 1, 2)), [-3, -1], atol=0.1)


def test_flow_is_in_pixels_of_the_frame_though_it_is_measured_on_a_smaller_one() -> None:
    views = [cv2.resize(view, (960, 540)) for view in panning(2, dx=4, dy=0)]
    field = measured(views)
    assert field.size == (540, 960)
    assert field.forward.shape == (1, 75, 133, 2)
    inner = field.forward[:, 10:-10, 10:-10]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1, 2)), [12, 0], atol=0.3)
    moved, trust = field.step(np.array([0]), np.array([1]), np.float32([[400, 200, 440, 260]]))
    np.testing.assert_allclose(moved, [[412, 200, 452, 260]], atol=1.0)
    assert trust.tolist() == [1]


def test_small_frames_are_not_enlarged() -> None:
    assert measured(panning(2)).forward.shape == (1, 45, 80, 2)


def test_same_frames_give_the_same_flow() -> None:
    one, two = (measured(panning(3)) for _ in range(2))
    np.testing.assert_array_equal(one.forward, two.forward)
    np.testing.assert_array_equal(one.backward, two.backward)


def test_missing_frame_leaves_no_flow_across_the_gap() -> None:
    views = panning(6)
    meter = FlowMeter(FlowOptions(), 6, views[0].shape)
    for index in (0, 1, 3, 4):
        meter.push(frame(views[index], index))
    field = meter.finish()
    assert field.valid.tolist() == [True, False, False, True, False]
    assert not field.forward[~field.valid].any()


@pytest.mark.parametrize("frames", [0, 1])
def test_clip_of_one_frame_or_none_has_no_flow(frames: int) -> None:
    meter = FlowMeter(FlowOptions(), frames, (180, 320))
    for index in range(frames):
        meter.push(frame(panning(1)[0], index))
    assert meter.finish().forward.shape == (0, 45, 80, 2)


@pytest.mark.parametrize(
    ("index", "clip", "size", "message"),
    [
        (1, "a", (180, 320), "not a later frame"),
        (2, "b", (180, 320), "not a later frame of the clip of a@000001"),
        (2, "a", (180, 300), "expected"),
        (9, "a", (180, 320), "not in a clip of 5 frames"),
    ],
)
def test_frames_that_do_not_continue_the_clip_are_refused(
    index: int, clip: str, size: tuple[int, int], message: str
) -> None:
    meter = FlowMeter(FlowOptions(), 5, (180, 320))
    meter.push(frame(panning(1)[0], 1))
    with pytest.raises(ValueError, match=message):
        meter.push(frame(np.zeros(size), index, clip))


def test_hard_cut_has_no_valid_flow() -> None:
    views = panning(3, seed=1) + panning(3, seed=2)
    assert measured(views).valid.tolist() == [True, True, False, True, True]
    assert measured(views, FlowOptions(cuts=False)).valid.all()


def rain(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wet = view.copy()
    for x, y in rng.integers((0, 0), (320, 180), (60, 2)).tolist():
        cv2.line(wet, (x, y), (x + 2, y + 10), 200.0, 1)
    return wet


@pytest.mark.parametrize(
    "kind", ["fast", "night", "rain", "rain at night", "noise", "flash", "black"]
)
def test_what_roads_look_like_is_no_cut(kind: str) -> None:
    rng = np.random.default_rng(7)
    views = panning(7, dx=14 if kind == "fast" else 3, dy=0)
    if "night" in kind:
        views = [view * 0.15 + rng.normal(0, 3, view.shape) for view in views]
    if "rain" in kind:
        views = [rain(view, rng) for view in views]
    if kind == "noise":
        views = [view + rng.normal(0, 10, view.shape) for view in views]
    if kind == "flash":
        views = [view * (1.0 if i % 2 else 0.6) for i, view in enumerate(views)]
    if kind == "black":
        views = [rng.normal(2, 2, view.shape) for view in views]
    assert measured(views).valid.all()


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 64), (12, 40), (40, 12), (24, 100), (16, 16), (33, 600), (600, 33)]
)
def test_images_too_small_or_too_narrow_for_the_solver_are_padded(size: tuple[int, int]) -> None:
    """In a process of its own: without padding OpenCV crashes on some of these sizes."""
    code = (
        "import numpy as np\n"
        "from vidal.track import FlowMeter, FlowOptions\n"
        "from vidal.types import Frame, FrameRef\n"
        f"size = {size}\n"
        "for level in (0, 1, 2):\n"
        "    meter = FlowMeter(FlowOptions(finest_scale=level), 3, size)\n"
        "    for i in range(3):\n"
        "        image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)\n"
        "        meter.push(Frame(FrameRef('a', i), image))\n"
        "    field = meter.finish()\n"
        "    assert np.isfinite(field.forward).all() and abs(field.forward).max() < 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_content_key_has_what_the_flow_depends_on_and_not_how_it_is_read() -> None:
    assert FlowOptions(mode="centre", scale=False).key == FlowOptions().key
    assert FlowOptions(mode="centre").motion_key != FlowOptions().motion_key
    assert FlowOptions(divisor=2).key != FlowOptions().key


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"preset": "slow"}, UnknownName),
        ({"mode": "mean"}, UnknownName),
        ({"height": 8}, UsageError),
        ({"divisor": 0}, UsageError),
        ({"finest_scale": -1}, UsageError),
        ({"patch_stride": 9}, UsageError),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    values: dict[str, object], error: type[UsageError]
) -> None:
    with pytest.raises(error):
        FlowOptions(**values)  # type: ignore[arg-type]


def real_frames(path: Path, count: int) -> list[Image]:
    stream = cv2.VideoCapture(str(path))
    images = [stream.read()[1] for _ in range(count)]
    return [np.ascontiguousarray(image[..., ::-1]) for image in images if image is not None]


@pytest.mark.realdata
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real clips (VIDAL_DATA)")
def test_real_clips_have_no_cut_and_two_of_them_in_a_row_have_one() -> None:
    paths = sorted((REAL / "video").glob("tfl_jamcam/*/video.mp4"))
    first, second = (real_frames(path, 12) for path in paths[:2])
    images = first + second
    meter = FlowMeter(FlowOptions(), len(images), images[0].shape[:2])
    for index, image in enumerate(images):
        meter.push(Frame(FrameRef("a", index), image))
    assert np.flatnonzero(~meter.finish().valid).tolist() == [len(first) - 1]


CUT = panning(3, seed=1) + panning(9, seed=2)


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_changes_no_flow(threads: int) -> None:
    alone, helped = (measured(CUT, FlowOptions(threads=count)) for count in (1, threads))
    assert alone.valid.any()
    assert not alone.valid.all()
    for name in ("forward", "backward", "valid"):
        np.testing.assert_array_equal(getattr(helped, name), getattr(alone, name))


def test_threads_are_no_part_of_what_flow_depends_on() -> None:
    assert FlowOptions(threads=3).key == FlowOptions().key
    assert FlowOptions(threads=3).motion_key == FlowOptions().motion_key


def test_a_process_beside_a_gpu_measures_with_more_threads_unless_the_options_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pools = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, count: int, **named: str) -> None:
            pools.append(count)
            super().__init__(count, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(flow_module, "_threads", 1)
    monkeypatch.setattr(flow_module, "ThreadPoolExecutor", Pool)
    flow_module.use_threads(3)
    for threads in (0, 2, 1):
        measured(CUT[:2], FlowOptions(threads=threads))
    assert pools == [3, 2]


def test_what_fails_beside_fails_the_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_named: object) -> None:
        raise RuntimeError("no flow")

    monkeypatch.setattr(flow_module, "_both_ways", broken)
    with pytest.raises(RuntimeError, match="no flow"):
        measured(CUT, FlowOptions(threads=2))
