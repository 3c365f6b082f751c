"""A small scenes-openset: unknown objects from the pixels to the report, and what is recorded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.campaign.test_shift import Silent, one_thread
from vidal.assemble.campaign import plan_round
from vidal.assemble.simulation import plan_simulation, simulate
from vidal.campaign.config import load_config, parse_config
from vidal.campaign.folder import open_campaign
from vidal.campaign.history import history_of
from vidal.campaign.loop import prepare_round
from vidal.cli.simulate import table
from vidal.errors import EvidenceMissing, UsageError
from vidal.report.simulation import write_simulation_report
from vidal.selection.run import run_selection
from vidal.simulation.simulate import Unwatched

ROOT = Path(__file__).parents[2]
VALUES = {
    "name": "openset",
    "data": {
        "scenes": {
            **{"clips": 4, "test_clips": 1, "test_frames": "1-1", "start_clips": 2},
            **{"by_seed": True, "seed": 3, "frames": "3-3", "rate": 10, "size": "240x150"},
            **{"shares": {"town": 2, "wheelchair": 1}, "start_shares": {"town": 1}},
            **{"statues": 0.6, "test_statues": 0.5, "start_statues": 1.0},
        },
        "classes": ["car", "pedestrian", "cyclist"],
    },
    "detector": {"name": "scenes-day", "device": "cpu", "precision": "fp32"},
    "selection": {"gap": 0, "budget": [2, 2], "threshold": 0.1, "strategy": "entropy"},
    "training": {"from": "start", "steps": 1, "lr": 0.0001},
    "simulation": {
        "variants": {
            "entropy-known": {"strategy": "entropy", "known_only": True},
            "expected-errors-known": {"strategy": "expected-errors", "known_only": True},
        },
        "seeds": 1,
    },
    "rounds": 3,
    "workers": 1,
}
WANTED = ["entropy", *VALUES["simulation"]["variants"]]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("openset")
    plan = plan_simulation(
        parse_config(VALUES, "openset"),
        out=out,
        strategies=WANTED,
        seeds=1,
        rounds=3,
        all_data=False,
    )
    return out, simulate(replace(plan, engines=one_thread), Silent())


def test_every_query_is_judged_by_what_it_asked_about(done):
    rows = [row for row in done[1].rows if row.round > 0]
    assert {row.strategy for row in rows} >= set(WANTED)
    assert all(row.picks.unknown is not None for row in rows)
    known = [row.picks.query_precision for row in rows if row.picks.query_precision is not None]
    assert 0 <= min(known) < max(known) <= 1


def test_the_record_of_a_run_agrees_with_its_rows(done):
    out, result = done
    with open_campaign(out / "runs" / "entropy-known-0", lock=False) as campaign:
        told = {each.round: each for each in history_of(campaign).queries}
        events = [d for _, kind, d in campaign.record.events() if kind == "queried"]
    assert set(told) == {1, 2}  # round 0 was given
    for row in result.rows:
        if (row.strategy, row.seed) == ("entropy-known", 0) and row.round:
            mine = told[row.round].precision
            assert row.picks.query_precision == (None if np.isnan(mine) else mine)
    assert events[-1]["answered_before"] == [told[1].as_dict()]


def test_known_only_asks_otherwise_where_unknown_objects_are_labelled(done):
    def asked(run):
        with open_campaign(done[0] / "runs" / run, lock=False) as campaign:
            return [campaign.record.queried_in(number) for number in (1, 2)]

    assert asked("entropy-0") != asked("entropy-known-0")


def test_the_table_the_report_and_the_files_tell_of_unknown_objects(done, tmp_path):
    result = done[1]
    text = "\n".join(table(result))
    assert "known and unknown, with 95 % intervals:" in text
    assert "query precision" in text
    line = next(e for e in result.as_dict()["summary"] if e["strategy"] == "entropy-known")
    precision = line["unknown_objects"]["query_precision"]
    assert precision["n"] == precision["difference"]["n"] == 1
    assert line["unknown_objects"]["unknown_a_pick"]["value"] > 0
    assert json.dumps(result.as_dict(), allow_nan=False)
    write_simulation_report(result, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert '<section id="unknown">' in html


def test_average_precision_may_leave_detections_on_unknown_objects_out(done):
    config = parse_config({**VALUES, "evaluation": {"unknown": "ignore"}}, "openset")
    assert config.evaluation.unknown == "ignore"
    with pytest.raises(UsageError, match="unknown"):
        parse_config({**VALUES, "evaluation": {"unknown": "drop"}}, "openset")


def test_the_shipped_configuration_is_whole(tmp_path):
    config = load_config(ROOT / "configs/scenes-openset.yaml")
    plan = plan_simulation(
        config,
        out=tmp_path,
        strategies=config.simulation.strategies,
        seeds=config.simulation.seeds,
        rounds=config.rounds,
    )
    assert config.simulation.seeds >= 5
    assert {"entropy", "expected-errors-known", "random-r"} <= set(plan.strategies)
    chosen = plan.job("expected-errors-known", 0).config.selection
    assert chosen.known_only
    for name in ("random-r", "entropy", "expected-errors", "novelty"):
        assert not plan.job(name, 0).config.selection.known_only


ON_VIDEO = (
    *("bual", "e2oal", "eaoa", "eco", "eoal", "lfosa", "mqnet", "neat", "neat-passive"),
    *("openmax", "progressive-pal", "similar"),
)


@pytest.fixture(scope="module")
def third(done):
    """A campaign with two answered queries, and what its next round selects from."""
    with open_campaign(done[0] / "runs" / "entropy-0") as campaign:
        yield campaign, campaign.clips(one_thread)


def chosen_by(third, name, **more):
    campaign, clips = third
    changed = {"strategy": name, "options": {}, **more}
    other = replace(campaign, config=campaign.config.changed(selection=changed))
    plan = plan_round(other).plan
    prepared = prepare_round(other, plan, clips, len(campaign.record.rounds()))
    return run_selection(plan, prepared, engines=one_thread, watcher=Unwatched())


@pytest.mark.parametrize("name", ON_VIDEO)
def test_every_open_set_method_selects_in_a_campaign_with_labelled_unknowns(name, third):
    result = chosen_by(third, name)
    assert len(result.query) == 2
    assert result.asked is not None
    assert result.asked.strategy == name
    assert bool(result.asked.columns) == (name == "mqnet")


@pytest.mark.parametrize("name", ["ccal", "dias"])
def test_methods_that_need_pictures_are_refused_on_video_by_name(name, third):
    with pytest.raises(EvidenceMissing, match=name):
        chosen_by(third, name)


def test_known_only_around_a_method_that_learns_trains_both(third):
    result = chosen_by(third, "lfosa", known_only=True)
    assert "unknown" in result.query.explanation.parts
    assert set(result.unknown) == set(result.query.frames)
