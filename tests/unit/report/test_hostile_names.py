"""Names that may hold anything, in everything that a selection writes."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest

from vidal.report.frames import frame_names
from vidal.report.query_files import clean, csv_text, csv_value, read_query
from vidal.report.write import write_outputs
from vidal.types import Explanation, FrameRef, Query
from vidal.words import printable

NAMES = [
    b"caf\xe9.mp4",
    b"\xff\xfe\x80.mp4",
    b"n" * 240 + b".mp4",
    b"line\nbreak\r\tand tab.mp4",
    b"quo\"te'and`.mp4",
    b"=cmd|' C calc'!A0.mp4",
    b"+1.mp4",
    b"-rf.mp4",
    b"@sum.mp4",
    b"'quoted.mp4",
    b"<script>alert(1)<script>.mp4",
    "\N{PILE OF POO}\u202egpj.mp4".encode(),
    b"100%41.mp4",
    b"A.mp4",
    b"a.mp4",
    b"{{ config }}.mp4",
    b"a#b?c&d.mp4",
]


@pytest.fixture
def hostile(build, video, tmp_path):
    """A result with one frame of a clip of each name, the names as ids too."""
    clips, frames = {}, []
    (tmp_path / "clips").mkdir()
    for data in NAMES:
        path = tmp_path / "clips" / os.fsdecode(data)
        shutil.copy(video.path, path)
        clip = replace(video, id=path.stem, path=path)
        clips[clip.id] = clip
        frames.append(FrameRef(clip.id, 4))
    count = len(frames)
    words = tuple(f"=reason of {name}" for name in clips)
    query = Query(0, tuple(frames), np.full(count, -1.5), Explanation(words, {}), count)
    old = build.result(video).load("drive-0a")
    return build.result(
        video,
        query=query,
        clips=clips,
        load=lambda name: replace(old, clip=clips[name]),
        notes=(f"A note on {os.fsdecode(NAMES[0])}.",),
        settings={"labels": os.fsdecode(NAMES[1])},
    )


def test_every_file_is_written_and_reads_back_to_the_same_paths(hostile, tmp_path):
    out = tmp_path / "out"
    write_outputs(hostile, out)
    read = read_query(out / "query.json")
    assert [frame.path for frame in read.frames] == [c.path for c in hostile.clips.values()]
    assert all((out / frame.file).is_file() for frame in read.frames)
    assert len({frame.file.casefold() for frame in read.frames}) == len(NAMES)
    for name in ("query.json", "preannotations.coco.json", "query.csv", "report.html"):
        (out / name).read_bytes().decode("utf-8")
    content = json.loads((out / "query.json").read_text())
    coco = json.loads((out / "preannotations.coco.json").read_text())
    for entry in (*content["frames"], *coco["videos"]):
        entry["path"].encode()  # no lone surrogate, which strict JSON readers refuse
    write_outputs(hostile, out)


def test_the_spreadsheet_holds_no_formula_and_gives_every_text_back(hostile, tmp_path):
    write_outputs(hostile, tmp_path / "out")
    with (tmp_path / "out" / "query.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    content = json.loads((tmp_path / "out" / "query.json").read_text())
    assert len(rows) == len(NAMES)
    for row, frame in zip(rows, content["frames"], strict=True):
        for name in ("clip", "path", "reason", "file"):
            assert not row[name].startswith(("=", "+", "-", "@", "\t", "\r"))
            assert csv_value(row[name]) == frame[name]
        assert row["score"] == "-1.5"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "'a", "''=1", "a", ""])
def test_a_safe_cell_reads_back_to_its_text(text):
    assert csv_value(csv_text(text)) == text


def test_the_report_shows_hostile_names_as_text(build, hostile, tmp_path):
    write_outputs(hostile, tmp_path / "out")
    page = build.page(tmp_path / "out")
    assert [tag for tag, _ in page.tags].count("script") == 1
    titles = "".join(attrs.get("title") or "" for _, attrs in page.tags)
    assert "\u202e" not in titles
    assert "caf\\xe9.mp4" in titles
    links = [attrs["href"] or "" for tag, attrs in page.tags if tag == "a" and "href" in attrs]
    pictures = [unquote(link) for link in links if link.startswith("frames/")]
    assert len(pictures) == len(NAMES)
    assert all((tmp_path / "out" / picture).is_file() for picture in pictures)


def test_picture_names_are_short_distinct_and_plain():
    ids = ["n" * 240 + "a", "n" * 240 + "b", "\u00e9" * 120, "N" * 240 + "a", "a", "A", "a:", "a?"]
    names = frame_names([FrameRef(name, 1_000_000) for name in ids])
    assert len({name.casefold() for name in names.values()}) == len(ids)
    assert all(len(os.fsencode(name)) <= 200 for name in names.values())


def test_one_line_stays_one_line():
    assert printable("a\nb\x1b[31m\u202ec\udce9") == "a\\nb\\x1b[31m\\u202ec\\xe9"
    assert clean("caf\udce9 \u00e9\n") == "caf\\xe9 \u00e9\n"
