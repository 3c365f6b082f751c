"""Archives appear whole or not at all, whatever happens on the way."""

from __future__ import annotations

import os
import time

import pytest

from vidal.errors import InputError, OutputError
from vidal.exports import archive


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "texts"
    (folder / "labels").mkdir(parents=True)
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    return folder


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8 not much")
    return path


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_a_picture_that_changes_meanwhile_leaves_the_earlier_archive(
    tmp_path, texts, picture, name
):
    out = tmp_path / "place" / name
    with archive.workplace(out):
        archive.write(out, texts, {"images/a.jpg": (picture, archive.sha256(picture))})
    before = sorted((p, p.stat().st_mtime_ns) for p in out.parent.rglob("*"))
    with pytest.raises(InputError, match=r"a\.jpg: changed while"):
        archive.write(out, texts, {"images/a.jpg": (picture, "0" * 64)})
    picture.unlink()
    with pytest.raises((InputError, OutputError), match=r"no such file"):
        archive.write(out, texts, {"images/a.jpg": (picture, "0" * 64)})
    assert sorted((p, p.stat().st_mtime_ns) for p in out.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_a_disk_that_is_full_is_told_and_leaves_nothing(
    tmp_path, texts, picture, name, monkeypatch
):
    out = tmp_path / "place" / name
    out.parent.mkdir()

    def full(entry, write):
        write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_copy", full)
    with pytest.raises(OutputError, match="no space left on device"):
        archive.write(out, texts, {})
    assert list(out.parent.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_by_name(tmp_path, texts):
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="permission denied"):
        archive.write(tmp_path / "shut" / "out.zip", texts, {})


def test_a_place_below_a_file_is_refused_by_name(tmp_path, texts):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"), archive.workplace(tmp_path / "file" / "out.zip"):
        pass


def test_what_killed_runs_left_goes_after_a_day_and_nothing_else_does(tmp_path):
    old = tmp_path / ".out.zip-0123456789ab.vidal-tmp"
    young = tmp_path / ".out.zip-ba9876543210.vidal-tmp"
    other = tmp_path / ".other.zip-0123456789ab.vidal-tmp"
    for path in (old, young, other):
        path.mkdir()
    for path in (old, other):
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    with archive.workplace(tmp_path / "out.zip") as work:
        assert work.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted([young, other])


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_link_or_a_pipe_in_an_exported_folder_is_not_vidals(tmp_path, texts, kind):
    out = tmp_path / "out"
    archive.write(out, texts, {})
    odd = out / "odd"
    if kind == "link":
        odd.symlink_to(texts / "labels" / "a.txt")
    elif kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.mkdir()
        (odd / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="odd"):
        archive.write(out, texts, {})
