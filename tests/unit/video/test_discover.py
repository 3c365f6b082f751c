"""Which clips are found, in which order, under which ids."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stamped import encode, image_folder

from vidal.errors import NoClips
from vidal.video import find_clips, identity, open_clip
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
        (["7.500.png", "7.25.png", "8.1.png"], {"7.25.png": 0, "7.500.png": 1, "8.1.png": 2}),
    ],
)
def test_number_of_an_image_is_the_part_that_varies(
    tmp_path: Path, names: list[str], numbers: dict[str, int]
) -> None:
    touch(*(tmp_path / name for name in names))
    files, values = numbered_images(tmp_path)
    assert dict(zip([file.name for file in files], values, strict=True)) == numbers
    assert values == sorted(values)


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
