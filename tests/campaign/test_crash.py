"""Killed at random moments, a campaign ends as an undisturbed one does."""

import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "kill_campaign.py"


def test_a_campaign_that_is_killed_five_times_ends_as_an_undisturbed_one():
    command = [sys.executable, str(TOOL), "--kills", "5", "--seed", "3"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcome = json.loads(ended.stdout)
    assert outcome["kills"] == 5
    assert outcome["equal"] == dict.fromkeys(
        ["events", "rounds", "clips", "frames", "boxes", "weights", "queries", "unfinished"], True
    )
