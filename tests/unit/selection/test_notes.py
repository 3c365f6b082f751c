"""Remarks on gaps without times, and on ranks that are not scores."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.query.looks import Looks
from vidal.query.oracle import OracleErrors
from vidal.query.select import RoundRobin
from vidal.selection.notes import gap_note, lost_note, order_note
from vidal.types import Clip, Explanation, FrameRef, Query


def a_clip(reader, rate=10):
    pts, tick = np.arange(4), Fraction(1, rate)
    return Clip("a", Path("a"), pts, tick, Fraction(rate), (9, 9), reader=reader)


def a_query(*scores):
    refs = tuple(FrameRef("a", at) for at in range(len(scores)))
    told = Explanation(("",) * len(scores), {})
    return Query(0, refs, np.array(scores, float), told, len(scores))


def test_clips_without_times_are_named_with_the_rate_that_was_taken():
    clips = [a_clip("images"), a_clip("images"), a_clip("none", 25), a_clip("pts", 30)]
    assert gap_note("0.5s", clips) == (
        "2 clips state no times: the gap of 0.5 s was reckoned at 10 frames a second.",
        "1 clip states no times: the gap of 0.5 s was reckoned at 25 frames a second.",
    )
    assert gap_note(3, clips) == gap_note("0s", clips) == gap_note("0.5s", clips[3:]) == ()


def test_clips_whose_motion_is_gone_are_named():
    assert lost_note(()) == ()
    (said,) = lost_note(("a", "b"))
    assert said.startswith("The measured motion of 2 clips is not in the cache any more (a, b)")


@pytest.mark.parametrize("turns", ["clips", "weighted"])
def test_where_a_later_rank_has_the_higher_score_the_reason_is_told(turns):
    chosen = RoundRobin(OracleErrors(), 3, turns)
    (said,) = order_note(a_query(3, 5, 4), 0, chosen)
    assert said.startswith("Rank is not score: clips take turns")
    assert order_note(a_query(5, 4, 4), 0, chosen) == ()
    assert order_note(a_query(5, 4, 9), 1, chosen) == ()  # the last one was drawn at random
    assert order_note(a_query(np.nan, np.nan), 0, chosen) == ()


def test_strategies_with_an_order_of_their_own_say_so():
    (said,) = order_note(a_query(3, 5), 0, Looks(OracleErrors()))
    assert "frames that look alike" in said
    (said,) = order_note(a_query(3, 5), 0, OracleErrors())
    assert "an order of its own" in said
    wrapped = replace(RoundRobin(Looks(OracleErrors())), turns="none")
    assert order_note(a_query(3, 5), 0, wrapped)  # whoever inside knows why
