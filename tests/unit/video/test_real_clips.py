"""Real recordings: counts and pixels equal plain sequential decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stamped import sequential

from vidal.video import find_clips, open_clip, read_frame, read_frames, read_image

ROOT = Path(__file__).parents[4] / "shared" / "data" / "video"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not ROOT.is_dir(), reason="no real clips: ../shared/data/video is absent"),
]
FILES = [path for path in find_clips(ROOT) if path.is_file()] if ROOT.is_dir() else []


def test_every_real_clip_opens_under_its_own_id() -> None:
    clips = [open_clip(path, root=ROOT) for path in find_clips(ROOT)]
    assert len(clips) == len({clip.id for clip in clips}) == 8
    assert all(clip.truncated == 0 for clip in clips)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name + "-" + path.stem)
def test_random_access_equals_sequential_decoding_bit_for_bit(path: Path) -> None:
    clip = open_clip(path)
    plain = sequential(path)
    assert clip.frames == len(plain)
    for index in np.random.default_rng(3).permutation(clip.frames)[:8].tolist():
        np.testing.assert_array_equal(read_frame(clip, index).image, plain[index])
    for frame in read_frames(clip, range(0, clip.frames, 25)):
        np.testing.assert_array_equal(frame.image, plain[frame.ref.index])


def test_real_image_folder_is_one_clip() -> None:
    folder = ROOT / "kitti_drive_0052" / "images"
    clip = open_clip(folder)
    assert (clip.frames, clip.size) == (78, (375, 1242))
    files = sorted(folder.iterdir())
    image = read_image(files[40])
    assert image is not None
    np.testing.assert_array_equal(read_frame(clip, 40).image, image)
