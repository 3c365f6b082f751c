"""`vidal gather` as a user runs it: shards fill a store, and `vidal select` finds all of it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import vidal
from vidal.api.selections import ahead
from vidal.cli import main
from vidal.evidence.shards import Shard
from vidal.scenes import plan
from vidal.scenes.scene_files import write_scenes
from vidal.selection.gathering import gather_shard
from vidal.selection.plan import prepare_selection
from vidal.selection.run import run_selection

OPTIONS = ["--detector", "scenes-tiny", "--device", "cpu", "--workers", "1"]
QUICK = ["--strategy", "entropy"]
FRAMES = 16
"""Of each of three clips."""


def run(capsys, *arguments):
    """Exit status, stdout and stderr of a command in this process."""
    try:
        code = int(main([str(each) for each in arguments]) or 0)
    except SystemExit as error:
        code = int(error.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def gather(capsys, videos, store, *more):
    given = ["--videos", videos, "--store", store, "--json", *OPTIONS, *more]
    code, out, err = run(capsys, "gather", *given)
    assert not code, err
    return json.loads(out)


def contents(store):
    """What evidence a store holds, as far as selections read it: stable across orders of work."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.rglob("*")
        if path.is_file()
    }


def query(out):
    return (out / "query.json").read_bytes()


@pytest.fixture
def no_more_work(monkeypatch):
    """From now on nothing is scanned or estimated."""

    def forbid():
        def refused(*_, **__):
            raise AssertionError("evidence was computed")

        for step in ("first_step", "gather_window"):
            monkeypatch.setattr(f"vidal.evidence.gathering.{step}", refused)

    return forbid


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A folder with ``clips/``, three short ones."""
    out = tmp_path_factory.mktemp("short")
    write_scenes(out, plan(3, 5, frames=(FRAMES, FRAMES)))
    return out


@pytest.fixture(scope="module")
def alone(short, tmp_path_factory):
    """A selection that gathered its evidence itself."""
    folder = tmp_path_factory.mktemp("alone")
    given = ["--videos", str(short / "clips"), "--out", str(folder / "out"), "--budget", "5"]
    assert not main(["select", *given, "--no-report", "--quiet", *OPTIONS])
    return folder / "out"


def test_when_all_shards_are_done_a_selection_computes_nothing_and_is_the_same(
    short, tmp_path, capsys, alone, no_more_work
):
    told = [
        gather(capsys, short / "clips", tmp_path / "store", "--shard", f"{n}/2") for n in (1, 2)
    ]
    assert sum(each["clips"] for each in told) == 3
    assert sum(each["frames"] for each in told) == 3 * FRAMES
    assert all(each["new"] == each["clips"] >= 1 for each in told)
    no_more_work()
    given = ["--videos", short / "clips", "--store", tmp_path / "store", "--budget", "5"]
    code, _, err = run(capsys, "select", *given, "--out", tmp_path / "out", "--no-report", *OPTIONS)
    assert not code, err
    assert query(tmp_path / "out") == query(alone)


def test_without_a_store_it_is_the_one_where_the_selection_will_look(
    short, tmp_path, capsys, no_more_work
):
    given = ["--videos", short / "clips", "--out", tmp_path / "out", *OPTIONS, *QUICK]
    assert run(capsys, "gather", *given, "--quiet")[0] == 0
    no_more_work()
    code, _, err = run(capsys, "select", *given, "--budget", "2", "--no-report", "--quiet")
    assert not code, err


def test_a_shard_run_twice_or_overlapping_another_computes_nothing_again(
    short, tmp_path, capsys, no_more_work
):
    gather(capsys, short / "clips", tmp_path, "--shard", "1/2", *QUICK)
    gather(capsys, short / "clips", tmp_path, "--shard", "2/2", *QUICK)
    before = contents(tmp_path)
    no_more_work()
    assert gather(capsys, short / "clips", tmp_path, "--shard", "2/2", *QUICK)["new"] == 0
    assert gather(capsys, short / "clips", tmp_path, *QUICK)["new"] == 0
    assert contents(tmp_path) == before


def test_more_shards_than_clips_leave_some_with_nothing_to_do(short, tmp_path, capsys):
    told = [
        gather(capsys, short / "clips", tmp_path, "--shard", f"{n}/5", "--strategy", "random")
        for n in range(1, 6)
    ]
    assert sorted(each["clips"] for each in told) == [0, 0, 1, 1, 1]
    assert not any(each["divided"] for each in told)  # none is longer than a window
    assert not any(each["needed"] for each in told)


def test_the_words_say_what_was_done_and_what_was_skipped(short, tmp_path, capsys):
    clips = tmp_path / "clips"
    shutil.copytree(short / "clips", clips)
    (clips / "broken.mp4").write_bytes(b"no video")
    given = ["--videos", clips, "--store", tmp_path / "store", "--quiet", *OPTIONS, *QUICK]
    code, out, _ = run(capsys, "gather", *given)
    assert code == 0
    assert out.startswith("shard 1/1: evidence of 3 clips (48 frames) is in ")
    assert "; 3 clips computed now" in out
    assert "skipped" in out
    assert "broken.mp4" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--shard", "0/3"], "counted from 1"),
        (["--shard", "x"], "NUMBER/HOW MANY"),
        (["--engine", "local", "--workers", "2"], "engine local with 2 workers"),
        (["--ray-address", "auto"], "Give --engine ray"),
        (["--engine", "ray", "--ray-address", "ray://head:10001"], "on a machine of the cluster"),
        (["--strategy", "nonsense"], "unknown strategy"),
        (["--no-report"], "No such option"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(short, tmp_path, capsys, more, words):
    given = ["--videos", short / "clips", "--store", tmp_path]
    code, _, err = run(capsys, "gather", *given, "--detector", "scenes-tiny", *more)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_a_folder_without_clips_is_refused(tmp_path, capsys):
    code, _, err = run(capsys, "gather", "--videos", tmp_path, *OPTIONS)
    assert code == 2
    assert str(tmp_path) in err


def children(parent):
    """Process ids of the children of a process."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = place.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(words[1]) == parent:
            found.append(int(place.parent.name))
    return found


def has_open(pid, path):
    """Whether a process has a file open."""
    try:
        return any(each.readlink() == path for each in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
@pytest.mark.slow  # on a busy machine a worker may be done before the look that would kill it
def test_killed_workers_are_told_by_the_status_and_the_next_run_finishes(short, tmp_path):
    """Every worker that opens one of the clips is killed, as where memory runs out."""
    victim = sorted((short / "clips").resolve().iterdir())[1]
    command = [sys.executable, "-m", "vidal", "gather", "--videos", str(short / "clips")]
    command += ["--store", str(tmp_path / "store"), "--json", *OPTIONS[:-1], "2", *QUICK]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    first = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    kills = 0
    while first.poll() is None:
        for pid in children(first.pid):
            if has_open(pid, victim):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        time.sleep(0.005)
    assert kills == 3
    assert first.returncode == 1
    assert first.stdout is not None
    told = json.loads(first.stdout.read())
    assert told["clips"] == 2
    (lost,) = told["skipped"]
    assert lost["path"] == str(victim)
    assert lost["reason"] == "its worker was killed by SIGKILL three times (out of memory?)"
    assert lost["again"]
    second = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    assert (told["clips"], told["new"], told["skipped"]) == (3, 1, [])


def test_an_interrupted_shard_goes_on_where_it_was(rendered, tmp_path):
    command = [sys.executable, "-m", "vidal", "gather", "--videos", str(rendered / "clips")]
    command += ["--store", str(tmp_path / "store"), *OPTIONS]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    first = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    line = first.stderr.readline()  # the first clip is done
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 130, line
    second = subprocess.run(
        [*command, "--json"], env=env, capture_output=True, text=True, check=True
    )
    told = json.loads(second.stdout)
    assert told["clips"] == 3
    assert told["new"] < 3


def test_python_gathers_as_the_command_does(short, tmp_path, no_more_work):
    clips = short / "clips"
    options = {
        "strategy": "entropy",
        "cache": tmp_path,
        "detector": "scenes-tiny",
        "device": "cpu",
        "workers": 1,
    }
    done = [vidal.gather(clips, shard=f"{n}/2", progress=False, **options) for n in (1, 2)]
    assert sum(each.clips for each in done) == 3
    no_more_work()
    assert len(vidal.select(clips, budget=3, progress=False, **options)) == 3


def test_a_campaign_is_gathered_by_shards_and_its_round_computes_nothing(
    short, tmp_path, capsys, no_more_work
):
    work = vidal.Campaign.create(
        tmp_path / "work",
        videos=short / "clips",
        classes=["car", "pedestrian", "cyclist", "wheelchair"],
        detector="scenes-tiny",
        device="cpu",
        initial="2",
        settings={"selection.initial_strategy": "entropy", "workers": 1},
    )
    record = (work.folder / "campaign.sqlite").read_bytes()
    for number in (1, 2):
        given = ["--campaign", work.folder, "--shard", f"{number}/2", "--json"]
        code, out, err = run(capsys, "gather", *given)
        assert code == 0, err
        assert 1 <= json.loads(out)["new"] <= 2
    assert work.gather("1/2", progress=False).new == 0
    assert (work.folder / "campaign.sqlite").read_bytes() == record
    no_more_work()
    assert len(work.select(report=False, progress=False)) == 2
    code, _, err = run(capsys, "gather", "--campaign", work.folder)
    assert code == 2
    assert "not answered yet" in err
    code, _, err = run(capsys, "gather", "--campaign", work.folder, "--threshold", "0.3")
    assert code == 2
    assert "campaign.yaml" in err


class Silent:
    """A watcher that says nothing."""

    def begin(self, clips, known):
        self.frames = sum(clip.frames for clip in clips)

    def advance(self, item, done, total):
        pass

    def finish(self, item, remark):
        pass


def test_long_clips_are_divided_window_by_window_and_give_the_same_query(
    short, tmp_path, no_more_work, alone
):
    coming = ahead(
        short / "clips",
        budget="5",
        strategy="expected-errors",
        cache=tmp_path,
        detector="scenes-tiny",
        device="cpu",
        workers=1,
    )
    job, engines = coming.job.plan, coming.job.engines
    job = replace(job, evidence=replace(job.evidence, window=4))
    told = [
        gather_shard(job, Shard(number, 4), engines=engines, watcher=Silent())
        for number in range(1, 5)
    ]
    assert [each.clips for each in told] == [0, 0, 0, 0]
    assert [each.divided for each in told] == [3, 3, 3, 3]
    assert [each.frames for each in told] == [12, 12, 12, 12]
    no_more_work()
    prepared = prepare_selection(job, engines=engines)
    result = run_selection(job, prepared, engines=engines, watcher=Silent())
    chosen = json.loads((alone / "query.json").read_text())["frames"]
    assert [(ref.clip, ref.index) for ref in result.query.frames] == [
        (frame["clip"], frame["ordinal"]) for frame in chosen
    ]
    assert list(result.query.scores) == [frame["score"] for frame in chosen]


def test_stores_of_machines_without_a_common_folder_are_put_together_by_copying(
    short, tmp_path, capsys, no_more_work, alone
):
    for number in (1, 2):
        store = tmp_path / f"store-{number}"
        gather(capsys, short / "clips", store, "--shard", f"{number}/2")
        if number == 1:  # one packed, one as it was added
            assert run(capsys, "cache", "pack", store)[0] == 0
            assert list(store.glob("shards/*.parquet"))
        shutil.copytree(store, tmp_path / "both", dirs_exist_ok=True)
    no_more_work()
    given = ["--videos", short / "clips", "--store", tmp_path / "both", "--budget", "5"]
    code, _, err = run(capsys, "select", *given, "--out", tmp_path / "out", "--no-report", *OPTIONS)
    assert not code, err
    assert query(tmp_path / "out") == query(alone)
