"""Data sets that no system should choke on: wrong kinds of files, broken links, clutter, bombs."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from vidal.errors import FormatError, InputError
from vidal.formats import (
    bdd100k,
    coco_video,
    cvat,
    cvat_images,
    imagenet_vid,
    kitti_tracking,
    label_studio,
    mot,
    synthia_al,
    yolo,
)

KITTI = "{frame} 0 Car 0 0 -1.57 10 20 50 60 1.5 1.6 3.7 1 2 3 0.1\n"
APPLE = b"\0\5\x16\7\0\2\0\0Mac OS X        \xb0\0"


def _bdd(frame: int = 0) -> str:
    box = {"x1": 1, "y1": 2, "x2": 9, "y2": 9}
    label = {"id": "1", "category": "car", "attributes": {}, "box2d": box}
    return json.dumps([{"videoName": "a", "frameIndex": frame, "labels": [label]}])


def _coco(frame: int = 0) -> str:
    image = {"id": 1, "video_id": 1, "frame_id": frame}
    return json.dumps({"videos": [{"id": 1, "name": "a"}], "images": [image], "categories": []})


VID = "<annotation><size><width>192</width><height>96</height></size></annotation>"
INFO = "[Sequence]\nseqLength={length}\nimWidth=192\nimHeight=96\n"
SYNTHIA = "train/scene/stamp"

CASES: dict[str, tuple[Any, str, str, str]] = {
    "kitti": (kitti_tracking, "", "label_02/0000.txt", KITTI.format(frame=0)),
    "mot": (mot, "", "S/gt/gt.txt", "1,1,11,21,40,40,1,1,1\n"),
    "mot-info": (mot, "", "S/seqinfo.ini", INFO.format(length=3)),
    "bdd100k": (bdd100k, "", "a.json", _bdd()),
    "imagenet-vid": (imagenet_vid, "", "Annotations/VID/train/a/000000.xml", VID),
    "yolo": (yolo, "", "labels/a_000000.txt", "0 .5 .5 .2 .2\n"),
    "yolo-info": (yolo, "", "data.yaml", "names: [car]\n"),
    "yolo-names": (yolo, "", "obj.names", "car\n"),
    "yolo-notes": (yolo, "", "notes.json", '{"categories": [{"id": 0, "name": "car"}]}'),
    "coco": (coco_video, "a.json", "a.json", _coco()),
    "synthia": (
        synthia_al,
        "",
        f"{SYNTHIA}/labels_kitti/000000.txt",
        "car 0 0 0 1 2 30 40 1 1 1 1 1 1 0\n",
    ),
}
"""Reader, what is read, a file of it and its text."""


def made(root: Path, name: str) -> tuple[Callable[[], list[Any]], Path]:
    """A data set; how to read it, and its file."""
    reader, below, file, text = CASES[name]
    place = root / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    options: dict[str, Any] = {}
    if reader is synthia_al:
        images = root / SYNTHIA / "RGB"
        images.mkdir(parents=True)
        (images / "000000.png").touch()
    if reader is yolo:
        options = {"sizes": {"a": (96, 192)}}
        for other in ("yolo", "yolo-info"):
            beside = root / CASES[other][2]
            beside.parent.mkdir(exist_ok=True)
            if not beside.exists():
                beside.write_text(CASES[other][3])
    return lambda: list(reader.read(root / below, **options)), place


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[], list[Any]], Path]:
    return made(tmp_path / "set", request.param)


def test_clutter_of_other_systems_is_passed_over(case: Any) -> None:
    read, file = case
    before = [clip.annotations for clip in read()]
    (file.parent / f"._{file.name}").write_bytes(APPLE)
    (file.parent / ".DS_Store").write_bytes(APPLE)
    (file.parent / "Thumbs.db").write_bytes(APPLE)
    shutil.copytree(file.parent, file.parent / "__MACOSX")
    after = read()
    assert [clip.annotations for clip in after] == before
    assert len(after) == 1


@pytest.mark.parametrize("kind", ["folder", "broken link", "loop", "binary"])
def test_another_thing_in_the_place_of_a_file_is_one_error_or_not_there(
    case: Any, kind: str
) -> None:
    read, file = case
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "broken link":
        file.symlink_to("nowhere")
    elif kind == "loop":
        file.symlink_to(file.name)
    else:
        file.write_bytes(bytes(range(256)))
    clips: list[Any] = []
    with suppress(InputError):
        clips = read()
    # A folder is not the file; whatever is left of the set has no labels of it.
    assert kind != "binary" or not clips
    without = file.name in ("obj.names", "notes.json")  # data.yaml has the names too
    assert without or not any(len(clip.annotations) for clip in clips)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_read_is_one_error(case: Any, what: str) -> None:
    read, file = case
    place = file if what == "file" else file.parent
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        with pytest.raises(InputError):
            read()
    finally:
        place.chmod(mode)


@pytest.mark.parametrize(
    "place", ["nothing", "x" * 300, "a/" + "y" * 5000, "null\0byte"], ids=lambda text: text[:8]
)
@pytest.mark.parametrize("name", CASES)
def test_a_place_that_is_not_there_is_one_error(tmp_path: Path, name: str, place: str) -> None:
    with pytest.raises(InputError):
        list(CASES[name][0].read(tmp_path / place))


@pytest.fixture
def frugal() -> Iterator[None]:
    """Fails where more than 150 MB were taken at a time."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 << 20


BOMBS: dict[str, tuple[str, str | bytes]] = {
    "kitti": ("kitti", KITTI.format(frame=10**9)),
    "kitti of 4,300 digits": ("kitti", KITTI.format(frame="9" * 4300)),
    "mot": ("mot", "1000000000,1,11,21,40,40,1,1,1\n"),
    "mot of 4,300 digits": ("mot", "1," + "9" * 4300 + ",11,21,40,40,1,1,1\n"),
    "mot length": ("mot-info", INFO.format(length=10**9)),
    "mot size": ("mot-info", INFO.format(length=3).replace("192", "9" * 4300)),
    "bdd100k": ("bdd100k", _bdd(10**9)),
    "bdd100k of 4,000 digits": ("bdd100k", _bdd(10**4000)),
    "bdd100k of 5,000 digits": ("bdd100k", _bdd(7).replace("7", "7" * 5000)),
    "coco": ("coco", _coco(10**9)),
    "coco of 5,000 digits": ("coco", _coco(7).replace("7", "7" * 5000)),
    "coco rate": ("coco", _coco().replace('"name"', '"fps": "1e100000000", "name"')),
    "coco rate 2": ("coco", _coco().replace('"name"', '"fps": 1e-320, "name"')),
    "coco length": ("coco", _coco().replace('"name"', '"length": 1e22, "name"')),
    "aliases": (
        "yolo-info",
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
        + "names: *a11\n",
    ),
    "names": ("yolo-info", "names: [" + "x, " * 400_000 + "]"),
    "yolo number": ("yolo-notes", '{"categories": [{"id": 9, "name": "a"}]}'),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_wild_numbers_are_refused_by_name_and_cost_nothing(
    tmp_path: Path, frugal: None, bomb: str
) -> None:
    name, text = BOMBS[bomb]
    read, file = made(tmp_path, name)
    file.write_text(str(text))
    if name == "yolo-notes":
        (tmp_path / "data.yaml").unlink()
    with pytest.raises(FormatError) as caught:
        read()
    assert len(caught.value.message) < 400 + len(str(file))


def test_many_clips_of_a_length_that_is_just_believed_are_refused(
    tmp_path: Path, frugal: None
) -> None:
    _, file = made(tmp_path, "kitti")
    for number in range(20):
        file.with_name(f"{number:04d}.txt").write_text(KITTI.format(frame=9_999_999))
    clips = kitti_tracking.read(tmp_path)
    assert [next(clips).annotations.frames for _ in range(10)] == [10_000_000] * 10
    with pytest.raises(FormatError, match="frames in all cannot be right"):
        next(clips)
    value = json.loads(_coco())
    value["videos"] = [{"id": n, "length": 10_000_000} for n in range(1, 99)]
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(FormatError, match="frames in all cannot be right"):
        list(coco_video.read(tmp_path / "a.json"))


@pytest.mark.parametrize("name", ["kitti", "coco"])
def test_an_archive_that_holds_gigabytes_is_refused(
    tmp_path: Path, frugal: None, name: str
) -> None:
    read, file = made(tmp_path, name)
    packed = gzip.compress(b" " * (60 << 20))
    if name == "kitti":
        file.unlink()
        file = file.with_name("0000.txt.gz")
    file.write_bytes(packed)
    with pytest.raises(FormatError, match="expands to more than"):
        read()


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_refused(tmp_path, name):
    read, file = made(tmp_path, name)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises((InputError, FormatError)):
        read()
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises((InputError, FormatError)):
        read()


@pytest.mark.parametrize("reader", [cvat, cvat_images, label_studio, coco_video])
def test_a_pipe_that_is_named_itself_is_refused(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe or a device, not a file"):
        list(reader.read(tmp_path / "pipe"))


def test_a_pipe_among_the_pictures_is_refused(tmp_path):
    (tmp_path / "classes.txt").write_text("car\n")
    (tmp_path / "a_0.txt").write_text("0 .5 .5 .2 .2\n")
    os.mkfifo(tmp_path / "a_0.jpg")
    with pytest.raises(InputError, match="a pipe or a device"):
        list(yolo.read(tmp_path))
