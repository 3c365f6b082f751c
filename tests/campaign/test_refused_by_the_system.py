"""Full disks, closed pipes, places without permission: one line, exit code 2, nothing half done."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidal.cli import main

DELAYS = [0.0, 0.3]
DELAYS += [pytest.param(0.1 * n, marks=pytest.mark.slow) for n in range(1, 20) if n != 3]
VIDAL = [sys.executable, "-m", "vidal"]
SELECT = ["select", "--detector", "scenes-tiny", "--device", "cpu", "--workers", "1", "--quiet"]


def run(*arguments: str | Path, **more) -> subprocess.CompletedProcess:
    command = [*VIDAL, *map(str, arguments)]
    if "stdout" not in more:
        more |= {"stdout": subprocess.PIPE}
    return subprocess.run(
        command, stderr=subprocess.PIPE, text=True, errors="replace", timeout=120, **more
    )


@pytest.fixture
def here(capsys):
    """Runs a command in this process: what it imports is there already."""

    def ran(*arguments: str | Path) -> subprocess.CompletedProcess:
        try:
            code = int(main([str(argument) for argument in arguments]) or 0)
        except SystemExit as error:
            code = int(error.code or 0)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    return ran


def refused(done: subprocess.CompletedProcess, words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert words in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("vidal: ")]
    assert len(told) == 1, done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid():
        pytest.skip("only root can mount a small file system")
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("command", [["strategies"], ["--help"], ["select", "--help"]])
def test_a_full_standard_output_is_told_in_one_line(command):
    with Path("/dev/full").open("w") as full:
        refused(run(*command, stdout=full), "no space left")


def test_a_summary_that_cannot_be_printed_is_told_after_the_result_is_whole(rendered, tmp_path):
    out = tmp_path / "out"
    with Path("/dev/full").open("w") as full:
        done = run(
            *SELECT, "--videos", rendered / "clips", "--out", out, "--strategy", "random",
            stdout=full,
        )  # fmt: skip
    refused(done, "cannot write the output: no space left")
    assert (out / "query.json").exists()


def test_a_closed_pipe_is_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    done = run("strategies", stdout=writing)
    os.close(writing)
    refused(done, "broken pipe")


@pytest.mark.parametrize("strategy", ["random", "entropy"])
def test_a_full_disk_under_out_leaves_no_result_and_no_leftover(
    small_disk, rendered, strategy, here
):
    out, cache = small_disk / "out", small_disk.parent / "cache"
    arguments = [*SELECT, "--videos", rendered / "clips", "--cache", cache, "--budget", "100"]
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300 * 1024))
    refused(here(*arguments, "--gap", "0", "--strategy", strategy, "--out", out), "no space left")
    assert not out.exists() or list(out.iterdir()) == []
    # With an earlier result: it stays.
    small = [*SELECT, "--videos", rendered / "clips", "--cache", cache, "--no-report"]
    assert here(*small, "--strategy", "random", "--budget", "1", "--out", out).returncode == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    refused(here(*arguments, "--gap", "0", "--strategy", strategy, "--out", out), "no space left")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_full_disk_under_the_cache_is_one_line(small_disk, rendered, tmp_path, here):
    (small_disk / "ballast").write_bytes(bytes(500 * 1024))
    out = tmp_path / "out"
    done = here(*SELECT, "--videos", rendered / "clips", "--cache", small_disk / "c", "--out", out)
    refused(done, "no space left")
    assert not out.exists()
    assert not list(small_disk.rglob("*.vidal-tmp"))


def test_scenes_and_demo_on_a_full_disk_are_one_line(small_disk, here):
    (small_disk / "ballast").write_bytes(bytes(500 * 1024))
    done = here("scenes", "--out", small_disk / "s", "--clips", "1", "--frames", "30-30", "--quiet")
    refused(done, "no space left")
    refused(here("demo", "--out", small_disk / "d", "--quiet"), "no space left")


@pytest.mark.parametrize("command", ["demo", "scenes", "select", "train-tracker"])
def test_an_output_place_below_a_file_is_one_line(command, rendered, tmp_path, here):
    place = tmp_path / "file"
    place.write_text("mine")
    more = ["--videos", rendered / "clips"] if command == "select" else []
    where = place / "below" if command == "train-tracker" else place
    refused(here(command, *more, "--out", where), str(place))
    assert place.read_text() == "mine"


@pytest.mark.parametrize("option", ["--out", "--cache"])
def test_a_place_that_is_read_only_is_one_line(option, rendered, here):
    done = here(*SELECT, "--videos", rendered / "clips", option, "/proc/vidal")
    refused(done, "/proc/vidal")
    assert not Path("selection").exists()


def children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_an_interrupt_while_workers_start_is_one_line_and_no_traceback(rendered, tmp_path, delay):
    """Sent to the whole group, as a terminal does."""
    arguments = [
        *VIDAL, "select", "--videos", rendered / "clips", "--out", tmp_path / "out",
        "--detector", "scenes-tiny", "--device", "cpu", "--workers", "3",
    ]  # fmt: skip
    process = subprocess.Popen(
        list(map(str, arguments)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # also where tests ignore it
    )
    ends = time.monotonic() + 300
    while len(children(process.pid)) < 2 and time.monotonic() < ends:  # the tracker, one worker
        time.sleep(0.005)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=300)
    assert "Traceback" not in told
    assert "KeyboardInterrupt" not in told
    # Python ends by the signal itself where the interrupt came into code that is made at run time;
    # a shell sees 130 either way.
    assert process.returncode in (130, -signal.SIGINT)
    assert told.count("vidal: interrupted") == 1
