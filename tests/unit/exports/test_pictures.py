"""Pictures that are decoded for an export: resumed, verified, and never those of another clip."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vidal.errors import OutputError, UnreadableClip
from vidal.exports.pictures import Decoded, prints_of
from vidal.types import Clip, FrameRef
from vidal.video import open_clip, read_frames, read_image, write_video
from vidal.video.prints import frame_print


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Clip:
    path = tmp_path_factory.mktemp("clips") / "drive.mp4"
    images = (np.full((48, 64, 3), 10 * index, np.uint8) for index in range(20))
    write_video(path, images, Fraction(10), quality=1)
    return open_clip(path)


def unknown(clip):
    return None


def paths(decoded, indices, clip, done=None, **how):
    """Index -> file, of the frames of one clip."""
    found = decoded.pictures([(clip, indices)], done, **how)
    for picture in found.values():
        assert picture.sha256 == hashlib.sha256(picture.path.read_bytes()).hexdigest()
    return {ref.index: picture.path for ref, picture in found.items()}


def test_an_interrupted_export_goes_on_where_it_was(clip, tmp_path):
    counts = []
    first = paths(Decoded(tmp_path / "part", unknown), [3, 7], clip)
    first[3].write_bytes(b"as it was")
    again = paths(Decoded(tmp_path / "part", unknown), [3, 7, 9], clip, counts.append)
    assert again[3].read_bytes() == b"as it was"
    assert sum(counts) == 3
    assert counts[0] == 2
    assert abs(int(read_image(again[9]).mean()) - 90) <= 2


def test_nothing_of_another_clip_is_taken(clip, tmp_path):
    decoded = Decoded(tmp_path, unknown)
    other = replace(clip, id="another-00000001")
    assert paths(decoded, [3], clip)[3] != paths(decoded, [3], other)[3]


def test_a_frame_that_looks_otherwise_than_when_it_was_scored_is_refused(clip, tmp_path):
    prints = np.zeros(20, np.uint64)
    prints[4] = 12345
    decoded = Decoded(tmp_path, lambda _: prints)
    with pytest.raises(UnreadableClip, match="frame 4 is not the picture that was scored"):
        paths(decoded, [2, 4], clip)
    assert list(paths(decoded, [2, 4], clip, lenient=True)) == [2]


def test_a_clip_that_is_gone_is_told_by_name(clip, tmp_path):
    gone = replace(clip, path=clip.path.with_name("gone.mp4"))
    with pytest.raises(UnreadableClip, match=r"gone\.mp4"):
        paths(Decoded(tmp_path, unknown), [2], gone)
    assert prints_of([gone], [FrameRef(gone.id, 2)], unknown) == {}


def test_a_place_that_cannot_be_written_is_told(clip, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        paths(Decoded(tmp_path / "file" / "part", unknown), [2], clip)


def test_fingerprints_are_those_that_are_known_else_of_the_decoded_frame(clip):
    known = np.zeros(20, np.uint64)
    known[5] = 255
    refs = [FrameRef(clip.id, 5), FrameRef(clip.id, 6), FrameRef("other", 1)]
    (frame,) = read_frames(clip, [6])
    assert prints_of([clip], refs, lambda _: known) == {
        refs[0]: f"{255:016x}",
        refs[1]: f"{frame_print(frame.image):016x}",
    }
    assert prints_of([replace(clip, reader="none")], refs, unknown) == {}
