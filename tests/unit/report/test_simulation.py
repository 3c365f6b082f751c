"""The report of a simulation: whole, offline, and honest about few seeds."""

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape

import pytest
from synthetic_runs import simulated

from vidal.cli.simulate import table
from vidal.evaluate.curves import ALL_DATA, Picks, Row
from vidal.report.charts import amount, spread
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


def test_three_steady_seeds_give_a_conclusion_for_the_comparison_named_before():
    html = render(replace(a_result(), main=("temporal-coherence", 2)))
    assert "temporal-coherence better than random-r</h1>" in html
    assert "the comparison named before the run" in html
    assert "temporal-coherence ★" in html
    assert "entropy against random-r" in html
    assert "too little for a conclusion" in html


def test_three_seeds_give_none_without_a_name_and_the_report_says_what_would():
    html = render(a_result())
    assert "no difference larger than chance</h1>" in html
    assert "no p is below 0.25: but for a comparison that is named before the run" in html


def test_two_seeds_give_none():
    html = render(a_result(seeds=2))
    assert "too few seeds to conclude anything</h1>" in html
    assert "with so few nothing can be concluded" in html


def test_one_seed_draws_no_interval():
    html = render(a_result(seeds=1))
    assert 'class="band" d=""' in html
    assert "With one seed there are no intervals" in html
    for part in ("table", "boxes", "classes"):
        assert "[" not in html.split(f'id="{part}"')[1].split("<tbody>")[1].split("</tbody>")[0]


def test_without_the_reference_nothing_is_relative_to_it():
    html = render(a_result(reference=False))
    assert "all data</text>" not in html
    assert "trained on all frames" not in html
    assert "Of all data, and other" not in html


def test_nothing_finished_is_said_and_does_not_fail():
    whole = a_result()
    for main in (None, ("entropy", 2)):
        empty = replace(whole, rows=(), main=main)
        assert "nothing to compare yet</h1>" in render(empty)
        assert ("has no finished runs yet" in render(empty)) == (main is not None)
        assert table(empty)
        json.dumps(empty.as_dict(), allow_nan=False)


def test_true_errors_are_told_for_one_picked_frame():
    # 24 false alarms on 12 frames
    picks = render(a_result()).split('id="picks"')[1]
    assert "<td>2.0</td><td>0.5</td>" in picks


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


ROWS, SCORES = simulated({"random-r": 0.5, "every-nth": 0.5, "oracle": (0.7, 0.9, 2.4)}, seeds=6)


def a_shift(**changes):
    """A simulation on new footage, with the judged test clips kept."""
    values = {
        "name": "shift",
        "rows": tuple(ROWS),
        "scores": SCORES,
        "strategies": ("random-r", "every-nth", "oracle"),
        "seeds": tuple(range(6)),
        "rounds": 4,
        "baseline": "random-r",
        "data": {"frames in the pool": 900, "test clips": 32, "frames labelled from the start": 30},
        "settings": {},
        "versions": {},
        "machine": "",
        "seconds": 1.0,
        "main": ("oracle", 2),
        "pool_conditions": {"night": 0.07, "rain": 0.1, "wheelchair": 0.05},
    }
    return SimulationResult(**{**values, **changes})


SHIFT = a_shift()


def cells(html, section, name):
    """The cells of a strategy's line in the first table of a section."""
    body = html.split(f'id="{section}"')[1].split("<tbody>")[1].split("</tbody>")[0]
    line = next(each for each in body.split("</tr>") if re.search(rf"> ?{name}( ★)?</th>", each))
    return [re.sub("<[^>]+>", " ", cell).strip() for cell in re.findall("<td.*?</td>", line)]


def test_columns_are_named_after_the_labels_asked_for():
    html = render(SHIFT)
    assert "48 frames<small>2.0 % of the pool</small>" in html
    assert "102 frames<small>8.0 % of the pool</small>" in html
    assert "Before the first query: 0." in html


def test_tables_hold_the_numbers_of_the_summary():
    html, line = render(SHIFT), next(s for s in SHIFT.summaries() if s.strategy == "oracle")
    first, second, last, p, seen, share = cells(html, "table", "oracle")
    assert first.startswith(f"{line.values[1].value:.3f} ")
    difference = line.comparison.rounds[2]
    assert f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]" in second
    assert last.startswith(f"{line.final.value:.3f}")
    assert float(p) == pytest.approx(line.comparison.corrected, rel=0.05)
    assert seen == f"{line.comparison.detectable:.3f}"
    assert share == f"{100 * line.shares[-1].value:.1f} %"
    boxes = cells(html, "boxes", "oracle")
    assert boxes[0].startswith(f"{line.boxes[1]:,.0f} ")
    assert f"{line.comparison.at_boxes[1].value:+.3f} [" in boxes[0]
    night = cells(html, "conditions", "oracle")[0]
    assert night.startswith(f"{line.conditions['night'].value.value:.3f}")
    assert f"{line.conditions['night'].difference.value:+.3f} [" in night
    assert len(cells(html, "classes", "oracle")) == 3


def test_conditions_of_the_picks_stand_next_to_their_share_of_the_pool():
    html = render(SHIFT)
    line = next(s for s in SHIFT.summaries() if s.strategy == "oracle")
    part = html.split("Conditions of the picked frames")[1]
    assert "<td>7.0 %</td><td>10.0 %</td><td>5.0 %</td>" in part
    assert f"{100 * line.picked['wheelchair']:.1f} %" in part
    assert f"{line.picked['wheelchair'] / 0.05:.1f} x the pool" in part
    assert "next to its share" not in render(a_shift(pool_conditions={}))


def test_the_report_says_what_its_intervals_cover():
    assert "over seeds and test clips" in render(SHIFT)
    assert "the choice of test clips is not in them" in render(a_shift(scores={}))
    assert SHIFT.as_dict()["intervals_over"] == "seeds and test clips"


def test_power_is_told_in_report_json_and_sentences():
    (tile,) = re.findall(r"<b>([\d.]+)</b><span>AP50 seen with 80 % power", render(SHIFT))
    told = SHIFT.as_dict()
    power = next(s for s in told["summary"] if s["strategy"] == "oracle")["comparison"]
    assert power["seen_with_80_percent_power"] > 0
    assert float(tile) > 0
    assert all("could have been seen with 80 % power" in each for each in told["conclusions"])


def test_the_same_rows_give_the_same_numbers():
    assert a_shift().as_dict() == SHIFT.as_dict()


def test_a_run_that_is_not_finished_leaves_its_seed_out():
    rows = [row for row in ROWS if (row.strategy, row.seed, row.round) != ("oracle", 5, 3)]
    found = a_shift(rows=tuple(rows))
    line = next(s for s in found.summaries() if s.strategy == "oracle")
    assert line.comparison.seeds == (0, 1, 2, 3, 4)
    assert "over 5 seeds" in line.comparison.sentence
    assert render(found)


def test_the_printed_table_shows_every_budget_with_its_difference():
    text = "\n".join(table(SHIFT))
    assert "AP50 at 66 frames (4.0 %)" in text
    assert "against random-r, with 95 % intervals:" in text
    assert re.search(r"oracle +\+0\.\d{3} \[[-+]0\.\d{3}, [-+]0\.\d{3}\]", text)


def costed(unknown=3, rates=None):
    """``a_result`` with unknown objects and hours; a frame of the fuller strategy costs more."""
    given = a_result()
    rows = tuple(
        replace(
            row,
            unknown=unknown * row.labelled,
            boxes=row.labelled * (12 if row.strategy == "entropy" else 6),
            hours=row.labelled * (3 if row.strategy == "entropy" else 1.5),
        )
        for row in given.rows
    )
    cost = {"frame": 2.0, "box": 7.0, "known": 1.0, "unknown": 0.5} if rates is None else rates
    return replace(given, rows=rows, settings={"selection": {"cost": cost}})


def test_ap_is_drawn_and_tabled_against_hours_at_the_rates():
    html = unescape(render(costed()))
    assert "annotation hours" in html
    assert "2 s a frame, 7 s a box, an unknown object counts 0.5" in html
    assert "Unknown objects<small>last round</small>" in html
    assert "108.00" in html  # 36 frames at 3 hours


def test_the_table_on_the_terminal_says_what_every_strategy_cost():
    lines = table(costed())
    at = next(n for n, line in enumerate(lines) if line.startswith("cost after the last round"))
    assert "at 2 s a frame, 7 s a box" in lines[at]
    assert lines[at + 1].split() == ["frames", "boxes", "unknown", "hours", "hours", "saved"]
    by_name = {line.split()[0]: line.split()[1:5] for line in lines[at + 2 : at + 5]}
    assert by_name["entropy"] == ["36", "432", "108", "108.00"]
    assert by_name["random-r"] == ["36", "216", "108", "54.00"]


def test_files_give_hours_and_unknown_objects_round_by_round():
    plain = costed().as_dict()
    lines = {line["strategy"]: line for line in plain["summary"]}
    assert [each["hours"] for each in lines["entropy"]["rounds"]] == [36.0, 72.0, 108.0]
    assert [each["unknown"] for each in lines["entropy"]["rounds"]] == [36.0, 72.0, 108.0]
    assert lines["temporal-coherence"]["comparison"]["hours_saved"]["value"] > 0
    assert lines["entropy"]["comparison"]["hours_saved"]["value"] < 0
    head, first = csv_text(costed().rows).splitlines()[:2]
    assert dict(zip(head.split(","), first.split(","), strict=True))["hours"] == "18.0"


def test_rows_of_older_versions_have_no_hours_and_are_told_without():
    html = unescape(render(a_result()))
    assert "annotation hours" not in html
    assert not any("cost after" in line for line in table(a_result()))
    assert "hours" not in a_result().as_dict()["summary"][1]["rounds"][0]


def test_with_budgets_of_time_columns_are_rounds_and_nobody_says_equal_numbers():
    given = costed()
    given = replace(given, settings={"selection": {**given.settings["selection"], "budget": "6h"}})
    html = unescape(render(given))
    assert "labelled the same number of frames a round" not in html
    assert "as many frames as its budget pays for" in html
    assert "round 2<small>random-r: 36 frames" in html
    assert "labelled the same number of frames a round" in unescape(render(costed()))
    assert any("AP50 at round 2 (random-r: 36 frames)" in line for line in table(given))


@pytest.mark.parametrize(
    ("value", "text"), [(1200.0, "1,200"), (36.0, "36"), (0.35, "0.35"), (12.345, "12.3")]
)
def test_hours_keep_the_digits_that_matter(value, text):
    assert amount(value) == text
