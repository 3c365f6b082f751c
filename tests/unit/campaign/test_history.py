"""What a campaign's answers say of its queries: one place, from what is recorded now."""

import json
import math
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest

from vidal.assemble.campaign import begin_campaign, plan_round
from vidal.campaign.config import parse_config
from vidal.campaign.folder import open_campaign
from vidal.campaign.history import history_of
from vidal.campaign.loop import answer_round, retell_round, select_round, train_round
from vidal.campaign.oracle import GivenOracle, TruthOracle, only
from vidal.campaign.source import open_source
from vidal.campaign.status import describe
from vidal.engine import LocalEngine
from vidal.query.select import ranked
from vidal.selection.asked import FILE
from vidal.types import Explanation

VALUES = {
    "data": {
        "scenes": {"clips": 3, "test_clips": 1, "seed": 4, "frames": "5-5", "size": "160x96"},
        "classes": ["car"],
    },
    "detector": {"name": "scenes-day", "device": "cpu", "precision": "fp32"},
    "selection": {
        "initial": 2,
        "initial_strategy": "entropy",
        "budget": 2,
        "gap": 0,
        "strategy": "entropy",
        "threshold": 0.05,
    },
    "training": {"from": "start", "steps": 1, "lr": 0.0001},
    "workers": 1,
}


def engines(items, *, heavy, listener=None):
    return LocalEngine(listener)


class Quiet:
    def begin(self, clips, known):
        pass

    def advance(self, item, done, total):
        pass

    def finish(self, item, remark):
        pass


@dataclass(frozen=True)
class Recalling:
    """Remembers how unsure it was."""

    seen: list = field(default_factory=list)

    needs = frozenset({"regions", "features", "asked", "precision"})

    def memory(self, pool, rows):
        return {"unsure": 1 - pool.regions.scores[rows]}

    def score(self, pool):
        return np.bincount(pool.regions.pos, minlength=len(pool)).astype(np.float64)

    def select(self, pool, budget, rng):
        self.seen.append((pool.precisions, pool.asked))
        return ranked(self.score(pool), rng)[:budget]

    def explain(self, pool, positions):
        return Explanation(("why",) * len(positions), {})


@pytest.fixture
def work(tmp_path):
    config = parse_config(VALUES, "x")
    source = open_source(config, engines=engines, store=tmp_path / "e", scenes=tmp_path / "s")
    begin_campaign(tmp_path / "w", config, initial_labels=False)
    with open_campaign(tmp_path / "w") as campaign:
        yield campaign, source.truth("train")


def select(campaign, selector=None):
    job = plan_round(campaign, selector=selector)
    clips = campaign.clips(engines)
    return select_round(
        campaign, job.plan, clips, engines=engines, watcher=Quiet(), write=lambda *_: None
    )


def test_one_campaign_from_query_to_query(work):
    campaign, truth = work
    first = select(campaign)
    kept = campaign.query(0) / FILE
    assert kept.is_file()
    assert len(first.asked)
    assert history_of(campaign).queries == ()  # nothing is answered yet

    half = first.query.frames[0]
    answer_round(campaign, GivenOracle({half.clip: only(truth[half.clip], [half.index])}))
    assert history_of(campaign).queries == ()  # the round still waits
    assert describe(campaign)["rounds"][0]["asked_about"]["query_precision"] is None
    answer_round(campaign, TruthOracle(truth))
    (query,) = history_of(campaign).queries
    assert sum(query.counts) == len(first.asked)
    assert query.counts.unknown > 0  # people and cyclists: the class is car
    shown = describe(campaign)["rounds"][0]["asked_about"]
    assert shown == {"query_precision": query.precision, **query.counts._asdict()}

    train_round(campaign, campaign.clips(engines))
    strategy = Recalling()
    second = select(campaign, strategy)
    assert strategy.seen == [((query.precision,), None)]  # the first query was another strategy's
    assert any("that round 0 asked about" in note for note in second.notes)
    sent = pickle.loads(pickle.dumps((second.history, second.asked)))  # noqa: S301 (its own)
    assert sent[0].queries == second.history.queries == (query,)
    assert len(sent[1]) == len(second.asked)
    events = [detail for number, kind, detail in campaign.record.events() if kind == "queried"]
    assert events[1]["answered_before"] == [query.as_dict()]
    assert "answered_before" not in events[0]
    answer_round(campaign, TruthOracle(truth))
    train_round(campaign, campaign.clips(engines))

    asked = Recalling()
    select(campaign, asked)
    ((precisions, items),) = asked.seen
    assert precisions[0] == query.precision
    assert len(precisions) == 2
    assert len(items) == len(second.asked)
    np.testing.assert_array_equal(items.column("unsure"), second.asked.columns["unsure"])
    np.testing.assert_array_equal(items.column("unsure"), 1 - items.column("scores"))
    assert items.features.shape[1] > 0

    # told again: as it was told then, whatever has happened since
    plan = plan_round(campaign, number=1, selector=asked).plan
    again = retell_round(
        campaign, plan, campaign.clips(engines), 1, engines=engines, watcher=Quiet()
    )
    assert again.query.frames == second.query.frames
    assert [each.round for each in again.history.queries] == [0]
    boxes = sum(len(each) for each in again.called_unknown.values())
    assert boxes == sum(
        int(((truth[ref.clip].frame == ref.index) & (truth[ref.clip].labels == -1)).sum())
        for ref in second.query.frames
    )
    assert second.called_unknown == {}

    # taken back without an answer: it is no answered query
    campaign.record.withdraw()
    assert [each.round for each in history_of(campaign).queries] == [0, 1]


def test_a_query_that_was_not_kept_is_unknown_not_wrong(work):
    campaign, truth = work
    select(campaign)
    answer_round(campaign, TruthOracle(truth))
    (campaign.query(0) / FILE).unlink()
    (query,) = history_of(campaign).queries
    assert query.counts is None
    assert math.isnan(query.precision)
    assert json.dumps(query.as_dict(), allow_nan=False)


def test_labels_that_were_there_before_are_no_query(tmp_path, work):
    campaign, truth = work
    config = campaign.config.changed()
    given = {name: only(table, [0]) for name, table in truth.items()}
    from vidal.campaign.folder import create_campaign, locked

    folder = tmp_path / "given"
    with locked(folder):
        create_campaign(
            folder, config, campaign.record.classes, campaign.record.clips(), given=given
        )
    with open_campaign(folder) as other:
        assert history_of(other).queries == ()
