"""Pictures of chosen frames: one pass a clip, and the same files wherever they are made."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.engine import ProcessEngine
from vidal.errors import OutputError
from vidal.evidence import pictures
from vidal.evidence.pictures import Jpeg, Wanted, make_pictures
from vidal.types import Clip
from vidal.video import decode, open_clip, read_frames, read_image, write_video
from vidal.video.decode import pieces
from vidal.video.prints import frame_print


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    """Three clips of 120 frames whose grey level is half the frame's index; key frames every 25."""
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for name in "abc":
        images = (np.full((48, 64, 3), 20 + index, np.uint8) for index in range(120))
        write_video(folder / f"{name}.mp4", images, Fraction(10), quality=1)
        found.append(open_clip(folder / f"{name}.mp4"))
    return found


def wanted(clip: Clip, indices, folder: Path, **more) -> Wanted:
    form = Jpeg(92)
    files = {at: [(folder / f"{clip.path.stem}-{at:03d}.jpg", form)] for at in indices}
    return Wanted(clip, files, **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Workers:
    """Makes engines of so many workers, whatever the number of items."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.asked: list[int] = []

    def __call__(self, items: int, *, heavy: bool, listener=None):
        self.asked.append(items)
        return ProcessEngine(self.workers, listener=listener)


def test_files_are_the_same_from_any_number_of_workers(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "PIECE", 30)
    rng = np.random.default_rng(0)
    chosen = [rng.choice(120, 20, replace=False).tolist() for _ in clips]
    found = {}
    for count in (0, 1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        jobs = [wanted(clip, mine, folder) for clip, mine in zip(clips, chosen, strict=True)]
        engines = Workers(count) if count else None
        monkeypatch.setattr(pictures, "FEW", 3)
        made = list(make_pictures(jobs, engines=engines))
        assert len(made) > 6
        assert [each.clip for each in made] == sorted(
            (each.clip for each in made), key=[clip.id for clip in clips].index
        )
        for file in (file for each in made for file in each.files):
            data = file.path.read_bytes()
            assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        found[count] = contents(folder)
        if engines is not None:
            assert engines.asked == [len(made)]
    assert len(found[0]) == 60
    assert found[0] == found[1] == found[2]


def test_every_picture_shows_its_own_frame(clips, tmp_path):
    indices = [0, 1, 24, 25, 26, 60, 119]
    list(make_pictures([wanted(clips[0], indices, tmp_path)]))
    for at in indices:
        assert abs(float(read_image(tmp_path / f"a-{at:03d}.jpg").mean()) - 20 - at) < 1.5


def decoded_frames(clip: Clip, indices, monkeypatch) -> int:
    """How many frames come out of the decoder while these are read."""
    count = 0
    real = decode.indexed

    def counting(*given):
        nonlocal count
        for each in real(*given):
            count += 1
            yield each

    with monkeypatch.context() as patch:
        patch.setattr(decode, "indexed", counting)
        for _ in read_frames(clip, indices):
            pass
    return count


def test_a_clip_is_read_once_on_through_near_frames_and_sought_past_far_ones(clips, monkeypatch):
    assert decoded_frames(clips[0], range(0, 120, 6), monkeypatch) <= 120
    assert decoded_frames(clips[0], [3, 103], monkeypatch) <= 4 + 4
    assert decoded_frames(clips[0], [24, 26], monkeypatch) <= 27


def test_pieces_are_read_at_no_more_cost_than_the_whole(clips, monkeypatch):
    rng = np.random.default_rng(1)
    for number in (1, 5, 20, 120):
        chosen = np.sort(rng.choice(120, number, replace=False))
        parts = pieces(clips[0], chosen, 30)
        assert np.concatenate(parts).tolist() == chosen.tolist()
        apart = sum(decoded_frames(clips[0], part, monkeypatch) for part in parts)
        assert apart <= decoded_frames(clips[0], chosen, monkeypatch)
    assert len(pieces(clips[0], np.arange(120), 30)) > 2


def test_frames_that_are_found_by_counting_are_read_in_one_piece(clips):
    chosen = np.arange(0, 120, 3)
    for reader in ("order", "opencv"):
        assert len(pieces(replace(clips[0], reader=reader), chosen, 10)) == 1
    assert len(pieces(replace(clips[0], keyframes=np.zeros(0, np.int64)), chosen, 10)) == 1
    images = pieces(replace(clips[0], reader="images"), chosen, 15)
    assert [len(part) for part in images] == [15, 15, 10]
    assert pieces(clips[0], np.zeros(0, np.int64), 10) == []


def test_what_does_not_decode_or_looks_otherwise_is_told_and_made_of_nothing(clips, tmp_path):
    short = tmp_path / "short.mp4"
    images = (np.full((48, 64, 3), 20 + index, np.uint8) for index in range(60))
    write_video(short, images, Fraction(10), quality=1)
    clip = replace(clips[0], path=short)
    prints = np.zeros(120, np.uint64)
    prints[[10, 20]] = 12345
    folder = tmp_path / "out"
    folder.mkdir()
    job = wanted(clip, [5, 10, 20, 70, 80], folder, optional=frozenset((20, 80)))
    (made,) = make_pictures([job], prints=lambda _: prints)
    assert (made.changed, made.lost, made.error) == ((10,), (70,), None)
    assert list(contents(folder)) == ["short-005.jpg"]
    assert list(made.prints) == [5]


def test_a_clip_that_is_gone_is_told_with_its_cause(clips, tmp_path):
    gone = replace(clips[0], path=tmp_path / "gone.mp4")
    (made,) = make_pictures([wanted(gone, [5], tmp_path)])
    assert made.error is not None
    assert "gone.mp4" in str(made.error)
    assert made.lost == (5,)


def test_fingerprints_of_the_frames_come_with_them(clips):
    (made,) = make_pictures([Wanted(clips[0], {7: (), 9: ()})])
    (frame,) = read_frames(clips[0], [9])
    assert made.prints[9] == frame_print(frame.image)
    assert made.files == ()


def test_a_place_that_cannot_be_written_is_told_from_a_worker_too(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "FEW", 0)
    for engines in (None, Workers(1)):
        with pytest.raises(OutputError, match="nowhere"):
            list(make_pictures([wanted(clips[0], [5], tmp_path / "nowhere")], engines=engines))
