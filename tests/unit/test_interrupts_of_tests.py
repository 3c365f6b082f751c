"""Tests that run a command in their own process, and interrupt it, leave no trace in it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import signal

import pytest

import vidal.cli


def test_one(monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(vidal.cli.cli, "main", interrupted)
    with pytest.raises(SystemExit):
        vidal.cli.main(["strategies"])
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_two():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_processes_of_later_tests_hear_the_interrupt(tmp_path):
    (tmp_path / "test_both.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
