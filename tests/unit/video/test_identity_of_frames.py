"""Whatever the codec and the order of asking, a frame shows the number it was stamped with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from stamped import CLIPS, B, encode, image_folder, irregular, sequential, stamp, stamped

from vidal.errors import UnreadableClip
from vidal.types import FrameRef
from vidal.video import open_clip, read_frame, read_frames
from vidal.video.decode import pieces

Clips = Callable[[str], Path]

TURNS = {"turned_90.mp4": 1, "turned_180.mp4": 2, "turned_270_odd.mkv": 3}
BY_ORDER = {"h264.avi", "raw.h264"}  # no usable times in these containers


def numbers(frames: object) -> list[tuple[int, int]]:
    return [(frame.ref.index, stamped(frame.image)) for frame in frames]  # type: ignore[attr-defined]


def as_encoded(name: str, image: np.ndarray) -> np.ndarray:
    """Undo the file's display matrix: the pixels were stamped before it."""
    return np.rot90(image, -TURNS.get(name, 0))


@pytest.mark.parametrize("name", CLIPS)
def test_shuffled_random_access_yields_the_stamped_number(name: str, stamped_clip: Clips) -> None:
    clip = open_clip(stamped_clip(name))
    order = np.random.default_rng(1).permutation(clip.frames)[:24]
    frames = [read_frame(clip, int(index)) for index in order]
    assert [frame.ref for frame in frames] == [FrameRef(clip.id, int(index)) for index in order]
    assert [stamped(as_encoded(name, frame.image)) for frame in frames] == order.tolist()


@pytest.mark.parametrize("name", CLIPS)
def test_all_frames_equal_plain_sequential_decoding(name: str, stamped_clip: Clips) -> None:
    path = stamped_clip(name)
    clip = open_clip(path)
    plain = [np.rot90(image, TURNS.get(name, 0)) for image in sequential(path)]
    frames = list(read_frames(clip))
    assert clip.frames == len(plain) == 60
    assert clip.truncated == 0
    assert [frame.ref.index for frame in frames] == list(range(60))
    for frame, image in zip(frames, plain, strict=True):
        assert frame.image.shape[:2] == clip.size
        np.testing.assert_array_equal(frame.image, image)


@pytest.mark.parametrize("name", CLIPS)
def test_sparse_reading_yields_the_frames_of_dense_reading(name: str, stamped_clip: Clips) -> None:
    clip = open_clip(stamped_clip(name))
    dense = [frame.image for frame in read_frames(clip)]
    wanted = [2, 3, 29, 30, 31, 59]
    sparse = list(read_frames(clip, reversed(wanted)))
    assert [frame.ref.index for frame in sparse] == wanted
    for frame in sparse:
        np.testing.assert_array_equal(frame.image, dense[frame.ref.index])


@pytest.mark.parametrize("name", CLIPS)
def test_pieces_yield_the_frames_of_dense_reading(name: str, stamped_clip: Clips) -> None:
    clip = open_clip(stamped_clip(name))
    dense = [frame.image for frame in read_frames(clip)]
    wanted = np.arange(1, 60, 3)
    parts = pieces(clip, wanted, 8)
    assert np.concatenate(parts).tolist() == wanted.tolist()
    for frame in (frame for part in parts for frame in read_frames(clip, part)):
        np.testing.assert_array_equal(frame.image, dense[frame.ref.index])


@pytest.mark.parametrize("name", ["a.mpg", "a.vob"])
def test_program_streams_with_times_of_some_frames_are_never_sought(
    name: str, tmp_path: Path
) -> None:
    # Small frames share a packet of the container, which has one time.
    path = encode(tmp_path / name, "mpeg2video", frames=120, options={"bf": "2", "qmax": "2"})
    clip = open_clip(path)
    assert not len(clip.keyframes)
    for index in (*range(9, 40, 3), 99, 114, 119):
        assert stamped(read_frame(clip, index).image) == index


@pytest.mark.parametrize("name", sorted(CLIPS.keys() - {"mpeg2.mpg"}))
def test_only_containers_without_times_are_read_by_counting(name: str, stamped_clip: Clips) -> None:
    assert open_clip(stamped_clip(name)).reader == ("order" if name in BY_ORDER else "pts")


def test_decoder_threads_change_nothing(stamped_clip: Clips) -> None:
    clip = open_clip(stamped_clip("h264_vfr.mp4"))
    one, three = (list(read_frames(clip, threads=threads)) for threads in (1, 3))
    assert len(one) == len(three) == 60
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_irregular_times_are_kept_to_the_millisecond(stamped_clip: Clips) -> None:
    clip = open_clip(stamped_clip("h264_vfr.mkv"))
    seconds = [clip.seconds(index) for index in range(clip.frames)]
    assert seconds == pytest.approx([time / 1000 for time in irregular()])


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ({"degrees": 0, "hflip": True}, lambda image: image[:, ::-1]),
        ({"degrees": 0, "vflip": True}, lambda image: image[::-1]),
        ({"degrees": 90}, lambda image: np.rot90(image)),
        ({"degrees": 90, "hflip": True}, lambda image: np.rot90(image)[:, ::-1]),
    ],
)
def test_display_matrix_turns_and_mirrors(tmp_path: Path, matrix: dict, turn: Callable) -> None:
    path = encode(tmp_path / "turned.mp4", frames=3, matrix=matrix)
    for frame, plain in zip(read_frames(open_clip(path)), sequential(path), strict=True):
        np.testing.assert_array_equal(frame.image, turn(plain))


def test_turned_clip_states_its_size_as_shown(stamped_clip: Clips) -> None:
    assert open_clip(stamped_clip("turned_270_odd.mkv")).size == (127, 95)


def test_frames_before_an_edit_list_are_not_counted(tmp_path: Path) -> None:
    path = encode(tmp_path / "edited.mp4", options=B, pts=[n * 40 - 200 for n in range(60)])
    with av.open(str(path)) as container:
        assert any(packet.is_discard for packet in container.demux(video=0))
    clip = open_clip(path)
    assert clip.frames == 55
    assert numbers(read_frames(clip)) == [(n, n + 5) for n in range(55)]
    assert stamped(read_frame(clip, 0).image) == 5
    assert stamped(read_frame(clip, 40).image) == 45


def test_recording_that_starts_between_keyframes_begins_at_its_first_whole_frame(
    stamped_clip: Clips, tmp_path: Path
) -> None:
    data = stamped_clip("h264.ts").read_bytes()
    path = tmp_path / "middle.ts"
    path.write_bytes(data[188 * (len(data) // 188 // 5) :])
    clip = open_clip(path)
    first = stamped(read_frame(clip, 0).image)
    assert first > 0
    assert clip.truncated == 0
    assert numbers(read_frames(clip)) == [(n, n + first) for n in range(60 - first)]


def test_numbered_images_with_gaps_are_frames_in_a_row(tmp_path: Path) -> None:
    clip = open_clip(image_folder(tmp_path / "drive", [3, 4, 7, 20]))
    assert clip.pts.tolist() == [3, 4, 7, 20]
    assert (clip.reader, clip.size, clip.rate, clip.seconds(2)) == ("images", (96, 128), 10, 0.4)
    assert numbers(read_frames(clip)) == [(0, 3), (1, 4), (2, 7), (3, 20)]
    assert stamped(read_frame(clip, 2).image) == 7


def test_corrupt_image_is_left_out_and_named_when_asked_for(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [0, 1, 2], ".jpg")
    whole = (folder / "cam2_000001.jpg").read_bytes()
    (folder / "cam2_000001.jpg").write_bytes(whole[: len(whole) // 2])
    clip = open_clip(folder)
    assert numbers(read_frames(clip)) == [(0, 0), (2, 2)]
    with pytest.raises(UnreadableClip, match="frame 1 does not decode"):
        read_frame(clip, 1)


def test_image_of_another_size_is_left_out(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [0, 1, 2])
    cv2.imwrite(str(folder / "cam2_000001.png"), stamp(1, (48, 64)))
    assert [frame.ref.index for frame in read_frames(open_clip(folder))] == [0, 2]


def test_index_outside_the_clip_is_refused_at_once(stamped_clip: Clips) -> None:
    clip = open_clip(stamped_clip("mjpeg.avi"))
    for wrong in (-1, 60):
        with pytest.raises(ValueError, match=rf"no frame {wrong}, it has frames 0\.\.59"):
            read_frames(clip, [3, wrong])
        with pytest.raises(ValueError, match="no frame"):
            read_frame(clip, wrong)


def test_asking_for_no_frames_yields_none(stamped_clip: Clips) -> None:
    assert list(read_frames(open_clip(stamped_clip("mjpeg.avi")), [])) == []
