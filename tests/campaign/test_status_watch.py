"""``vidal status --watch`` as a terminal shows it, beside a command in another process."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from vidal.campaign.folder import locked
from vidal.campaign.heartbeat import beating
from vidal.cli import main
from vidal.scenes import plan
from vidal.scenes.scene_files import write_scenes

VIDAL = [sys.executable, "-c", "from vidal.cli import main; main()"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    home = tmp_path_factory.mktemp("watched")
    write_scenes(home, plan(2, 5, frames=(12, 12)))
    given = home / "given"  # a detector of one's own, so that nothing waits for torch
    given.mkdir()
    for clip in sorted((home / "clips").iterdir()):
        lines = "".join(json.dumps({"frame": i, "dets": []}) + "\n" for i in range(12))
        (given / f"{clip.stem}.jsonl").write_text(lines)
    main(["init", str(home / "work"), "--videos", str(home / "clips"), "--classes", "car",
          "--detections", str(given), "--budget", "2", "--initial", "2"])  # fmt: skip
    return home / "work"


def heeding():
    """A child heeds interrupts, also where the tests were started to ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def watched(folder, until: str, seconds: float = 300.0, **environment) -> tuple[str, int]:
    """What a terminal has shown when ``until`` was seen (or time is up), and the exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        heeding()
        os.execvpe(VIDAL[0], [*VIDAL, "status", str(folder), "--watch"],
                   {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment})  # fmt: skip
    shown, end = "", time.monotonic() + seconds
    while until not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536).decode("utf-8", "replace")
    os.kill(pid, signal.SIGINT)
    try:
        while select.select([terminal], [], [], 20)[0]:
            shown += os.read(terminal, 65536).decode("utf-8", "replace")
    except OSError:
        pass  # the other side is closed
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return shown, code


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_it_shows_what_another_process_does_on_a_locked_campaign(work):
    with locked(work), beating(work, "select", 0) as beat:
        beat.on("cpu")
        beat.stage("scanning", 24, unit="frame", items=2, item="clip")
        beat.finish(0, 12)
        beat._write()
        shown, code = watched(work, "Ctrl-C ends watching")
    assert code == 0
    text = plain(shown)
    assert "Traceback" not in text
    assert "0 of 24 frames labelled" in text
    assert "running: vidal select of round 0" in text
    assert "on cpu" in text
    assert "scanning: 1 of 2 clips, 12 of 24 frames (50 %)" in text
    assert "disk: evidence" in text
    assert "free" in text
    assert "━" in text  # the bar
    assert shown.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_it_waits_where_nothing_runs_and_shows_no_colours_where_none_are_wanted(work):
    shown, code = watched(work, "Ctrl-C ends watching", NO_COLOR="1")
    assert code == 0
    assert "nothing is running" in plain(shown)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)
    shown, code = watched(work, "nothing is running", TERM="dumb")
    assert code == 0
    assert "\x1b[" not in shown


def test_it_prints_lines_into_a_pipe_and_ends_cleanly(work):
    ran = subprocess.Popen([*VIDAL, "status", str(work), "--watch"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, preexec_fn=heeding)  # fmt: skip
    lines = [ran.stdout.readline()]
    while not lines[-1].startswith("next:"):
        lines.append(ran.stdout.readline())
    assert lines[0].startswith("campaign 'work'")
    assert "nothing is running\n" in lines
    ran.send_signal(signal.SIGINT)
    _, errors = ran.communicate(timeout=300)
    assert ran.returncode == 0
    assert errors == ""


def test_one_look_says_what_runs_also_as_json(work, capsys):
    with beating(work, "train", 1):
        main(["status", str(work)])
        assert "running: vidal train of round 1" in capsys.readouterr().out
        main(["status", str(work), "--json"])
        told = json.loads(capsys.readouterr().out)
    assert told["running"]["command"] == "train"
    assert told["running"]["state"] == "running"
    assert set(told["disk"]) == {"evidence", "free"}
    main(["status", str(work), "--json"])
    assert json.loads(capsys.readouterr().out)["running"] is None


def test_a_selection_beats_while_it_runs_and_leaves_no_file(work):
    ran = subprocess.Popen([*VIDAL, "select", "--campaign", str(work), "--quiet", "--no-report"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    seen = False
    while ran.poll() is None:
        seen = seen or (work / ".running.json").exists()
        time.sleep(0.01)
    assert ran.returncode == 0, ran.stderr.read().decode()
    assert seen
    assert not (work / ".running.json").exists()
    ran.communicate()


def test_watching_and_json_do_not_go_together(work, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["status", str(work), "--watch", "--json"])
    assert ended.value.code == 2
    assert "do not go together" in capsys.readouterr().err


def test_the_folder_of_a_simulation_may_be_looked_at(tmp_path, capsys):
    out = tmp_path / "simulation"
    rows = out / "runs" / "random-0" / "rows"
    rows.mkdir(parents=True)
    (rows / "round-001.json").write_text("{}")
    with beating(out, "simulate") as beat:
        beat.stage("runs", 10, items=1, item="run")
        main(["status", str(out)])
        said = capsys.readouterr().out
    assert "simulation 'simulation': 1 run begun, 1 round done" in said
    assert "running: vidal simulate" in said
    assert "runs: 0 of 1 run" in said
