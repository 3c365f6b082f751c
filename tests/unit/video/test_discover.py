"""Which clips are found, in which order, under which ids."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stamped import encode, image_folder

from vidal.errors import NoClips, UnreadableClip
from vidal.video import discover, find_clips, identity, open_clip
from vidal.video.discover import natural_key, numbered_images


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(root: Path) -> list[str]:
    return [clip.relative_to(root).as_posix() for clip in find_clips(root)]


def test_file_is_its_own_clip_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "drive.dat")
    assert find_clips(tmp_path / "drive.dat") == [tmp_path / "drive.dat"]


def test_nested_mix_is_found_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path / "clip10.mp4", tmp_path / "clip2.MP4", tmp_path / "notes.txt")
    touch(tmp_path / "b" / "deep" / "x.mkv", tmp_path / "b" / "poster1.jpg")
    touch(*(tmp_path / "a" / "images" / f"{n}.jpg" for n in range(3)))
    assert found(tmp_path) == ["a/images", "b/deep/x.mkv", "clip2.MP4", "clip10.mp4"]


def test_hidden_files_and_folders_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path / ".drive.mp4", tmp_path / ".cache" / "a.mp4", tmp_path / "seen.mp4")
    assert found(tmp_path) == ["seen.mp4"]


def test_images_beside_videos_are_no_clip(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "shot1.png", tmp_path / "shot2.png")
    assert found(tmp_path) == ["a.mp4"]


def test_folder_given_itself_may_be_the_clip(tmp_path: Path) -> None:
    touch(tmp_path / "1.png", tmp_path / "2.png")
    assert find_clips(tmp_path) == [tmp_path]


def test_link_that_leads_back_up_is_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "x.mp4")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert found(tmp_path) == ["a/x.mp4"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("0001.tif", "0002.tif", "notes.txt"), r"its 2 pictures \(\.tif\) are not read"),
        (("1.ppm", "2.ppm"), r"its 2 pictures \(\.ppm\) are not read"),
        (("a.jpg", "b.png", "c.tif"), r"its 3 pictures \(.*\) have no numbers"),
    ],
)
def test_folder_of_pictures_that_is_no_clip_is_named(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    touch(tmp_path / "a.mp4", *(tmp_path / "drive" / name for name in names))
    found = discover(tmp_path)
    assert found.clips == [tmp_path / "a.mp4"]
    assert [each.path for each in found.skipped] == [tmp_path / "drive"]
    assert re.search(said, found.skipped[0].reason)


def test_nothing_found_says_what_was_seen(tmp_path: Path) -> None:
    with pytest.raises(NoClips, match="holds no files"):
        find_clips(tmp_path)
    touch(tmp_path / "a.txt", tmp_path / "b.json", tmp_path / "c" / "d.txt")
    with pytest.raises(NoClips, match=r"holds 3 files, none of them a video \(\.json, \.txt\)"):
        find_clips(tmp_path)
    with pytest.raises(NoClips, match="no such file or folder"):
        find_clips(tmp_path / "missing")


def test_single_image_is_no_clip(tmp_path: Path) -> None:
    touch(tmp_path / "1.png")
    with pytest.raises(NoClips, match=r"no folder with two or more numbered images \(\.png\)"):
        find_clips(tmp_path)
    with pytest.raises(NoClips, match="Give the folder of numbered images"):
        find_clips(tmp_path / "1.png")


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["10.png", "9.png"], {"9.png": 9, "10.png": 10}),
        (["0001_cam2.png", "0003_cam2.png"], {"0001_cam2.png": 1, "0003_cam2.png": 3}),
        (
            ["10.04.png", "10.12.png", "10.2.png", "11.png"],
            {"10.04.png": 0, "10.12.png": 1, "10.2.png": 2, "11.png": 3},
        ),
        (
            ["t9.5s.png", "t10.0s.png", "t10.25s.png"],
            {"t9.5s.png": 0, "t10.0s.png": 1, "t10.25s.png": 2},
        ),
        (  # parts and their frames, not times: nobody writes 1.10 for a time
            ["1.2.png", "1.9.png", "1.10.png", "2.1.png"],
            {"1.2.png": 0, "1.9.png": 1, "1.10.png": 2, "2.1.png": 3},
        ),
        (
            ["video-2Ab3-frame-000006-x8q.png", "video-2Ab3-frame-000005-y9q.png"],
            {"video-2Ab3-frame-000005-y9q.png": 5, "video-2Ab3-frame-000006-x8q.png": 6},
        ),
        (
            ["d_mp4-9_jpg.rf.4b1e.png", "d_mp4-10_jpg.rf.0a77.png", "d_mp4-8_jpg.rf.e.png"],
            {"d_mp4-8_jpg.rf.e.png": 8, "d_mp4-9_jpg.rf.4b1e.png": 9}
            | {"d_mp4-10_jpg.rf.0a77.png": 10},
        ),
        (  # a random number of digits behind the frame's, and before it
            ["f_005_901.png", "f_006_112.png", "f_007_533.png"],
            {"f_005_901.png": 5, "f_006_112.png": 6, "f_007_533.png": 7},
        ),
        (
            ["901_005.png", "112_006.png", "533_007.png"],
            {"901_005.png": 5, "112_006.png": 6, "533_007.png": 7},
        ),
        (  # the prefix that Label Studio gives to uploads
            ["0a1b2c3d-cam_07.png", "9f00aa11-cam_06.png", "5c5c5c5c-cam_05.png"],
            {"5c5c5c5c-cam_05.png": 5, "9f00aa11-cam_06.png": 6, "0a1b2c3d-cam_07.png": 7},
        ),
        (  # nanoseconds, with a gap
            [f"17000000{t}.png" for t in ("00000000000", "00033333333", "00133333333")],
            {"1700000000000000000.png": 0, "1700000000033333333.png": 1}
            | {"1700000000133333333.png": 3},
        ),
        (  # every 30th frame was kept: a counter
            ["f0000.png", "f0030.png", "f0060.png"],
            {"f0000.png": 0, "f0030.png": 30, "f0060.png": 60},
        ),
        (["7.500.png", "7.25.png", "8.1.png"], {"7.25.png": 0, "7.500.png": 1, "8.1.png": 2}),
        (  # a decimal comma
            ["f 10,04.png", "f 10,12.png", "f 10,2.png", "f 11,0.png"],
            {"f 10,04.png": 0, "f 10,12.png": 1, "f 10,2.png": 2, "f 11,0.png": 3},
        ),
        (  # a decimal point that was replaced
            ["t_10_04.png", "t_10_12.png", "t_10_2.png", "t_11_0.png"],
            {"t_10_04.png": 0, "t_10_12.png": 1, "t_10_2.png": 2, "t_11_0.png": 3},
        ),
        (["1_9.png", "1_10.png", "2_1.png"], {"1_9.png": 0, "1_10.png": 1, "2_1.png": 2}),
        (  # seconds before and after an event
            ["-1.5.png", "-0.25.png", "0.0.png", "0.5.png"],
            {"-1.5.png": 0, "-0.25.png": 1, "0.0.png": 2, "0.5.png": 3},
        ),
        (["1e-05.png", "0.04.png"], {"1e-05.png": 0, "0.04.png": 1}),
        (  # two pictures in a second
            ["IMG_1200.png", "IMG_1201.png", "IMG_1201_1.png", "IMG_1202.png"],
            {"IMG_1200.png": 0, "IMG_1201.png": 1, "IMG_1201_1.png": 2, "IMG_1202.png": 3},
        ),
        (  # what was measured, then the frame
            [f"v{50 + n % 3}_{n:03d}.png" for n in range(60, 69)],
            {f"v{50 + n % 3}_{n:03d}.png": n for n in range(60, 69)},
        ),
        (  # minutes and seconds
            ["00-58.png", "00-59.png", "01-00.png", "01-01.png", "02-00.png"],
            {"00-58.png": 0, "00-59.png": 1, "01-00.png": 2, "01-01.png": 3, "02-00.png": 4},
        ),
    ],
)
def test_number_of_an_image_is_the_part_that_varies(
    tmp_path: Path, names: list[str], numbers: dict[str, int]
) -> None:
    touch(*(tmp_path / name for name in names))
    files, values = numbered_images(tmp_path)
    assert dict(zip([file.name for file in files], values, strict=True)) == numbers
    assert values == sorted(values)


def test_two_groups_that_say_different_orders_are_refused_by_name(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("1_8.png", "2_7.png", "3_9.png")))
    with pytest.raises(UnreadableClip, match=r"not clear \(1_8\.png, 2_7\.png\)"):
        numbered_images(tmp_path)


@pytest.mark.parametrize("name", ["cam{}_{}.png", "{1}-Camera {0}.png", "CamFront{}.{}.png"])
def test_images_of_several_cameras_in_one_folder_are_refused(tmp_path: Path, name: str) -> None:
    touch(*(tmp_path / name.format(camera, frame) for camera in (1, 2) for frame in range(3)))
    with pytest.raises(UnreadableClip, match="images of 2 cameras") as caught:
        numbered_images(tmp_path)
    assert "folder of their own" in caught.value.hint


def test_two_images_of_one_time_are_refused(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("1.05.png", "1.5.png", "1.50.png")))
    with pytest.raises(UnreadableClip, match=r"the time 1\.50?: "):
        numbered_images(tmp_path)


@given(st.lists(st.text(alphabet="aB01 2٣_", min_size=1), unique=True))
def test_natural_order_is_total(names: list[str]) -> None:
    forward, backward = list(names), names[::-1]
    forward.sort(key=natural_key)
    backward.sort(key=natural_key)
    assert forward == backward
    assert len({natural_key(name) for name in names}) == len(names)


def test_id_survives_a_move_and_tells_content_apart(tmp_path: Path) -> None:
    path = encode(tmp_path / "drive.mp4", frames=3)
    before = open_clip(path).id
    assert re.fullmatch(r"drive-[0-9a-f]{8}", before)
    moved = tmp_path / "elsewhere" / "drive.mp4"
    moved.parent.mkdir()
    shutil.move(path, moved)
    assert open_clip(moved).id == before
    assert open_clip(encode(tmp_path / "drive.mp4", frames=4)).id != before


def test_same_name_and_content_in_two_folders_differ_below_a_root(tmp_path: Path) -> None:
    for folder in ("a", "b c"):
        (tmp_path / folder).mkdir()
        encode(tmp_path / folder / "drive.mp4", frames=3)
    ids = [open_clip(path, root=tmp_path).id for path in find_clips(tmp_path)]
    assert re.fullmatch(r"a__drive-[0-9a-f]{8}", ids[0])
    assert re.fullmatch(r"b_c__drive-[0-9a-f]{8}", ids[1])
    shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}_copy")
    copy = tmp_path.parent / f"{tmp_path.name}_copy"
    assert [open_clip(path, root=copy).id for path in find_clips(copy)] == ids


def test_names_that_clean_to_the_same_text_still_differ(tmp_path: Path) -> None:
    first = encode(tmp_path / "a b.mp4", frames=3)
    second = shutil.copy(first, tmp_path / "a_b.mp4")
    assert open_clip(first).id != open_clip(second).id


def test_image_folder_id_depends_on_names_and_pixels(tmp_path: Path) -> None:
    ids = [
        open_clip(image_folder(tmp_path / place / "drive", numbers)).id
        for place, numbers in (("a", [1, 2]), ("b", [1, 2]), ("c", [1, 3]))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_every_image_of_a_large_folder_counts_for_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "WHOLE", 1000)
    monkeypatch.setattr(identity, "BLOCKS", 4)
    folder = tmp_path / "drive"
    touch(*(folder / f"{n:03d}.png" for n in range(20)))
    for file in folder.iterdir():
        file.write_bytes(bytes(100))
    files, _ = numbered_images(folder)
    before = identity.clip_id(folder, files, None), identity.former_id(folder, files, None)
    files[8].write_bytes(b"\1" * 100)
    after = identity.clip_id(folder, files, None), identity.former_id(folder, files, None)
    assert before[0] != after[0]
    assert before[1] == after[1]  # what campaigns of earlier versions go by


def test_ids_of_small_folders_are_those_of_earlier_versions(tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    touch(folder / "1.png", folder / "2.png")
    files, _ = numbered_images(folder)
    assert identity.clip_id(folder, files, None) == "drive-1d21abfa"
    assert identity.former_id(folder, files, None) == "drive-1d21abfa"


def test_large_content_is_digested_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "WHOLE", 2**20)
    monkeypatch.setattr(identity, "BLOCK", 2**10)
    data = bytearray(2**21)
    path = tmp_path / "long.mp4"

    def name() -> str:
        path.write_bytes(data)
        return identity.clip_id(path, [path], None)

    plain = name()
    data[-1] = 1
    at_the_end = name()
    data[2**15] = 1  # between the first block and the second, which starts at 33,271
    between = name()
    data.append(0)
    assert plain != at_the_end
    assert at_the_end == between
    assert between != name()
