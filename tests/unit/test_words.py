"""Counts, names and one line."""

import time
from fractions import Fraction
from pathlib import Path

import pytest

from vidal.words import counted, distinct, printable, ratio


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 frames"), (1, "1 frame"), (2, "2 frames"), (1200, "1,200 frames")],
)
def test_a_count_takes_the_noun_that_it_needs(number, words):
    assert counted(number, "frame") == words


def test_an_odd_plural_is_given():
    assert (counted(1, "box", "boxes"), counted(3, "box", "boxes")) == ("1 box", "3 boxes")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/a/video.mp4", "x/b/video.mp4"], ["a/video.mp4", "b/video.mp4"]),
        (["x/a/v.mp4", "x/b/v.mp4", "x/c/w.mp4"], ["a/v.mp4", "b/v.mp4", "w.mp4"]),
        (["a/cam/v.mp4", "b/cam/v.mp4"], ["a/cam/v.mp4", "b/cam/v.mp4"]),
        (["v.mp4", "a/v.mp4"], ["v.mp4", "a/v.mp4"]),
        (["v.mp4", "v.mp4"], ["v.mp4", "v.mp4"]),
        (["a\nb.mp4"], ["a\\nb.mp4"]),
        ([], []),
    ],
)
def test_names_keep_as_many_folders_as_tell_them_apart(paths, names):
    assert distinct([Path(path) for path in paths]) == names


def test_anything_is_one_line_that_utf_8_holds():
    text = "".join(chr(code) for code in [*range(0x300), 0x202E, 0x2028, 0xDC80, 0xDCFF, 0xD800])
    shown = printable(text)
    assert len(shown.splitlines()) == 1
    shown.encode("utf-8")
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10), ("12.5", Fraction(25, 2)), ("30000/1001", Fraction(30000, 1001)), ("1e2", 100)],
)
def test_a_ratio_is_read_as_people_write_it(text, value):
    assert ratio(text) == value


@pytest.mark.parametrize(
    "text", ["1e200000000", "1e999999999/1", "1/0", "x", "", "nan", "9" * 4400]
)
def test_what_is_no_ratio_is_refused_at_once(text):
    began = time.process_time()
    with pytest.raises(ValueError, match=r"number|zero"):
        ratio(text)
    assert time.process_time() - began < 0.5
