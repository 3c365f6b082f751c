"""What `vidal select` says and writes, as a user sees it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import pytest

from vidal.cli import COMMANDS, cli, main
from vidal.cli.select import HEADINGS
from vidal.cli.select import command as select_command
from vidal.report import read_query
from vidal.store import FileStore
from vidal.store.packing import pack_all


def vidal(*arguments: str | Path) -> int:
    """Run a command in this process; its exit code."""
    try:
        return int(main([str(argument) for argument in arguments]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


def select(*more: str | Path) -> int:
    fixed = ["--detector", "scenes-tiny", "--device", "cpu", "--workers", "1"]
    return vidal("select", *fixed, *more)


@pytest.fixture
def clips(rendered, tmp_path) -> Path:
    """Two clips of one name in two folders."""
    first, second, *_ = sorted((rendered / "clips").iterdir())
    for folder, path in (("a", first), ("b", second)):
        (tmp_path / "clips" / folder).mkdir(parents=True)
        shutil.copy(path, tmp_path / "clips" / folder / "video.mp4")
    return tmp_path / "clips"


def test_every_option_stands_under_one_heading():
    named = [name for names in HEADINGS.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) == {param.name for param in select_command.params}
    text = select_command.get_help(click.Context(select_command))
    assert all(f"{heading}:" in text for heading in HEADINGS)


def commands():
    """(name, command) of all, those of `vidal images` too."""
    group = click.Context(cli)
    for name in COMMANDS:
        found = cli.get_command(group, name)
        yield name, found
        for below in getattr(found, "commands", {}):
            yield f"{name} {below}", found.commands[below]


def test_the_help_of_every_command_with_many_options_is_in_groups():
    for name, found in commands():
        options = [p.name for p in found.params if isinstance(p, click.Option) and not p.hidden]
        headings = getattr(found, "headings", {})
        assert len(options) < 9 or headings, name
        listed = [each for names in headings.values() for each in names]
        assert len(listed) == len(set(listed)), name
        assert not headings or set(options) <= set(listed), name
        text = found.get_help(click.Context(found))
        assert text.count("--help  ") == 1, name


def test_one_frame_is_one_frame_and_clips_of_one_name_are_told_apart(clips, tmp_path, capsys):
    where = ("--videos", clips, "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    assert select(*where, "--strategy", "entropy", "--budget", "1") == 0
    said = capsys.readouterr()
    assert said.out.startswith("chose 1 frame (1 of 80 frames of 2 clips) by entropy")
    assert "a/video.mp4: 40 frames" in said.err
    assert "b/video.mp4: 40 frames" in said.err
    assert select(*where, "--strategy", "entropy", "--budget", "1", "--dry-run") == 0
    assert capsys.readouterr().out.startswith("would choose 1 frame (")


@pytest.mark.parametrize("name", ["report.html", "query.csv", "query.json", "frames"])
def test_a_file_of_the_user_is_refused_before_any_work(clips, tmp_path, capsys, name):
    out, cache = tmp_path / "out", tmp_path / "cache"
    out.mkdir()
    (out / name).write_text("mine")
    assert select("--videos", clips, "--out", out, "--cache", cache) == 2
    said = capsys.readouterr().err
    assert name in said
    assert "--out" in said
    assert "scanning" not in said
    assert not cache.exists()
    assert [path.name for path in out.iterdir()] == [name]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--classes", "tram"), "unknown class 'tram'"),
        (("--weights", "junk.safetensors"), "not a readable safetensors file"),
        (("--weights", "yolox.onnx"), "--detections"),
        (("--detector", "auto", "--classes", "lorry"), "unknown class 'lorry'"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would_refuse(clips, tmp_path, capsys, more, words):
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    (tmp_path / "yolox.onnx").write_bytes(b"junk")
    given = [tmp_path / word if "." in word else word for word in more]
    out = tmp_path / "out"
    assert select("--videos", clips, "--out", out, *given, "--dry-run") == 2
    assert words in capsys.readouterr().err
    assert not (out / "query.json").exists()


@pytest.mark.parametrize("strategy", ["random", "expected-errors"])
def test_clips_with_hostile_names_are_selected_and_read_back(rendered, tmp_path, capsys, strategy):
    names = [b"caf\xe9.mp4", b"n" * 240 + b".mp4", b"=1+1\nx.mp4", b"-out.mp4"]
    folder = tmp_path / "clips"
    folder.mkdir()
    sources = sorted((rendered / "clips").iterdir())
    paths = [folder / os.fsdecode(name) for name in names]
    for path, source in zip(paths, [*sources, sources[0]], strict=True):
        shutil.copy(source, path)
    out = tmp_path / "out"
    assert select("--videos", folder, "--out", out, "--strategy", strategy, "--budget", "40") == 0
    said = capsys.readouterr().out
    assert "skipped" not in said
    query = read_query(out / "query.json")
    assert {frame.path for frame in query.frames} == set(paths)
    assert all((out / frame.file).is_file() for frame in query.frames)
    assert select("--videos", folder, "--out", out, "--strategy", strategy, "--budget", "2") == 0


def test_evidence_that_turns_out_to_be_damaged_is_computed_again(clips, tmp_path, capsys):
    where = ("--videos", clips, "--cache", tmp_path / "cache", "--strategy", "expected-errors")
    assert select(*where, "--out", tmp_path / "a") == 0
    store = FileStore(tmp_path / "cache")
    for path in store.root.rglob("*.npz"):
        data = bytearray(path.read_bytes())
        if len(data) > 4000:
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
    assert select(*where, "--out", tmp_path / "b") == 0
    pack_all(store)
    for path in (store.root / "shards").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    assert select(*where, "--out", tmp_path / "c") == 0
    a, b, c = (json.loads((tmp_path / name / "query.json").read_text()) for name in "abc")
    for each in (*a["frames"], *b["frames"], *c["frames"]):
        each.pop("path")
    assert a["frames"] == b["frames"] == c["frames"]


def test_the_report_can_be_told_elsewhere(clips, tmp_path, capsys):
    work = tmp_path / "work"
    begin = ("init", work, "--videos", clips, "--detector", "scenes-tiny", "--budget", "2")
    assert vidal(*begin, "--initial", "2", "--classes", "car", "--device", "cpu") == 0
    assert vidal("select", "--campaign", work, "--quiet") == 0
    query = work / "queries" / "round-000"
    (query / "preannotations.coco.json").write_text("corrected by hand")
    assert vidal("report", work, "--round", "newest", "--quiet") == 2
    assert "preannotations.coco.json" in capsys.readouterr().err
    assert (query / "preannotations.coco.json").read_text() == "corrected by hand"
    assert vidal("report", work, "--round", "0", "--quiet", "--out", tmp_path / "again") == 0
    assert (tmp_path / "again" / "report.html").is_file()
