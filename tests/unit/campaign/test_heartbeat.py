"""The file that tells what runs in a folder, and the words made of it."""

import itertools
import json
import os
import subprocess
import sys
import time

import pytest

from vidal.campaign import heartbeat
from vidal.campaign.heartbeat import FILE, NOBODY, beating, disk, running
from vidal.cli.watching import disk_line, running_lines, work_words
from vidal.words import size_words


def test_a_running_command_is_told_of_and_nothing_is_left_when_it_is_done(tmp_path):
    with beating(tmp_path, "select", 3) as beat:
        beat.on("cpu")
        beat.stage("scanning", 100, unit="frame", items=2, item="clip")
        told = running(tmp_path)
        assert (told.command, told.round, told.device, told.pid) == (
            "select",
            3,
            "cpu",
            os.getpid(),
        )
        assert told.state == "running"
        assert (told.work.stage, told.work.total, told.work.items) == ("scanning", 100, 2)
    assert running(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_file_goes_also_where_the_command_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), beating(tmp_path, "train"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_written_about_once_a_second_however_often_news_come(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    with beating(tmp_path, "select") as beat:
        beat.stage("scanning", 10_000, unit="frame", items=1, item="clip")
        written = []
        for done in range(10_000):
            now[0] += 0.001  # ten seconds of a thousand frames each
            beat.advance(0, done)
            written.append((tmp_path / FILE).stat().st_ino)
        assert sum(a != b for a, b in itertools.pairwise(written)) in (9, 10)
        told = running(tmp_path).work
        assert told.rate == pytest.approx(1000, rel=0.01)
        assert told.left == pytest.approx((10_000 - told.done) / told.rate)


def test_news_cost_next_to_nothing(tmp_path):
    with beating(tmp_path, "select") as beat:
        beat.stage("scanning", 10**6, unit="frame", items=10, item="clip")
        began = time.process_time()
        for done in range(2000):
            beat.advance(3, done)
        assert time.process_time() - began < 0.5


def test_units_of_finished_items_count_whole(tmp_path):
    with beating(tmp_path, "select") as beat:
        beat.stage("scanning", 30, unit="frame", items=3, item="clip")
        beat.advance(1, 4)
        beat.finish(0, 10)
        beat.stage("again", 30)
        beat.stage("scanning", 30, unit="frame", items=3, item="clip")
        beat.finish(2, 10)
        beat._write()
        work = running(tmp_path).work
        assert (work.done, work.items_done) == (10, 1)


def test_the_file_of_a_killed_process_is_known_for_what_it_is(tmp_path):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from vidal.campaign.heartbeat import Heartbeat\n"
        "Heartbeat(Path(sys.argv[1]), 'train', 2)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    told = running(tmp_path)
    assert told.state == "gone"
    (line,) = running_lines(told.as_dict(), time.time())
    assert line.startswith("not running any more: vidal train of round 2")
    assert "run it again" in line


def test_a_process_of_the_same_number_that_began_later_is_another_one(tmp_path):
    with beating(tmp_path, "select"):
        value = json.loads((tmp_path / FILE).read_text())
        assert value["start"] is not None
        (tmp_path / FILE).write_text(json.dumps({**value, "start": value["start"] - 1}))
        assert running(tmp_path).state == "gone"


def test_a_process_of_another_machine_is_believed_for_ten_minutes(tmp_path):
    with beating(tmp_path, "select"):
        value = {**json.loads((tmp_path / FILE).read_text()), "host": "elsewhere", "pid": 1}
        (tmp_path / FILE).write_text(json.dumps(value))
        told = running(tmp_path)
        assert told.state == "elsewhere"
        assert "process 1 on elsewhere" in running_lines(told.as_dict(), time.time())[0]
        (tmp_path / FILE).write_text(json.dumps({**value, "beat": time.time() - 700}))
        assert running(tmp_path).state == "gone"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"command": 1}', "[" * 10**5, "\udc80"])
def test_a_damaged_file_says_nothing(tmp_path, text):
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert running(tmp_path) is None


def test_a_folder_that_cannot_be_written_costs_the_news_only(tmp_path):
    with beating(tmp_path / "not there", "select") as beat:
        beat.stage("scanning")
    NOBODY.stage("nothing")
    NOBODY.advance(0, 3)
    NOBODY.finish(0)


def test_what_runs_in_words():
    work = {
        "stage": "scanning", "done": 345, "total": 10_000, "unit": "frame", "items_done": 1,
        "items": 40, "item": "clip", "rate": 41.23, "left": 235.0,
    }  # fmt: skip
    words = "scanning: 1 of 40 clips, 345 of 10,000 frames (3 %), 41.2 frames/s, ETA 3:55"
    assert work_words(work) == words
    assert work_words(work, 35).endswith("ETA 3:20")
    one = {**work, "items": 1, "total": 1, "done": 1, "left": 0.0, "rate": None}
    assert work_words(one) == "scanning: 1 of 1 clip, 1 of 1 frame (100 %)"
    bare = {**work, "items": 0, "item": "", "total": 0, "rate": None, "left": None}
    assert work_words({**bare, "stage": "choosing"}) == "choosing"
    parts = {**bare, "stage": "writing pictures", "total": 6, "done": 3, "unit": ""}
    assert work_words(parts) == "writing pictures: 3 of 6 (50 %)"
    told = {
        "command": "select", "round": 0, "device": "cuda", "pid": 7, "host": "here", "beat": 100.0,
        "began": 40.0, "state": "running", "work": work,
    }  # fmt: skip
    lines = running_lines(told, 130.0)
    assert lines[0] == "running: vidal select of round 0, for 1:30, on cuda (process 7)"
    assert lines[-1] == "  last heard of 0:30 ago"
    assert running_lines(None, 0.0) == []


def test_disk_used_and_free(tmp_path):
    (tmp_path / "evidence" / "ab").mkdir(parents=True)
    (tmp_path / "evidence" / "ab" / "x").write_bytes(b"0" * 1500)
    found = disk(tmp_path, tmp_path / "evidence")
    assert found["evidence"] == 1500
    assert found["free"] > 0
    assert disk_line({**found, "free": 2.5e12}) == "disk: evidence 1.5 kB, 2.5 TB free"
    assert disk_line({"evidence": 0, "free": None}) == "disk: evidence 0 B"
    assert disk(tmp_path, tmp_path / "nowhere")["evidence"] == 0
    assert [size_words(n) for n in (999, 1000, 12_345_678, 3.1e15)] == [
        "999 B", "1.0 kB", "12 MB", "3100 TB",
    ]  # fmt: skip
