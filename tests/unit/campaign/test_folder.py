"""A campaign's folder: begun whole, locked against others, never two in one place."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vidal.campaign.config import parse_config
from vidal.campaign.folder import create_campaign, holder, locked, open_campaign
from vidal.campaign.record import ClipEntry
from vidal.errors import CampaignBusy, CampaignError, InputError

HOLD = """
import sys, time
from pathlib import Path
from vidal.campaign.folder import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def a_config(tmp_path, **values):
    return parse_config({"data": {"videos": str(tmp_path / "clips")}, **values}, "x")


def begin(tmp_path, **values) -> bool:
    clips = [ClipEntry("a", "a.mp4", 5, "train")]
    return create_campaign(tmp_path / "w", a_config(tmp_path, **values), ("car",), clips)


def test_a_campaign_that_was_begun_can_be_opened(tmp_path):
    assert begin(tmp_path, seed=7)
    with open_campaign(tmp_path / "w") as campaign:
        assert campaign.config.seed == 7
        assert campaign.config.data.videos == tmp_path / "clips"
        assert campaign.record.classes == ("car",)
        assert campaign.newest_model() is None


def test_beginning_twice_changes_nothing_and_another_configuration_is_refused(tmp_path):
    assert begin(tmp_path)
    assert not begin(tmp_path)
    with pytest.raises(CampaignError, match="another configuration"):
        begin(tmp_path, seed=1)


def test_a_folder_without_record_is_no_campaign_yet(tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "campaign.yaml").write_text("name: half\n")
    with pytest.raises(InputError, match="no campaign here"), open_campaign(tmp_path / "w"):
        pass
    assert begin(tmp_path)


def test_paths_inside_the_campaign_survive_its_move(tmp_path):
    config = parse_config({"data": {"videos": str(tmp_path / "w" / "clips")}}, "x")
    create_campaign(tmp_path / "w", config, ("car",), [ClipEntry("a", "a.mp4", 5, "train")])
    (tmp_path / "w").rename(tmp_path / "moved")
    with open_campaign(tmp_path / "moved") as campaign:
        assert campaign.config.data.videos == tmp_path / "moved" / "clips"


@pytest.fixture
def other(tmp_path):
    """Another process that holds the campaign."""
    begin(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path / "w")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_and_told_who_works(tmp_path, other):
    with pytest.raises(CampaignBusy) as busy, open_campaign(tmp_path / "w"):
        pass
    assert busy.value.pid == other.pid
    assert str(other.pid) in busy.value.message
    with open_campaign(tmp_path / "w", lock=False) as campaign:
        assert campaign.record.rounds() == []


def test_the_lock_of_a_dead_process_means_nothing(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert holder(tmp_path / "w") == other.pid
    began = time.monotonic()
    with open_campaign(tmp_path / "w"):
        assert holder(tmp_path / "w") == os.getpid()
    assert time.monotonic() - began < 5
    assert holder(tmp_path / "w") is None


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="inside"), locked(tmp_path):
        raise ValueError("inside")
    with locked(tmp_path):
        assert holder(tmp_path) == os.getpid()
