"""A campaign that the revision before made (tests/fixtures/campaign_v1) goes on with this one.

It was begun in /srv/drive/work with the clips of /srv/drive/clips, asked for four frames in round
0, and got labels for two of them.
"""

import shutil
import sqlite3
from pathlib import Path

import pytest

from vidal.campaign import migrate as migrating
from vidal.campaign.folder import locked, open_campaign
from vidal.campaign.migrate import migrate
from vidal.campaign.record import ClipEntry, Record
from vidal.cli import main
from vidal.errors import InputError

FIXTURE = Path(__file__).parents[1] / "fixtures" / "campaign_v1"
OLD = "/srv/drive"


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


def copied(folder: Path) -> Path:
    """The project as it was copied to another place: its absolute paths lead nowhere."""
    shutil.copytree(FIXTURE, folder)
    return folder / "work"


def at_home(folder: Path) -> Path:
    """The project as if it had always been here: its absolute paths lead to its clips."""
    work = copied(folder)
    with sqlite3.connect(work / "campaign.sqlite") as db:
        db.execute("UPDATE clips SET path = replace(path, ?, ?)", (OLD, str(folder)))
        db.execute("UPDATE clips SET root = replace(root, ?, ?)", (OLD, str(folder)))
    db.close()
    config = work / "campaign.yaml"
    config.write_text("# my own remark\n" + config.read_text().replace(OLD, str(folder)))
    return work


def version(work: Path, name: str = "campaign.sqlite") -> int:
    db = sqlite3.connect(work / name)
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()


def rows(path: Path, table: str) -> list[tuple]:
    db = sqlite3.connect(path)
    try:
        return db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
    finally:
        db.close()


def test_it_goes_on_status_import_select_and_keeps_a_copy(capsys, tmp_path):
    work = at_home(tmp_path / "p")
    before = {t: rows(work / "campaign.sqlite", t) for t in ("frames", "boxes", "rounds")}
    code, said = vidal(capsys, "status", work)
    assert code == 0, said
    assert "from version 1 to version 3" in said
    assert "2 labelled, 2 waiting" in said
    assert (version(work), version(work, "campaign.v1.sqlite")) == (3, 1)
    for table, content in before.items():
        assert rows(work / "campaign.sqlite", table) == content
        assert rows(work / "campaign.v1.sqlite", table) == content
    assert "# my own remark" in (work / "campaign.yaml").read_text()
    assert "videos: ../clips" in (work / "campaign.yaml").read_text()
    code, said = vidal(capsys, "status", work)
    assert "version" not in said
    code, said = vidal(capsys, "import", work, "--from", tmp_path / "p" / "part.json")
    assert code == 0, said
    assert "2 frames were answered before" in said
    code, said = vidal(capsys, "withdraw", work)
    assert code == 0, said
    code, said = vidal(capsys, "train", work, "--quiet")
    assert code == 0, said
    code, said = vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    assert code == 0, said
    (tmp_path / "p").rename(tmp_path / "renamed")
    code, said = vidal(capsys, "report", tmp_path / "renamed" / "work", "--round", "newest")
    assert code == 0, said


def test_a_project_that_was_moved_before_is_relinked(capsys, tmp_path):
    work = copied(tmp_path / "p")
    code, said = vidal(capsys, "status", work)
    assert code == 0, said
    assert "3 clips are not where they were" in said
    code, said = vidal(capsys, "relink", work, "--from", OLD, "--to", tmp_path / "p")
    assert code == 0, said
    assert "3 clips found" in said
    code, said = vidal(capsys, "import", work, "--from", tmp_path / "p" / "part.json")
    assert code == 0, said


def test_a_second_migration_keeps_the_copy_of_the_first(tmp_path):
    work = copied(tmp_path / "p")
    migrate(work / "campaign.sqlite")
    first = (work / "campaign.v1.sqlite").read_bytes()
    shutil.copy(FIXTURE / "work" / "campaign.sqlite", work)
    assert "campaign.v1-2.sqlite" in migrate(work / "campaign.sqlite")
    assert (work / "campaign.v1.sqlite").read_bytes() == first
    assert version(work, "campaign.v1-2.sqlite") == 1


def test_a_migrated_record_has_the_rules_of_a_new_one(tmp_path):
    work = copied(tmp_path / "p")
    migrate(work / "campaign.sqlite")
    Record.create(tmp_path / "new.sqlite", ("car",), [ClipEntry("a", "a", 3, "train")])
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    found = [
        sqlite3.connect(p).execute(schema).fetchall()
        for p in (work / "campaign.sqlite", tmp_path / "new.sqlite")
    ]
    assert found[0] == found[1]


def test_a_migration_that_fails_half_way_changes_nothing(tmp_path, monkeypatch):
    work = copied(tmp_path / "p")
    monkeypatch.setattr(migrating, "set_home", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        migrate(work / "campaign.sqlite")
    assert version(work) == 1
    tables = "SELECT name FROM sqlite_master WHERE name = 'meta'"
    assert not sqlite3.connect(work / "campaign.sqlite").execute(tables).fetchall()
    monkeypatch.undo()
    migrate(work / "campaign.sqlite")
    assert version(work) == 3


def test_a_reader_does_not_migrate_while_another_process_works(capsys, tmp_path):
    work = copied(tmp_path / "p")
    with locked(work):
        code, said = vidal(capsys, "status", work)
    assert code == 0, said
    assert "2 labelled, 2 waiting" in said
    assert version(work) == 1


def test_a_campaign_of_a_newer_version_is_refused_by_name(capsys, tmp_path):
    work = copied(tmp_path / "p")
    db = sqlite3.connect(work / "campaign.sqlite")
    db.execute("PRAGMA user_version = 4")
    db.close()
    for command in (["status", work], ["withdraw", work], ["select", "--campaign", work]):
        code, said = vidal(capsys, *command)
        assert code == 2
        assert "a campaign of version 4, made by a newer vidal" in said
        assert "Traceback" not in said
    assert version(work) == 4


def test_an_old_record_is_not_written_without_migration(tmp_path):
    work = copied(tmp_path / "p")
    with pytest.raises(InputError, match="a campaign of version 1"):
        Record(work / "campaign.sqlite")
    with open_campaign(work) as campaign:
        assert campaign.record.version == 3
