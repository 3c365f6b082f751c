"""States of a training that are kept for strategies that ask how labels changed."""

import shutil
from fractions import Fraction

import numpy as np
import pytest

from vidal.assemble.campaign import begin_campaign, plan_round
from vidal.campaign.config import dump_config, parse_config
from vidal.campaign.due import lost_models, without_snapshots
from vidal.campaign.fitting import snapshots_of
from vidal.campaign.folder import open_campaign
from vidal.campaign.loop import (
    answer_round,
    select_round,
    train_round,
)
from vidal.campaign.oracle import TruthOracle
from vidal.campaign.status import next_step
from vidal.campaign.training import SNAPSHOTS, snapshots_wanted
from vidal.detect.checkpoints import load_checkpoint
from vidal.detect.training import Snapshots
from vidal.errors import CampaignError, UsageError
from vidal.types import Annotations
from vidal.video import write_video

FRAMES = 8


class Quiet:
    def begin(self, clips, known):
        pass

    def advance(self, item, done, total):
        pass

    def finish(self, item, remark):
        pass


def truth() -> Annotations:
    """A bright square that moves to the right."""
    at = np.arange(FRAMES)
    return Annotations(
        classes=("car",),
        labelled=np.ones(FRAMES, bool),
        frame=at,
        boxes=np.stack([4 + at, at * 0 + 10, 24 + at, at * 0 + 30], axis=1),
        labels=np.zeros(FRAMES, np.int64),
        track=np.zeros(FRAMES, np.int64),
        ignore=np.zeros(FRAMES, bool),
    )


def picture(at):
    image = np.full((48, 64, 3), 40, np.uint8)
    image[10:30, 4 + at : 24 + at] = 220
    return image


def values(clips, **training):
    return {
        "data": {"videos": str(clips), "classes": ["car"], "split": {"test": "c1"}},
        "detector": {"name": "scenes-tiny", "start": "fresh", "device": "cpu"},
        "selection": {
            "initial": 3,
            "budget": 2,
            "gap": 0,
            "strategy": "label-dispersion",
            "threshold": 0.0,
        },
        "training": {"epochs": 4, "batch": 3, **training},
        "workers": 1,
    }


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(2):
        write_video(folder / f"c{number}.mp4", [picture(at) for at in range(FRAMES)], Fraction(10))
    return folder


@pytest.fixture
def work(tmp_path, clips):
    config = parse_config(values(clips, snapshots=2), "x")
    begin_campaign(tmp_path / "w", config, initial_labels=False)
    with open_campaign(tmp_path / "w") as campaign:
        yield campaign


def select(campaign):
    job = plan_round(campaign)
    clips = campaign.clips(job.engines)
    return select_round(
        campaign,
        job.plan,
        clips,
        engines=job.engines,
        watcher=Quiet(),
        write=lambda result, folder: None,
    )


def train(campaign):
    return train_round(campaign, campaign.clips(plan_round(campaign).engines))


def answered(campaign):
    select(campaign)
    tables = {entry.id: truth() for entry in campaign.record.clips("train")}
    answer_round(campaign, TruthOracle(tables))


def test_states_are_spaced_evenly_and_the_end_is_the_model_itself(tmp_path):
    assert sorted(Snapshots(tmp_path, 3).epochs(12)) == [3, 6, 9]
    assert sorted(Snapshots(tmp_path, 4).epochs(2)) == [1]
    assert Snapshots(tmp_path, 4).epochs(1) == frozenset()


def test_labels_that_changed_while_the_model_was_trained_are_asked_about(work):
    answered(work)
    model = train(work).model
    files = sorted(snapshots_of(model).iterdir())
    assert [file.name for file in files] == ["epoch-00001.safetensors", "epoch-00003.safetensors"]
    states = [load_checkpoint(file) for file in files]
    assert [state.notes["epoch"] for state in states] == [1, 3]
    name = next(iter(states[0].state))
    assert not np.array_equal(states[0].state[name], states[1].state[name])
    spec = plan_round(work).plan.evidence
    assert [each.weights for each in spec.snapshots] == files
    chosen = select(work)
    assert len(chosen.query) == 2
    assert all("label dispersion" in words for words in chosen.query.explanation.words)


def test_a_model_without_its_states_is_fitted_again_to_the_same_weights(work):
    answered(work)
    first = load_checkpoint(train(work).model).state
    model = work.model(0)
    shutil.rmtree(snapshots_of(model))
    assert without_snapshots(work).number == 0
    assert lost_models(work) == []
    assert "none were kept" in next_step(work).words
    with pytest.raises(CampaignError, match="no states of its training") as caught:
        select(work)
    assert "vidal train" in caught.value.hint
    assert train(work).for_states
    assert without_snapshots(work) is None
    again = load_checkpoint(model).state
    assert all(np.array_equal(again[name], value) for name, value in first.items())
    assert len(select(work).query) == 2
    shutil.rmtree(snapshots_of(model))
    assert without_snapshots(work) is None, "the query that waits comes first"
    assert next_step(work).command.startswith("vidal import")


@pytest.mark.parametrize(
    ("selection", "snapshots", "wanted"),
    [
        ({"strategy": "label-dispersion"}, None, SNAPSHOTS),
        ({"strategy": "label-dispersion", "options": {"by": "heads"}}, None, 0),
        ({"strategy": "label-dispersion"}, 7, 7),
        ({"strategy": "ensemble"}, None, 0),
        ({"strategy": "ensemble", "options": {"by": "detector"}}, None, SNAPSHOTS),
        ({"strategy": "entropy"}, None, 0),
        ({"strategy": "random"}, 2, 2),
    ],
)
def test_states_are_kept_where_the_strategy_asks_or_the_configuration_says(
    clips, selection, snapshots, wanted
):
    more = {} if snapshots is None else {"snapshots": snapshots}
    given = values(clips, **more) | {"selection": selection}
    config = parse_config(given, "x")
    assert snapshots_wanted(config) == wanted
    assert ("snapshots" in dump_config(config)) == (snapshots is not None)


def test_heads_learn_from_the_answers_of_the_campaign_and_no_states_are_kept(tmp_path, clips):
    given = values(clips)
    given["selection"] |= {"options": {"by": "heads"}}
    begin_campaign(tmp_path / "w", parse_config(given, "x"), initial_labels=False)
    with open_campaign(tmp_path / "w") as campaign:
        answered(campaign)
        model = train(campaign).model
        assert not snapshots_of(model).exists()
        chosen = select(campaign).query
        assert len(chosen) == 2
        assert all("label dispersion" in words for words in chosen.explanation.words)


def test_a_training_without_states_on_the_way_is_refused_where_they_are_compared(tmp_path, clips):
    config = parse_config(values(clips, snapshots=2, epochs=1), "x")
    begin_campaign(tmp_path / "w", config, initial_labels=False)
    with open_campaign(tmp_path / "w") as work:
        answered(work)
        with pytest.raises(UsageError, match="one of 1 epoch has none on the way") as caught:
            train(work)
        assert "more epochs" in caught.value.hint
        assert not work.model(0).exists()
