"""A deployed model meets new footage: what runs share, how seeds differ, what is never asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidal.assemble.simulation import plan_simulation, simulate
from vidal.campaign.config import parse_config
from vidal.campaign.folder import open_campaign
from vidal.engine import LocalEngine
from vidal.errors import CampaignError, UnknownName, UsageError
from vidal.evaluate.curves import ALL_DATA

SCENES = {
    **{"clips": 4, "test_clips": 2, "test_frames": "1-1", "start_clips": 2, "by_seed": True},
    **{"seed": 3, "frames": "4-4", "rate": 10, "size": "96x64"},
    **{"shares": {"default": 1, "wheelchair": 1}, "start_shares": {"town": 1}},
}
VALUES = {
    "name": "shift",
    "data": {
        "scenes": SCENES,
        "classes": ["car", "pedestrian", "cyclist", "wheelchair"],
        "conditions": {"wheelchair": "*-wheelchair-*"},
    },
    "detector": {"name": "scenes-day", "device": "cpu", "precision": "fp32"},
    "selection": {"gap": 0, "budget": [2, 3], "threshold": 0.3, "strategy": "entropy"},
    "training": {"from": "start", "steps": 2, "lr": 0.001},
    "simulation": {
        "variants": {"entropy-sum": {"strategy": "entropy", "options": {"aggregate": "sum"}}},
        "all_data": {"steps": 3},
        "seeds": 2,
    },
    "rounds": 3,
    "workers": 1,
}
WANTED = ["entropy", "entropy-sum", "oracle-errors"]


class Silent:
    """Stages that nobody watches."""

    def begin(self, title, names, units):
        return lambda item, done, total: None

    def finish(self, item):
        pass

    def end(self):
        pass


def one_thread(items, *, heavy, listener=None):
    torch.set_num_threads(1)
    return LocalEngine(listener)


def a_plan(out, values=VALUES, **changes):
    asked = {"strategies": WANTED, "seeds": 2, "rounds": 3, "all_data": True, **changes}
    plan = plan_simulation(parse_config(values, "shift"), out=out, **asked)
    return replace(plan, engines=one_thread)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("shift")
    return out, simulate(a_plan(out), Silent())


def queried(out, run, number):
    with open_campaign(out / "runs" / run, lock=False) as campaign:
        return campaign.record.queried_in(number)


def test_round_0_is_the_start_clips_and_no_later_round_asks_about_them(done):
    for seed in (0, 1):
        given = {ref.clip for ref in queried(done[0], f"entropy-{seed}", 0)}
        assert len(given) == 2
        assert all(name.startswith("start-") for name in given)
        for name in ("random", *WANTED):
            for number in (1, 2):
                assert not {ref.clip for ref in queried(done[0], f"{name}-{seed}", number)} & given


def test_every_round_has_the_budget_of_its_place_in_the_list(done):
    # one-frame start clips, then 2 and 3 frames
    for name in ("random", "random-r", *WANTED):
        rows = [row for row in done[1].rows if row.strategy == name and row.seed == 0]
        assert [row.labelled for row in rows] == [2, 4, 7]


def test_seeds_have_clips_of_their_own_and_one_test_set(done):
    out = done[0]
    pools = {seed: {ref.clip for ref in queried(out, f"all-data-{seed}", 1)} for seed in (0, 1)}
    assert not pools[0] & pools[1]
    assert len(list(out.glob("scenes/train-*"))) == len(list(out.glob("scenes/start-*"))) == 2
    assert len(list(out.glob("scenes/test-*"))) == 1
    assert done[1].data["clips in the pool"] == 4
    assert done[1].data["frames labelled from the start"] == 2


def notes_of(out, run, number):
    from vidal.detect.checkpoints import load_checkpoint

    with open_campaign(out / "runs" / run, lock=False) as campaign:
        return load_checkpoint(campaign.model(number)).notes


def test_every_round_starts_from_the_deployed_model_with_equally_many_steps(done):
    from vidal.detect import load_detector

    shipped = load_detector("scenes-day", device="cpu")
    first = notes_of(done[0], "initial-0", 0)
    assert shipped.key["weights"] != first["from"]  # it got an output for the new class
    for name in WANTED:
        last = notes_of(done[0], f"{name}-0", 2)
        assert last["from"] == first["from"]
        assert last["training"]["steps"] == first["training"]["steps"] == 2
    assert notes_of(done[0], "all-data-0", 1)["training"]["steps"] == 3


def test_all_data_are_all_frames_of_the_pool_and_of_the_start(done):
    assert {row.labelled for row in done[1].rows if row.strategy == ALL_DATA} == {2 + 16}


def test_a_variant_is_its_strategy_with_other_options(done):
    with open_campaign(done[0] / "runs" / "entropy-sum-0", lock=False) as campaign:
        chosen = campaign.config.selection
    assert (chosen.strategy, chosen.options) == ("entropy", {"aggregate": "sum"})
    with open_campaign(done[0] / "runs" / "entropy-0", lock=False) as campaign:
        assert campaign.config.selection.options == {}


def test_rows_tell_the_conditions_of_test_clips(done):
    row = done[1].rows[-1]
    assert set(row.conditions) <= {"wheelchair"}
    assert np.isfinite(row.ap50)


def changed(**sections):
    return {**VALUES, **{n: {**VALUES.get(n, {}), **v} for n, v in sections.items()}}


def test_a_variant_may_be_added_but_not_changed_under_its_name(done):
    more = {**VALUES["simulation"]["variants"], "margin-max": {"strategy": "margin"}}
    asked = {"rounds": 1, "seeds": 1, "all_data": False}
    plan = a_plan(
        done[0],
        changed(simulation={"variants": more}),
        strategies=["margin-max", "entropy-sum"],
        **asked,
    )
    assert {row.strategy for row in simulate(plan, Silent()).rows} >= {"margin-max", "entropy-sum"}
    other = {"entropy-sum": {"strategy": "entropy", "options": {"aggregate": "max"}}}
    wrong = changed(simulation={"variants": other})
    with pytest.raises(CampaignError, match="begun with another configuration"):
        simulate(a_plan(done[0], wrong, strategies=["entropy-sum"], **asked), Silent())


@pytest.mark.parametrize(
    ("variants", "error"),
    [
        ({"entropy": {"strategy": "margin"}}, UsageError),
        ({"mine": {"strategy": "nothing"}}, UnknownName),
        ({"mine": {"strategy": "entropy", "options": {"nothing": 1}}}, UnknownName),
    ],
)
def test_variants_that_cannot_be_meant_are_refused(tmp_path, variants, error):
    with pytest.raises(error):
        a_plan(tmp_path, changed(simulation={"variants": variants}))


def test_a_run_that_gets_more_rounds_ends_as_one_that_had_them_from_the_start(done, tmp_path):
    asked = {"strategies": ["entropy"], "seeds": 1, "all_data": False}
    simulate(a_plan(tmp_path, rounds=2, **asked), Silent())
    assert len(list((tmp_path / "runs/entropy-0/models").glob("*.safetensors"))) == 1
    rows = simulate(a_plan(tmp_path, rounds=3, **asked), Silent()).rows
    due = [row for row in done[1].rows if row.strategy == "entropy" and row.seed == 0]
    assert [row for row in rows if row.strategy == "entropy"] == due


def test_a_main_comparison_of_no_strategy_is_refused(tmp_path):
    with pytest.raises(UnknownName, match="expected-error"):
        a_plan(tmp_path, changed(simulation={"main": {"strategy": "expected-error", "round": 2}}))


def test_a_simulation_with_weights_of_ones_own_goes_on_where_it_was(tmp_path, monkeypatch):
    from vidal.detect.load import shipped_checkpoint

    (tmp_path / "mine.safetensors").write_bytes(shipped_checkpoint("scenes-day").read_bytes())
    detector = {"name": "auto", "weights": str(tmp_path / "mine.safetensors")}
    asked = {"strategies": [], "rounds": 1, "seeds": 1, "all_data": False}
    first = simulate(a_plan(tmp_path / "out", changed(detector=detector), **asked), Silent())
    again = simulate(a_plan(tmp_path / "out", changed(detector=detector), **asked), Silent())
    assert again.rows == first.rows
