"""Names of uploads, and keys of queries."""

from fractions import Fraction
from pathlib import Path

from vidal.report.query_files import QueryFile, QueryFrame
from vidal.servers.tasks import query_key, upload_name
from vidal.types import FrameRef


def query(*refs, number=0, reason="") -> QueryFile:
    frames = tuple(
        QueryFrame(ref, Path("x"), 0, Fraction(1), 0.0, rank, 0.5, {}, reason, "")
        for rank, ref in enumerate(refs, start=1)
    )
    return QueryFile(number, "random", frames, (), {}, {}, ())


A, B = FrameRef("cam-1a2b3c4d", 3), FrameRef("cam-1a2b3c4d", 13)


def test_the_key_of_a_query_is_that_of_its_round_and_frames_alone():
    assert query_key(query(A, B)) == query_key(query(A, B, reason="told otherwise"))
    keys = {query_key(each) for each in (query(A, B), query(B, A), query(A), query(A, B, number=1))}
    assert len(keys) == 4


def test_the_name_of_an_upload_is_that_of_the_picture():
    assert upload_name("cam-1a2b3c4d_000003.jpg") == "cam-1a2b3c4d_000003.jpg"


def test_a_long_name_keeps_its_end_which_says_the_frame():
    """Label Studio cuts names from the end, and draws letters for what it cut."""
    one, other = (upload_name(f"{letter * 150}-1a2b3c4d_000003.jpg") for letter in "ab")
    assert one.endswith("-1a2b3c4d_000003.jpg")
    assert len(one.encode()) <= 80
    assert one != other


def test_letters_of_several_bytes_are_not_cut_in_two():
    name = upload_name("\u8eca" * 60 + "_000003.jpg")
    assert name.endswith("\u8eca_000003.jpg")
    assert len(name.encode()) <= 80
