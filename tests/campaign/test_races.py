"""Selections that are killed, or run at the same time, leave whole results of one run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "kill_select.py"


@pytest.mark.parametrize(("kills", "races"), [(2, 2), pytest.param(40, 40, marks=pytest.mark.slow)])
def test_killed_and_racing_selections_leave_whole_results_of_one_run(kills, races):
    command = [sys.executable, str(TOOL), "--kills", str(kills), "--races", str(races)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcome = json.loads(ended.stdout)
    assert outcome["kills"]["kills"] == kills
    assert outcome["races"]["races"] == races
    assert outcome["kills"]["faults"] == outcome["races"]["faults"] == []
