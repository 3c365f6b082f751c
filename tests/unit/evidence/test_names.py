"""Which clip a name means: the same for labels and for given detections."""

from fractions import Fraction
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from vidal.errors import LabelsMismatch
from vidal.evidence.names import ClipNames
from vidal.types import Clip

ROOT = Path("/data/clips")


def a_clip(place: str, digest: str = "") -> Clip:
    """A clip as it is found below ROOT, with the id that it gets there."""
    path = ROOT / place
    bare = "__".join(Path(place).with_suffix("").parts).replace(" ", "_")
    code = digest or f"{crc32(place.encode()):08x}"
    pts = np.arange(5)
    return Clip(f"{bare}-{code}", path, pts, Fraction(1, 25), Fraction(25), (30, 40))


def meant(name: str, *places: str) -> str | None:
    found = ClipNames(map(a_clip, places)).find(Path("l.json"), (name,))
    return None if found is None else found[0].path.relative_to(ROOT).as_posix()


TWO = ("day/cam.mp4", "night/cam.mp4")
SEQUENCES = ("0001/video.mp4", "0002/video.mp4", "0003/video.mp4")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("day/cam", "day/cam.mp4"),
        ("night/cam.mp4", "night/cam.mp4"),
        ("night/cam.avi", "night/cam.mp4"),
        ("clips/night/cam", "night/cam.mp4"),
        ("/home/other/night/cam.mp4", "night/cam.mp4"),
        ("night\\cam.mp4", "night/cam.mp4"),
        ("night__cam", "night/cam.mp4"),
        ("export/night__cam", "night/cam.mp4"),
        ("dusk/cam", None),
        ("town/day/cam", "day/cam.mp4"),
    ],
)
def test_the_longest_agreement_of_folders_wins(name, place):
    assert meant(name, *TWO) == place


def test_labels_of_another_folder_are_not_taken_by_the_only_clip_of_that_name():
    assert meant("night/cam", "day/cam.mp4") is None
    assert meant("a/day/cam", "b/day/cam.mp4") is None
    assert meant("0002/video", "0001/video.mp4") is None
    assert meant("cam", "day/cam.mp4") == "day/cam.mp4"
    assert meant("videos/cam", "cam.mp4") == "cam.mp4"


def test_a_name_without_folders_that_could_be_two_clips_is_refused_with_the_way_out():
    with pytest.raises(LabelsMismatch, match="'cam' could be") as refused:
        meant("cam", *TWO)
    assert "with their folders" in refused.value.hint


def test_the_name_of_a_clip_in_the_outermost_folder_is_not_in_doubt():
    assert meant("cam", "cam.mp4", *TWO) == "cam.mp4"


def test_a_sequence_is_found_by_the_folder_that_holds_it_alone():
    assert meant("0002", *SEQUENCES) == "0002/video.mp4"
    assert meant("train/0003", *SEQUENCES) == "0003/video.mp4"
    assert meant("0002/video.mp4", *SEQUENCES) == "0002/video.mp4"
    assert meant("0004", *SEQUENCES) is None
    with pytest.raises(LabelsMismatch, match="could be"):
        meant("video.mp4", *SEQUENCES)
    assert meant("0001", "0001/front.mp4", "0001/rear.mp4") is None


def test_suffixes_settle_what_stems_leave_open():
    assert meant("a.mkv", "a.mp4", "a.mkv") == "a.mkv"
    assert meant("cam.v2", "cam.mp4", "cam.v2.mp4") == "cam.v2.mp4"
    with pytest.raises(LabelsMismatch):
        meant("a", "a.mp4", "a.mkv")


def test_names_with_spaces_and_ids_are_found():
    assert meant("my cam.mp4", "my cam.mp4") == "my cam.mp4"
    assert meant("my_cam", "my cam.mp4") == "my cam.mp4"
    clip = a_clip("night/cam.mp4", "0a1b2c3d")
    names = ClipNames([clip, a_clip("day/cam.mp4")])
    for name in ("night__cam-0a1b2c3d", "x/night__cam-0a1b2c3d.mp4"):
        found = names.find(Path("l.json"), (name,))
        assert found is not None
        assert found[0] == clip
        assert found[1].whole


def test_a_later_name_settles_what_an_earlier_leaves_open():
    names = ClipNames(map(a_clip, TWO))
    found = names.find(Path("l.json"), ("cam", "night/cam"))
    assert found is not None
    assert found[0].path == ROOT / "night/cam.mp4"
