"""How far outputs are, where no terminal shows bars: a line now and then, with the time left."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vidal.api import watch
from vidal.api.watch import Console


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    told = SimpleNamespace(now=100.0)
    monkeypatch.setattr(watch.time, "monotonic", lambda: told.now)
    monkeypatch.setattr(watch, "shows_bars", lambda: False)
    return told


def written(console: Console, clock: SimpleNamespace, seconds: float) -> None:
    """1,000 pictures, one like the other."""
    for done in range(0, 1001):
        console.writing("frames", done, 1000)
        clock.now += seconds / 1000


def test_long_writing_is_told_now_and_then_with_the_time_left(clock, capsys):
    with Console() as console:
        written(console, clock, 125.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 24
    assert lines[0] == "writing frames: 40 of 1,000, ETA 2:00"
    assert lines[-1] == "writing frames: 960 of 1,000, ETA 0:05"


def test_short_writing_is_not_worth_a_line(clock, capsys):
    with Console() as console:
        written(console, clock, 4.0)
    with Console(quiet=True) as console:
        written(console, clock, 125.0)
    assert capsys.readouterr().err == ""
