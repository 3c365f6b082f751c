"""The report of a simulation: whole, offline, and honest about few seeds."""

import csv
import io
import json
import re
from html import unescape

import pytest

from vidal.evaluate.curves import ALL_DATA, Picks, Row
from vidal.report.charts import spread
from vidal.report.simulation import render, write_simulation_report
from vidal.simulation.results import SimulationResult, csv_text, write_results

GAIN = {"random-r": 0.10, "entropy": 0.10, "temporal-coherence": 0.20}


def a_row(strategy, seed, number, value):
    picks = Picks(12, false_positives=24, misses=6, redundancy=20.0) if number else None
    classes = {"car": value, "cyclist": None}
    return Row(strategy, seed, number, 12 * (number + 1), 80, value, value / 2, classes, picks)


def a_result(seeds=3, rounds=3, *, reference=True):
    rows = [
        a_row(name, seed, r, 0.2 + gain * r + 0.01 * seed * (-1) ** r * (name == "entropy"))
        for name, gain in GAIN.items()
        for seed in range(seeds)
        for r in range(rounds)
    ]
    if reference:
        rows += [a_row(ALL_DATA, seed, 0, 0.8 + 0.01 * seed) for seed in range(seeds)]
    return SimulationResult(
        name="a <small> test",
        rows=tuple(rows),
        strategies=tuple(GAIN),
        seeds=tuple(range(seeds)),
        rounds=rounds,
        baseline="random-r",
        data={"frames in the pool": 600, "test frames": 200},
        settings={"selection": {"gap": 3, "threshold": None}},
        versions={"vidal": "0"},
        machine="2 cores",
        seconds=90.0,
    )


def test_the_report_loads_nothing_from_anywhere():
    html = render(a_result())
    assert "http" not in html.replace("http-equiv", "")
    assert not re.search(r"<(script|link|img|iframe)", html)
    assert "default-src 'none'" in unescape(html)


def test_texts_are_escaped():
    assert "a &lt;small&gt; test" in render(a_result())


def test_every_strategy_has_its_curve_and_its_line():
    html = render(a_result())
    for name in GAIN:
        assert f'aria-label="Learning curve of {name}"' in html
    assert html.count("<figure>") == len(GAIN)


def test_three_steady_seeds_give_a_conclusion_in_the_headline():
    html = render(a_result())
    assert "temporal-coherence better than random-r</h1>" in html
    assert "entropy against random-r" in html
    assert "inside the seed noise" in html


def test_two_seeds_give_none():
    html = render(a_result(seeds=2))
    assert "too few seeds to conclude anything</h1>" in html
    assert "with so few nothing can be concluded" in html


def test_one_seed_draws_no_interval():
    html = render(a_result(seeds=1))
    assert 'class="band" d=""' in html
    assert "±" not in html.split('id="table"')[1].split("<tbody>")[1].split("</tbody>")[0]


def test_without_the_reference_nothing_is_relative_to_it():
    html = render(a_result(reference=False))
    assert "all data</text>" not in html
    assert "trained on all frames" not in html


def test_nothing_finished_is_said_and_does_not_fail():
    whole = a_result()
    empty = SimulationResult(**{**{n: getattr(whole, n) for n in whole.__slots__}, "rows": ()})
    assert "nothing to compare yet</h1>" in render(empty)


def test_true_errors_are_told_for_one_picked_frame():
    # 24 false alarms on 12 frames
    table = render(a_result()).split('id="picks"')[1]
    assert "<td>2.0</td><td>0.5</td>" in table


def test_files_hold_all_rows(tmp_path):
    result = a_result()
    files = {"json": tmp_path / "results.json", "csv": tmp_path / "results.csv"}
    write_results(result, *files.values())
    loaded = json.loads(files["json"].read_text())
    assert [Row.from_dict(row) for row in loaded["rows"]] == list(result.rows)
    assert loaded["summary"][0]["strategy"] == ALL_DATA
    assert len(loaded["conclusions"]) == 2
    lines = list(csv.DictReader(files["csv"].open()))
    assert len(lines) == len(result.rows)
    assert float(lines[2]["ap50_car"]) == pytest.approx(0.4)
    assert lines[2]["picked_false_positives"] == "24"


def test_json_of_one_seed_has_no_infinite_numbers(tmp_path):
    write_results(a_result(seeds=1), tmp_path / "results.json", tmp_path / "results.csv")
    text = (tmp_path / "results.json").read_text()
    assert "Infinity" not in text
    assert "NaN" not in text


def test_a_number_that_is_not_known_is_an_empty_cell():
    row = next(csv.DictReader(io.StringIO(csv_text(a_result().rows))))
    assert row["ap50_cyclist"] == ""
    assert row["picked_misses"] == ""


def test_the_report_is_written_as_one_file(tmp_path):
    path = write_simulation_report(a_result(), tmp_path / "report.html")
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_labels_at_the_end_of_curves_do_not_overlap():
    places = spread([10.0, 11.0, 12.0, 99.0], 100.0)
    assert places == [10.0, 25.0, 40.0, 99.0]
    assert spread([90.0, 95.0], 100.0) == [85.0, 100.0]
