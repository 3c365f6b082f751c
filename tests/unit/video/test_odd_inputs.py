"""Names, links, special files, headers and rates that people and cameras come up with."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from stamped import B, encode, image_folder, stamp, stamped

from vidal.campaign import folder
from vidal.errors import NoClips, UnreadableClip
from vidal.report import frames, place, query_files
from vidal.video import discover, find_clips, open_clip, opencv, read_frame, read_frames, read_image
from vidal.video.headers import MOST_PIXELS, broken_jpeg, declared_size, holds_video
from vidal.video.rates import parse_rate

discovery = import_module("vidal.video.discover")  # the package has a function of that name

LATIN = os.fsdecode(b"caf\xe9.mp4")


def skipped(folder: Path) -> dict[str, str]:
    return {each.path.name: each.reason for each in discover(folder).skipped}


# ---- names and links


@pytest.mark.parametrize("name", [LATIN, "n" * 240 + ".mp4", "12:30 #1%.mp4", "ü\u202e.mp4"])
def test_clip_of_any_name_is_read(tmp_path: Path, name: str) -> None:
    encode(tmp_path / "a.mp4", frames=3).rename(tmp_path / name)
    (path,) = find_clips(tmp_path)
    assert [stamped(frame.image) for frame in read_frames(open_clip(path))] == [0, 1, 2]


def test_rubbish_under_a_name_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / LATIN
    path.write_bytes(b"no video" * 100)
    with pytest.raises(UnreadableClip, match="is not a video that can be decoded"):
        open_clip(path)


def test_opencv_reads_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / LATIN
    encode(tmp_path / "a.mp4", frames=3).rename(path)
    counted = opencv.count(path)
    assert counted is not None
    assert counted[0] == 3


def test_opencv_says_nothing_on_stderr(tmp_path: Path) -> None:
    """In a process of its own: OpenCV asks how much it may say once, before its first file."""
    path = encode(tmp_path / "a.mp4", frames=30, container={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    data[-6000:-3000] = bytes(3000)
    path.write_bytes(data)
    (tmp_path / "b.mp4").write_bytes(b"rubbish" * 99)
    script = (
        "import sys; from pathlib import Path; from vidal.video import opencv\n"
        "print([opencv.count(Path(name)) is None for name in sys.argv[1:]])"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "b.mp4")],
        env={k: v for k, v in os.environ.items() if k != "OPENCV_FFMPEG_LOGLEVEL"}
        | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("[False, True]", "")


def test_title_in_another_encoding_does_not_matter(tmp_path: Path) -> None:
    encode(tmp_path / "a.mkv", frames=3)
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-i", tmp_path / "a.mkv", "-c", "copy"),
            *("-metadata", "title=cafe here", tmp_path / "b.mkv"),
        ],
        check=True,
    )
    data = (tmp_path / "b.mkv").read_bytes()
    assert b"cafe here" in data
    (tmp_path / "b.mkv").write_bytes(data.replace(b"cafe here", b"caf\xe9 here"))
    assert open_clip(tmp_path / "b.mkv").frames == 3


def test_links_that_lead_nowhere_are_listed_and_the_rest_is_found(tmp_path: Path) -> None:
    encode(tmp_path / "good.mp4", frames=3)
    (tmp_path / "gone.mp4").symlink_to("missing.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "notes.txt").symlink_to("missing.txt")
    assert [path.name for path in find_clips(tmp_path)] == ["good.mp4"]
    causes = skipped(tmp_path)
    assert causes.keys() == {"gone.mp4", "loop.mp4"}
    assert causes["gone.mp4"] == "a link that leads nowhere"
    for name in causes:
        with pytest.raises(NoClips, match=name):
            discover(tmp_path / name)
        with pytest.raises(UnreadableClip, match=name):
            open_clip(tmp_path / name)


def test_linked_clip_is_called_after_the_link(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    encode(tmp_path / "stored.mp4", frames=3)
    (tmp_path / "clips" / "monday.mp4").symlink_to(tmp_path / "stored.mp4")
    (path,) = find_clips(tmp_path / "clips")
    assert open_clip(path, root=tmp_path / "clips").id.startswith("monday-")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_special_files_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    encode(tmp_path / "good.mp4", frames=3)
    path = tmp_path / "x.mp4"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    else:
        path = Path("/dev/zero")
    with pytest.raises(NoClips, match=f"is a {kind}, not a file or a folder"):
        discover(path)
    with pytest.raises(UnreadableClip, match="not a file"):
        open_clip(path)
    if kind != "device":
        assert skipped(tmp_path) == {"x.mp4": f"is a {kind}, not a file or a folder"}


def test_image_that_is_a_pipe_is_a_frame_without_picture(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [1, 3])
    os.mkfifo(folder / "cam2_000002.png")
    clip = open_clip(folder)
    assert [frame.ref.index for frame in read_frames(clip)] == [0, 2]


def test_image_behind_a_dead_link_keeps_its_place(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [1, 3])
    (folder / "cam2_000002.png").symlink_to("gone.png")
    clip = open_clip(folder)
    assert clip.pts.tolist() == [1, 2, 3]
    assert [stamped(frame.image) for frame in read_frames(clip)] == [1, 3]


_AS_NOBODY = """
import os, sys
from pathlib import Path
from vidal.video import discover, open_clip, read_frames
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
found = discover(Path(sys.argv[1]))
for path in found.clips:
    try:
        clip = open_clip(path)
        print(path.name, clip.frames, [frame.ref.index for frame in read_frames(clip)])
    except Exception as error:
        print(path.name, type(error).__name__, error.why)
print(sorted((each.path.name, each.reason) for each in found.skipped))
"""


def test_what_may_not_be_read_costs_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    image_folder(root / "drive", [1, 2, 3])
    encode(root / "good.mp4", frames=3)
    encode(root / "locked.mp4", frames=3)
    (root / "closed").mkdir()
    for path in (root / "drive" / "cam2_000002.png", root / "locked.mp4", root / "closed"):
        path.chmod(0)
    for path in (root, *root.parents):  # as nobody, in a child: the rights do not bind root
        if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
            path.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(root)], capture_output=True, text=True, check=False
    )
    (root / "closed").chmod(0o755)
    assert done.stdout.splitlines() == [
        "drive 3 [0, 2]",
        "good.mp4 3 [0, 1, 2]",
        "locked.mp4 UnreadableClip permission denied",
        "[('closed', 'this folder cannot be read (permission denied)')]",
    ], done.stderr


# ---- what files hold


@pytest.mark.parametrize("suffix", [".insv", ".360", ".mp4_old", ".rec", ""])
def test_file_of_any_suffix_that_holds_video_is_a_clip(tmp_path: Path, suffix: str) -> None:
    encode(tmp_path / "a.mp4", frames=3).rename(tmp_path / f"b{suffix}")
    assert [path.name for path in find_clips(tmp_path)] == [f"b{suffix}"]


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.ts", "a.flv", "a.h264", "a.mpg", "a.nut"])
def test_containers_are_known_by_their_first_bytes(tmp_path: Path, name: str) -> None:
    codec = {".mpg": "mpeg2video", ".flv": "flv"}.get(Path(name).suffix, "libx264")
    path = encode(tmp_path / name, codec, frames=8)
    if name == "a.nut":
        assert path.read_bytes().startswith(b"nut/multimedia container")
    assert holds_video(path)


def test_text_tables_and_sounds_are_no_video(tmp_path: Path) -> None:
    for name, data in {
        "a.dat": b"\x00" * 700,
        "b.foo": b"GGGG" * 10,
        "c.m4x": b"\0\0\0\x20ftypM4A \0\0\0\0",
        "d": b"#!/bin/sh\n",
    }.items():
        (tmp_path / name).write_bytes(data)
        assert not holds_video(tmp_path / name)


def test_unfinished_downloads_and_previews_are_named(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4.part", "c.lrv"):
        encode(tmp_path / "x.mp4", frames=3).rename(tmp_path / name)
    assert [path.name for path in find_clips(tmp_path)] == ["a.mp4"]
    causes = skipped(tmp_path)
    assert "download" in causes["b.mp4.part"]
    assert "small copy" in causes["c.lrv"]


def test_what_vidal_wrote_is_passed_over(tmp_path: Path) -> None:
    encode(tmp_path / "good.mp4", frames=3)
    for out in (tmp_path, tmp_path / "selection"):
        image_folder(out / "frames", [1, 2, 3])
        (out / "query.json").write_text('{"format": "vidal-query", "schema": 1}')
    work = tmp_path / "work"
    image_folder(work / "queries" / "round-000" / "frames", [1, 2])
    (work / "campaign.sqlite").touch()
    image_folder(tmp_path / "killed" / "frames", [1, 2])
    (tmp_path / "killed" / ".writing-1f").mkdir()
    assert [path.name for path in find_clips(tmp_path)] == ["good.mp4"]
    assert skipped(tmp_path) == dict.fromkeys(
        ("frames", "queries"), "was written by vidal, is no recording"
    )
    assert len(discover(tmp_path).skipped) == 4
    with pytest.raises(NoClips, match="holds what vidal wrote"):
        discover(tmp_path / "frames")


def test_marks_of_what_vidal_wrote_are_those_it_writes() -> None:
    assert discovery._QUERY == place.QUERY
    assert discovery._FORMAT.decode() == query_files.FORMAT
    assert discovery._PICTURES == frames.FOLDER
    assert discovery._WRITING == place._WORK
    assert discovery._RECORD == folder.RECORD
    campaign = folder.Campaign(Path("work"), None, None)  # type: ignore[arg-type]
    parts = (campaign.evidence, campaign.model(0).parent, campaign.query(0).parent)
    assert tuple(part.name for part in parts) == discovery._OF_CAMPAIGN


def test_frames_beside_another_query_json_are_a_clip(tmp_path: Path) -> None:
    image_folder(tmp_path / "frames", [1, 2, 3])
    (tmp_path / "query.json").write_text('{"format": "something else"}')
    assert find_clips(tmp_path) == [tmp_path / "frames"]


# ---- pictures


def png(height: int, width: int) -> bytes:
    """One-colour PNG: a thousand times smaller than its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_picture_of_gigabytes_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(png(20000, 20000))
    started = time.process_time()
    assert read_image(tmp_path / "1.png") is None
    assert time.process_time() - started < 0.5
    with pytest.raises(UnreadableClip, match=rf"20000 x 20000 pixels, .* limit of {MOST_PIXELS:,}"):
        open_clip(tmp_path)


@pytest.mark.parametrize("name", ["a.avi", "a.mjpeg", "a.mkv"])
def test_damaged_jpeg_in_a_video_keeps_its_ordinal_without_a_picture(
    name: str, tmp_path: Path
) -> None:
    path = encode(tmp_path / name, "mjpeg", frames=9, pixels="yuvj420p", options={"qmax": "2"})
    data = bytearray(path.read_bytes())
    scans = [match.start() for match in re.finditer(b"\xff\xda", data)]
    middle = (scans[4] + scans[5]) // 2
    noise = np.random.default_rng(0).integers(1, 255, 200, np.uint8).tobytes()
    data[middle : middle + 200] = noise
    path.write_bytes(data)
    clip = open_clip(path)
    shown = {frame.ref.index: stamped(frame.image) for frame in read_frames(clip)}
    assert clip.frames == 9
    assert shown == {n: n for n in range(9) if n != 4}


def test_bare_jpegs_that_break_off_are_reported(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mjpeg", "mjpeg", frames=9, pixels="yuvj420p")
    data = path.read_bytes()
    path.write_bytes(data[: (data.rfind(b"\xff\xda") + len(data)) // 2])
    clip = open_clip(path)
    assert (clip.frames, clip.truncated) == (8, 1)


def test_jpegs_of_a_video_need_no_end_marker(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mjpeg", "mjpeg", frames=5, pixels="yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"\xff\xd9", b""))
    assert [stamped(frame.image) for frame in read_frames(open_clip(path))] == list(range(5))


def test_video_that_declares_gigabytes_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", "mjpeg", frames=3, pixels="yuvj420p")
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"\xff\xc0", at + 1)) >= 0:
        data[at + 5 : at + 9] = struct.pack(">HH", 40000, 40000)
    path.write_bytes(data)
    with pytest.raises(UnreadableClip):
        open_clip(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
def test_declared_size_is_that_of_the_picture(suffix: str) -> None:
    done, data = cv2.imencode(suffix, stamp(1, (95, 127)))
    assert done
    assert declared_size(data.tobytes()) == (95, 127)


@pytest.mark.parametrize("options", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]])
def test_whole_jpegs_pass_and_damaged_ones_do_not(options: list[int]) -> None:
    rng = np.random.default_rng(4)
    picture = cv2.resize(rng.integers(0, 255, (45, 80, 3), dtype=np.uint8), (640, 360))
    data = bytearray(cv2.imencode(".jpg", picture, options)[1].tobytes())
    assert not broken_jpeg(bytes(data))
    exif = b"\xff\xe1\x00\x10Exif\0\0" + bytes(8)
    assert not broken_jpeg(bytes(data[:2]) + exif + bytes(data[2:]))
    middle = len(data) // 2
    data[middle : middle + 2000] = rng.integers(0, 256, 2000, dtype=np.uint8).tobytes()
    assert broken_jpeg(bytes(data))


def test_jpeg_with_damaged_scan_is_left_out(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "drive", [0, 1, 2], ".jpg")
    file = folder / "cam2_000001.jpg"
    data = bytearray(file.read_bytes())
    noise = np.random.default_rng(1).integers(0, 255, len(data) // 2, dtype=np.uint8)
    data[len(data) // 3 : len(data) // 3 + len(noise)] = noise.tobytes()
    file.write_bytes(data)
    assert [frame.ref.index for frame in read_frames(open_clip(folder))] == [0, 2]


# ---- ends and rates


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "fragmented.mp4"])
def test_recording_shorter_than_its_container_says_ends_early(tmp_path: Path, name: str) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    fragments = {"movflags": "frag_keyframe+empty_moov"} if name.endswith("mp4") else None
    options = (
        {"g": "10", "deadline": "realtime", "cpu-used": "8"} if "webm" in name else {"g": "10"}
    )
    whole = encode(tmp_path / name, codec, options=options, container=fragments)
    assert open_clip(whole).truncated == 0
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 2 // 3])
    clip = open_clip(whole)
    assert clip.frames < 60
    if name == "fragmented.mp4":
        assert clip.truncated >= 1
    else:
        assert clip.frames + clip.truncated == pytest.approx(60, abs=2)  # by the duration


def test_finished_clip_with_longer_sound_does_not_end_early(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=128x96:d=1:r=25"),
            *("-f", "lavfi", "-i", "sine=d=3", path),
        ],
        check=True,
    )
    assert open_clip(path).truncated == 0


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10", 10), (" 12.5 ", Fraction(25, 2)), ("30000/1001", Fraction(30000, 1001)), ("1e2", 100)],
)
def test_rates_are_read_exactly(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        *("1e200000000", "1e-200000000", "9" * 5000, "1/" + "9" * 5000, "0", "-1", "1/0", "nan"),
        *("inf", "", "ten", "1001", "1e-9", "0x10", "1_0"),
    ],
)
def test_absurd_rates_are_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match="not a number of frames a second"):
        parse_rate(text)
    assert time.process_time() - started < 0.5


# ---- keyframes that are none


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.mkv"])
def test_clip_that_is_refreshed_bit_by_bit_is_read_from_whole_pictures(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x96:d=4:r=25"),
            *("-c:v", "libx264", "-x264-params", "intra-refresh=1:keyint=40:scenecut=0", path),
        ],
        check=True,
    )
    clip = open_clip(path)
    assert clip.keyframes.tolist() == [0]
    dense = {frame.ref.index: frame.image for frame in read_frames(clip)}
    for index in (39, 41, 45, 60, 81, 99):
        np.testing.assert_array_equal(read_frame(clip, index).image, dense[index])


def test_open_groups_keep_their_keyframes(tmp_path: Path) -> None:
    options = {**B, "x264-params": "open-gop=1:keyint=10:scenecut=0"}
    clip = open_clip(encode(tmp_path / "a.mp4", options=options))
    assert len(clip.keyframes) >= 6
