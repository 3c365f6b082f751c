"""Zips that are no plain folder of files: refused by name, whichever reader opens them."""

import stat
import zipfile

import pytest

from vidal.errors import FormatError
from vidal.formats import coco_video, cvat_images, label_studio, yolo
from vidal.formats._files import FREE

FILES = {
    "cvat": (cvat_images, {"annotations.xml": "<annotations/>"}),
    "coco": (coco_video, {"annotations/a.json": '{"images": [], "categories": []}'}),
    "label-studio": (label_studio, {"a.json": "[]"}),
    "yolo": (yolo, {"classes.txt": "car\n", "labels/a_000001.txt": "0 .5 .5 .1 .1\n"}),
}


def read(kind, path):
    options = {"sizes": {"a": (96, 192)}} if kind == "yolo" else {}
    return list(FILES[kind][0].read(path, **options))


def packed(path, kind, *more):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in [*FILES[kind][1].items(), *more]:
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "name",
    ["../x.txt", "/etc/x.txt", "a/../../x.txt", "..\\x.txt", "C:\\x.txt", "\\\\host\\x.txt"],
)
def test_a_name_that_leads_out_is_refused(tmp_path, kind, name):
    read(kind, packed(tmp_path / "good.zip", kind))
    with pytest.raises(FormatError, match="leads out of the archive"):
        read(kind, packed(tmp_path / "a.zip", kind, (name, "x")))


@pytest.mark.parametrize("kind", FILES)
def test_a_link_is_refused(tmp_path, kind):
    link = zipfile.ZipInfo("x.txt")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(FormatError, match="is a link, not a file"):
        read(kind, packed(tmp_path / "a.zip", kind, (link, "/etc/passwd")))


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path, kind):
    name = next(iter(FILES[kind][1]))
    with pytest.raises(FormatError, match="is in the archive twice"):
        read(kind, packed(tmp_path / "a.zip", kind, (name, "other")))


@pytest.mark.parametrize("kind", FILES)
def test_what_expands_beyond_measure_is_refused(tmp_path, kind):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in FILES[kind][1].items():
            archive.writestr(name, text + " " * FREE)
    with pytest.raises(FormatError, match="expands to more than"):
        read(kind, path)
