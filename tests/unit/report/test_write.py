"""What one selection leaves on disk, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import OutputBusy, OutputError, UnreadableClip
from vidal.report.place import FILES, claimed
from vidal.report.query_files import read_query
from vidal.report.write import write_outputs
from vidal.types import (
    Explanation,
    FrameRef,
    Query,
)
from vidal.video import read_frame, read_image, write_video


def test_pictures_are_the_selected_frames_in_full_size(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["drive-0a_000004.jpg", "drive-0a_000017.jpg"]
    for name, index in zip(names, (4, 17), strict=True):
        picture = read_image(tmp_path / "frames" / name)
        assert picture is not None
        assert picture.shape == (48, 64, 3)
        expected = read_frame(video, index).image.astype(float)
        assert np.abs(picture - expected).mean() < 3


def test_an_empty_selection_is_written_too(build, video, tmp_path):
    query = Query(0, (), np.zeros(0), Explanation((), {}), 3)
    write_outputs(build.result(video, query=query), tmp_path)
    assert read_query(tmp_path / "query.json").frames == ()
    assert "0 of 20 frames (0 %)" in build.page(tmp_path).text


def test_the_same_selection_gives_the_same_bytes(build, video, tmp_path):
    for name in ("a", "b"):
        write_outputs(build.result(video), tmp_path / name)
    for name in ("query.json", "query.csv", "preannotations.coco.json", "report.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_pictures_and_report_of_an_earlier_selection_are_removed(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    result = build.result(video)
    query = replace(result.query, frames=(FrameRef("drive-0a", 9), FrameRef("drive-0a", 17)))
    written = write_outputs(replace(result, query=query), tmp_path, report=False)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["drive-0a_000009.jpg", "drive-0a_000017.jpg"]
    assert not (tmp_path / "report.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_a_frame_that_does_not_decode_is_named_and_leaves_the_earlier_result(
    build, video, tmp_path
):
    out = tmp_path / "out"
    write_outputs(build.result(video), out)
    before = contents(out)
    cut = tmp_path / "cut.mp4"
    write_video(cut, (np.zeros((48, 64, 3), np.uint8) for _ in range(10)), Fraction(10))
    result = build.result(replace(video, path=cut))
    with pytest.raises(UnreadableClip, match="frame 17"):
        write_outputs(result, out)
    assert contents(out) == before


def test_a_failure_while_moving_into_place_puts_the_earlier_result_back(
    build, video, tmp_path, monkeypatch
):
    write_outputs(build.result(video), tmp_path)
    before = contents(tmp_path)
    rename = Path.rename

    def full(self, target):
        if self.parent.name == "new" and self.name == "report.html":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OutputError, match="no space left"):
        write_outputs(build.random(video), tmp_path)
    assert contents(tmp_path) == before


def test_files_of_the_user_in_the_frames_folder_are_never_removed(build, video, tmp_path):
    mine = tmp_path / "frames" / "mine.png"
    mine.parent.mkdir()
    mine.write_bytes(b"x")
    with pytest.raises(OutputError, match=r"mine\.png"):
        write_outputs(build.result(video), tmp_path)
    mine.unlink()
    write_outputs(build.result(video), tmp_path)
    (tmp_path / "frames" / "labels.txt").write_text("by hand")
    with pytest.raises(OutputError, match=r"labels\.txt"), claimed(tmp_path):
        pass
    assert (tmp_path / "frames" / "labels.txt").read_text() == "by hand"


OUTPUTS = ("report.html", "query.csv", "query.json", "preannotations.coco.json", "frames/a.jpg")


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("text", ["mine", "{}", '{"format": "vidal-query", "schema": 1}', ""])
def test_a_file_of_the_user_with_the_name_of_an_output_is_named_and_kept(
    build, video, tmp_path, name, text
):
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text(text)
    with pytest.raises(OutputError, match=name.replace(".", r"\.")) as caught:
        write_outputs(build.result(video), tmp_path)
    assert "--out" in caught.value.hint
    assert contents(tmp_path) == {name: text.encode()}


@pytest.mark.parametrize("name", ["report.html", "query.csv", "preannotations.coco.json"])
@pytest.mark.parametrize("first", [True, False])
def test_a_users_file_beside_vidals_own_result_is_kept(build, video, tmp_path, name, first):
    """Beside a result without that file, and instead of the file that vidal had written."""
    write_outputs(build.result(video), tmp_path, report=not first)
    if first and name != "report.html":
        (tmp_path / name).unlink()
    (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=name.replace(".", r"\.")):
        write_outputs(build.result(video), tmp_path)
    assert contents(tmp_path) == before


def test_a_result_that_was_edited_by_hand_is_kept(build, video, tmp_path):
    for name, old, new in (
        ("preannotations.coco.json", '"iscrowd":0', '"iscrowd":1'),
        ("query.json", "Few links.", "My remark."),
        ("query.csv", "no score", "a note"),
    ):
        out = tmp_path / name
        write_outputs(build.result(video), out)
        path = out / name
        path.write_text(path.read_text().replace(old, new))
        before = contents(out)
        with pytest.raises(OutputError, match=r"was changed since"):
            write_outputs(build.result(video), out)
        assert contents(out) == before


def test_a_picture_that_was_drawn_upon_is_kept(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    picture = next((tmp_path / "frames").iterdir())
    picture.write_bytes(picture.read_bytes() + b"drawn upon")
    with pytest.raises(OutputError, match=picture.name):
        write_outputs(build.result(video), tmp_path)
    assert picture.read_bytes().endswith(b"drawn upon")


def test_links_are_no_files_of_vidals(build, video, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "frames").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="frames"):
        write_outputs(build.result(video), out)
    (out / "frames").unlink()
    (out / "report.html").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="report"):
        write_outputs(build.result(video), out)
    assert (out / "report.html").is_symlink()


def test_other_files_beside_a_result_stay(build, video, tmp_path):
    mine = {".writing/notes.txt": b"a", "notes.txt": b"b", "old/query.json": b"c"}
    for name, data in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    for _ in range(2):
        write_outputs(build.result(video), tmp_path)
    assert mine.items() <= contents(tmp_path).items()


def test_a_result_of_a_version_that_kept_no_list_may_be_replaced(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    path = tmp_path / "query.json"
    content = json.loads(path.read_text())
    del content["files"], content["digest"]
    path.write_text(json.dumps(content))
    write_outputs(build.result(video), tmp_path)
    assert "files" in json.loads(path.read_text())


def test_a_result_that_was_copied_or_moved_is_still_vidals_own(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    write_outputs(build.random(video), tmp_path / "b")


def test_a_second_run_into_one_folder_is_refused_while_the_first_works(build, video, tmp_path):
    with claimed(tmp_path) as place:
        with pytest.raises(OutputBusy, match="is writing there") as caught:
            write_outputs(build.result(video), tmp_path)
        assert caught.value.pid == os.getpid()
        write_outputs(build.result(video), place)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    write_outputs(build.result(video), tmp_path)


def test_a_claim_that_came_to_nothing_leaves_no_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "out"):
        raise ZeroDivisionError
    assert not (tmp_path / "out").exists()


def test_a_lock_that_a_killed_run_left_means_nothing(build, video, tmp_path):
    (tmp_path / ".vidal-lock").write_text("1\n")
    write_outputs(build.result(video), tmp_path)
    assert not (tmp_path / ".vidal-lock").exists()


def test_an_output_place_that_is_a_file_is_refused_before_any_work(build, video, tmp_path):
    place = tmp_path / "out"
    place.write_text("a file")

    def load(name):
        raise AssertionError("work was done")

    with pytest.raises(OutputError):
        write_outputs(build.result(video, load=load), place)
    with pytest.raises(OutputError), claimed(place / "below"):
        pass


def test_progress_counts_frames_and_clips_to_the_end(build, video, tmp_path):
    calls = []
    write_outputs(build.result(video), tmp_path, progress=lambda *call: calls.append(call))
    assert ("frames", 2, 2) in calls
    assert ("clips", 1, 1) in calls


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program may handle it."""


@pytest.mark.parametrize("moves", range(9))
def test_a_run_killed_while_moving_leaves_the_earlier_result_to_the_next(
    build, video, tmp_path, monkeypatch, moves
):
    import vidal.report.place as module

    write_outputs(build.result(video), tmp_path)
    before = contents(tmp_path)
    result = build.result(video)
    changed = replace(result.query, frames=(FrameRef("drive-0a", 9), FrameRef("drive-0a", 17)))
    move, left = module._move, [moves]

    def failing(source: Path, target: Path) -> tuple[Path, Path]:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_move", failing)
        patch.setattr(module.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            write_outputs(replace(result, query=changed), tmp_path, report=False)
    with claimed(tmp_path):
        pass
    assert contents(tmp_path) == before
    write_outputs(replace(result, query=changed), tmp_path, report=False)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["drive-0a_000009.jpg", "drive-0a_000017.jpg"]
