"""Selections whose workers are killed end as undisturbed ones: by the tool that measures it."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "bench_kills.py"
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks into /proc")
@pytest.mark.parametrize(
    ("engine", "clips", "kills"),
    [
        ("process", 3, 1),
        pytest.param("process", 40, 20, marks=pytest.mark.slow),
        pytest.param("ray", 40, 20, marks=[pytest.mark.slow, needs_ray]),
    ],
)
def test_query_and_store_of_a_run_with_killed_workers_are_those_of_an_undisturbed_one(
    tmp_path, engine, clips, kills
):
    out = tmp_path / "kills.json"
    given = ["--clips", str(clips), "--frames", "6", "--kills", str(kills), "--engines", engine]
    done = subprocess.run(
        [sys.executable, str(TOOL), *given, "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    undisturbed, killed = json.loads(out.read_text())["runs"]
    assert killed["kills"] == kills
    assert killed["same_query"]
    assert killed["same_store"]
    assert killed["entries"] == undisturbed["entries"] > 5 * clips
