"""Files of fixed names in a folder of the user's."""

from __future__ import annotations

import json

import pytest

from vidal.errors import OutputBusy, OutputError
from vidal.store import lock
from vidal.store.own import RECORD, OwnFiles

NAMES = ("results.json", "report.html")


def write(own: OwnFiles, name: str, text: str) -> None:
    with own.replacing(name) as path:
        path.write_text(text)


def test_what_was_written_may_be_written_again(tmp_path):
    own = OwnFiles(tmp_path, NAMES)
    for text in ("one", "two", "three"):
        own.check()
        for name in NAMES:
            write(own, name, text)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*NAMES, RECORD))
    assert (tmp_path / "report.html").read_text() == "three"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("first", [True, False])
def test_what_somebody_else_wrote_or_changed_is_named_and_kept(tmp_path, name, first):
    own = OwnFiles(tmp_path, NAMES)
    if first:
        for each in NAMES:
            write(own, each, "vidal's")
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=name.replace(".", r"\.")):
        own.check()
    assert (tmp_path / name).read_text() == "mine"


def test_a_kill_between_the_record_and_the_file_leaves_a_folder_that_is_known(tmp_path):
    own = OwnFiles(tmp_path, NAMES)
    write(own, "report.html", "old")
    before = (tmp_path / "report.html").read_bytes()
    write(own, "report.html", "new")
    own.check()
    (tmp_path / "report.html").write_bytes(before)  # as if the last rename had not come about
    own.check()


def test_an_exception_leaves_the_old_file_and_no_other(tmp_path):
    own = OwnFiles(tmp_path, NAMES)
    write(own, "report.html", "old")
    with pytest.raises(TypeError), own.replacing("report.html") as path:
        path.write_text(3)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(("report.html", RECORD))
    own.check()


@pytest.mark.parametrize("text", ["", "[]", '{"report.html": 3}', "{"])
def test_a_broken_record_knows_nothing(tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputError):
        OwnFiles(tmp_path, NAMES).check()


def test_a_folder_of_an_earlier_version_is_taken_as_its_marker_says(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"format": "vidal-simulation"}))
    OwnFiles(tmp_path, NAMES, earlier=lambda: True).check()
    with pytest.raises(OutputError):
        OwnFiles(tmp_path, NAMES, earlier=lambda: False).check()


def test_one_block_at_a_time_holds_a_folder(tmp_path):
    with lock.locked(tmp_path):
        with pytest.raises(OutputBusy), lock.locked(tmp_path):
            pass
        assert (tmp_path / lock.NAME).exists()
    with lock.locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
