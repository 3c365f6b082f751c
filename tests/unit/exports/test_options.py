"""What users may ask for, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.cli.export import command
from vidal.errors import UnknownName, UsageError
from vidal.exports import EXPORTERS
from vidal.exports.order import Order
from vidal.exports.pictures import Reach
from vidal.types import Clip


def test_the_command_offers_every_target():
    (option,) = [each for each in command.params if each.name == "to"]
    assert list(option.type.choices) == list(EXPORTERS)


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("2s", Reach(seconds=2)),
        ("0.5s", Reach(seconds=0.5)),
        (".5 s", Reach(seconds=0.5)),
        ("12", Reach(frames=12)),
        ("3 seconds", Reach(seconds=3)),
    ],
)
def test_context_is_seconds_or_frames(text, reach):
    assert Reach.parse(text) == reach


@pytest.mark.parametrize("text", ["", "0", "0s", "-2s", "1.5", "two", "1e9s", "2m", "nan", "s"])
def test_other_lengths_of_context_are_refused(text):
    with pytest.raises(UsageError, match="context"):
        Reach.parse(text)


def test_neighbours_are_counted_in_time_where_frames_come_unevenly():
    pts = np.array([0, 40, 80, 400, 440, 1000])
    clip = Clip("c", Path("c.mp4"), pts, Fraction(1, 1000), Fraction(25), (4, 4))
    assert Reach(seconds=0.05).around(clip, 1, ()) == [0, 2]
    assert Reach(seconds=0.39).around(clip, 3, {4}) == [1, 2]
    assert Reach(frames=2).around(clip, 0, ()) == [1, 2]
    one = replace(clip, pts=np.array([7]))
    assert Reach(seconds=9).around(one, 0, ()) == []


def test_unknown_words_are_refused_with_the_choices():
    with pytest.raises(UnknownName, match="label-studio"):
        Order.of("labelstudio")
    with pytest.raises(UnknownName, match="kept, all, none"):
        Order.of("cvat", boxes="some")
    with pytest.raises(UnknownName, match="drop, class"):
        Order.of("cvat", unknown="yes")
    with pytest.raises(UsageError, match="whole clips"):
        Order.of("cvat-video", context="2s")


def test_likely_false_alarms_go_along_where_the_format_tells_verdicts():
    kept = {to: Order.of(to).kept for to in EXPORTERS}
    assert {to for to, which in kept.items() if which == "kept"} == {"yolo", "mot"}
    assert Order.of("yolo", boxes="all").kept == "all"
