"""Damaged, locked and read-only records, full disks, several processes: one line, nothing mixed."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from vidal.campaign import _sql
from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.errors import CampaignError

FIXTURE = Path(__file__).parents[1] / "fixtures" / "campaign_v1"
ALL = (
    ["status", "{w}"],
    ["withdraw", "{w}"],
    ["train", "{w}"],
    ["report", "{w}"],
    ["select", "--campaign", "{w}"],
    ["import", "{w}", "--from", "{p}/part.json"],
    ["relink", "{w}"],
)


def vidal(capsys, *arguments) -> tuple[int, str]:
    """Exit status and everything printed."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.fixture
def work(tmp_path, capsys):
    """A campaign of this version, whose query waits for two of four frames."""
    shutil.copytree(FIXTURE, tmp_path / "p")
    place = tmp_path / "p" / "work"
    code, said = vidal(capsys, "relink", place, "--from", "/srv/drive", "--to", tmp_path / "p")
    assert code == 0, said
    return place


def refused_by_all(capsys, work: Path, message: str) -> None:
    for command in ALL:
        arguments = [each.format(w=work, p=work.parent) for each in command]
        code, said = vidal(capsys, *arguments)
        assert code == 2, (command, said)
        assert message in said, (command, said)
        assert len(said.strip().splitlines()) <= 2, said


def zeroed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8192:28672] = bytes(20480)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"not a database at all, but long enough" * 100), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "damaged"),
        (zeroed, "damaged"),
    ],
)
def test_a_damaged_record_is_one_line_in_every_command(capsys, work, damage, message):
    damage(work / "campaign.sqlite")
    refused_by_all(capsys, work, message)


def test_a_record_that_another_program_holds_is_one_line(capsys, work, monkeypatch):
    monkeypatch.setattr(_sql, "PATIENCE", 0.05)
    other = sqlite3.connect(work / "campaign.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    code, said = vidal(capsys, "withdraw", work)
    assert code == 2
    assert "another program holds the record" in said
    other.execute("ROLLBACK")
    other.close()
    second = sqlite3.connect(work / "campaign.sqlite", isolation_level=None)

    def note() -> None:
        with open_campaign(work) as campaign:
            second.execute("BEGIN IMMEDIATE")
            campaign.record.note(None, "x", {})

    with pytest.raises(CampaignError, match="another program"):
        note()
    second.close()
    assert vidal(capsys, "status", work)[0] == 0


@pytest.mark.parametrize(
    "text",
    ["a: !!bool foo", "a: !!timestamp x", "a: !!int ''", "a: &x [*x]", "\0", "[1]", "data: 3"],
)
def test_an_odd_configuration_is_one_line_in_every_command(capsys, work, text):
    (work / "campaign.yaml").write_text(text)
    refused_by_all(capsys, work, "campaign.yaml")


@contextmanager
def mounted(place: Path, *options: str):
    """A file system of its own; skips where the machine allows none."""
    place.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_read_only_campaign_can_be_read_and_says_so_where_it_cannot(capsys, work, tmp_path):
    status = vidal(capsys, "status", work)
    with mounted(tmp_path / "ro", "--bind", str(work.parent)) as place:
        done = subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], capture_output=True)
        if done.returncode:
            pytest.skip("this machine mounts nothing read-only")
        code, said = vidal(capsys, "status", place / "work")
        assert code == 0, said
        assert said == status[1].replace(str(work), str(place / "work"))
        code, said = vidal(capsys, "select", "--campaign", place / "work", "--dry-run")
        assert code == 2
        assert "are not answered yet" in said
        for command in (["withdraw", place / "work"], ["train", place / "work"]):
            code, said = vidal(capsys, *command)
            assert code == 2
            assert "read-only file system" in said
            assert len(said.strip().splitlines()) <= 2


def test_changes_in_the_log_of_a_read_only_record_are_seen(capsys, work, tmp_path):
    writer = sqlite3.connect(work / "campaign.sqlite", isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("UPDATE frames SET state = 'skipped' WHERE state = 'queried'")
    copied = tmp_path / "copied"
    shutil.copytree(work, copied)
    (copied / "campaign.sqlite-shm").unlink(missing_ok=True)
    writer.close()
    with mounted(tmp_path / "ro", "--bind", str(copied)) as place:
        if subprocess.run(["mount", "-o", "remount,ro,bind", str(place)]).returncode:
            pytest.skip("this machine mounts nothing read-only")
        code, said = vidal(capsys, "status", place)
        assert code == 0, said
        assert "2 skipped" in said


def test_a_full_disk_is_one_line_and_the_record_stays_as_it_was(capsys, work, tmp_path):
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=700k", "tmpfs") as place:
        shutil.copytree(work, place / "work")
        before = vidal(capsys, "status", place / "work")
        assert before[0] == 0
        with (place / "filler").open("wb") as filler:
            with suppress(OSError):
                while filler.write(bytes(4096)):
                    filler.flush()
            with suppress(OSError):
                filler.close()
        part = work.parent / "part.json"
        commands = (
            ["withdraw", place / "work"],
            ["import", place / "work", "--from", part],
            ["relink", place / "work", "--videos", work.parent / "clips"],
            ["select", "--campaign", place / "work"],
        )
        for command in commands:
            code, said = vidal(capsys, *command)
            assert code == 2, (command, said)
            assert "Traceback" not in said
            assert "no space left" in said or "full" in said or "not answered" in said, said
        (place / "filler").unlink()
        assert vidal(capsys, "status", place / "work") == before
        assert vidal(capsys, "withdraw", place / "work")[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("closed", ["work", "work/campaign.sqlite", "work/campaign.yaml"])
def test_what_may_not_be_read_is_one_line(capsys, work, closed):
    for folder in (work, *work.parents[:4]):
        folder.chmod(0o777)
    commands = ["status", work], ["withdraw", work], ["train", work]
    ends = []
    assert vidal(capsys, "status", work)[0] == 0  # all that it imports is imported
    (work.parent / closed).chmod(0o000)
    os.seteuid(65534)
    try:
        ends = [vidal(capsys, *command) for command in commands]
    finally:
        os.seteuid(0)
        (work.parent / closed).chmod(0o777)
    for code, said in ends:
        assert code == 2, said
        assert "permission denied" in said or "cannot be opened" in said
        assert len(said.strip().splitlines()) <= 2, said


def begin(*arguments) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vidal", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_of_two_processes_one_works_and_the_other_is_refused(capsys, work):
    """import and withdraw at once, again and again: each happens whole, or is refused by name."""
    part = work.parent / "part.json"
    assert vidal(capsys, "withdraw", work)[0] == 0
    assert vidal(capsys, "train", work, "--quiet")[0] == 0
    both = [
        begin("select", "--campaign", work, "--quiet", "--no-report"),
        begin("select", "--campaign", work, "--quiet", "--no-report"),
        begin("import", work, "--from", part),
    ]
    ends = [(each.communicate()[1], each.returncode) for each in both]
    assert sorted(code for _, code in ends[:2]) == [0, 2]
    for said, code in ends:
        assert "Traceback" not in said
        if code:
            assert "is working on this campaign" in said or "not answered" in said, said
    with open_campaign(work) as campaign:
        record = campaign.record
        assert len(record.waiting()) == 3
        assert sum(each.state == "queried" for each in record.rounds()) == 1
        folder = campaign.query(record.rounds()[-1].number)
        assert len(list((folder / "frames").iterdir())) == 3
    assert not list((work / "queries").glob("*unknown*"))


@pytest.mark.parametrize("after", [0.4, 0.8, 1.2])
def test_a_migration_and_a_relink_that_are_killed_are_run_again(capsys, tmp_path, after):
    shutil.copytree(FIXTURE, tmp_path / "p")
    work, part = tmp_path / "p" / "work", tmp_path / "p" / "part.json"
    process = begin("relink", work, "--from", "/srv/drive", "--to", tmp_path / "p")
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, said = vidal(capsys, "relink", work, "--from", "/srv/drive", "--to", tmp_path / "p")
    assert code == 0, said
    assert "0 missing" in said
    assert vidal(capsys, "import", work, "--from", part)[0] == 0
    with open_campaign(work) as campaign:
        assert campaign.record.counts()["labelled"] == 2
