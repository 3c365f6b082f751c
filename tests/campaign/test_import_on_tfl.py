"""Real tasks of CVAT, as its export came, into a campaign on their clips."""

import gzip
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vidal.cli import main

DATA = Path(__file__).parents[3] / "shared" / "data" / "video" / "tfl_jamcam"


def vidal(capsys, *arguments) -> tuple[int, str]:
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.mark.realdata
def test_the_class_of_a_real_task_is_in_an_attribute_and_the_refusal_names_the_rule(
    capsys, tmp_path
):
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    source = DATA / "3601_2019-06-28" / "cvat.xml.gz"
    text = gzip.decompress(source.read_bytes()).decode()
    name = re.search(r"<source>.*/(.*)</source>", text)[1]
    (tmp_path / "clips").mkdir()
    shutil.copy(source.with_name("video.mp4"), tmp_path / "clips" / name)
    work = tmp_path / "work"
    begin = ["init", work, "--videos", tmp_path / "clips", "--classes", "car,truck,bus"]
    assert vidal(capsys, *begin, "--detector", "scenes-tiny", "--initial", "5")[0] == 0
    code, said = vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    assert code == 0, said
    code, said = vidal(capsys, "import", work, "--from", source)
    assert code == 2
    assert "is of a class of the campaign (vehicle)" in said
    assert "--map vehicle.type=class" in said
    code, said = vidal(capsys, "import", work, "--from", source, "--map", "vehicle.type=class")
    assert code == 0, said
    assert "5 frames labelled (0 of them empty)" in said
    with closing(sqlite3.connect(work / "campaign.sqlite")) as db:
        found = dict(db.execute("SELECT label, count(*) FROM boxes GROUP BY label"))
        frames = [row[0] for row in db.execute("SELECT frame FROM frames ORDER BY frame")]
    expected: dict[int, int] = {}
    for track in re.findall(r"<track .*?</track>", text, re.S):
        for frame, outside, kind in re.findall(
            r'<box frame="(\d+)" outside="(\d)".*?name="type">(\w+)<', track, re.S
        ):
            if int(frame) in frames and outside == "0":
                label = ["car", "truck", "bus"].index(kind) if kind in "car truck bus" else -1
                expected[label] = expected.get(label, 0) + 1
    assert found == expected
