"""The steps of a campaign: what they promise when they are run again, and who sees the truth."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.assemble.campaign import begin_campaign, plan_round
from vidal.campaign import loop
from vidal.campaign.accuracy import TRAINED_ON
from vidal.campaign.config import parse_config
from vidal.campaign.due import to_train
from vidal.campaign.fitting import Fitting, fit_model, labelled_frames
from vidal.campaign.folder import open_campaign
from vidal.campaign.loop import (
    answer_round,
    prepare_round,
    retell_round,
    select_round,
    train_round,
)
from vidal.campaign.oracle import GivenOracle, PeopleOracle, TruthOracle, only
from vidal.campaign.training import LabelledFrames
from vidal.detect import fresh_detector
from vidal.detect.checkpoints import load_checkpoint
from vidal.errors import AwaitingAnnotation, CampaignError, InputError, UnreadableClip
from vidal.protocols import Oracle
from vidal.selection.draws import SELECT, step_rng
from vidal.types import Annotations, FrameRef
from vidal.video import read_frame, write_video

SIZE, FRAMES = (48, 64), 10


class Quiet:
    def begin(self, clips, known):
        pass

    def advance(self, item, done, total):
        pass

    def finish(self, item, remark):
        pass


def truth(frames=FRAMES) -> Annotations:
    """One car on every frame but the first two."""
    at = np.arange(2, frames)
    n = len(at)
    return Annotations(
        classes=("car",),
        labelled=np.ones(frames, bool),
        frame=at,
        boxes=np.stack([4 + at, np.full(n, 10), 24 + at, np.full(n, 30)], axis=1),
        labels=np.zeros(n, np.int64),
        track=np.zeros(n, np.int64),
        ignore=np.zeros(n, bool),
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(3):
        images = [np.full((*SIZE, 3), 50 + 40 * number + 4 * i, np.uint8) for i in range(FRAMES)]
        write_video(folder / f"c{number}.mp4", images, Fraction(10))
    return folder


@pytest.fixture
def work(tmp_path, clips):
    values = {
        "data": {"videos": str(clips), "classes": ["car"], "split": {"test": "c2"}},
        "detector": {"name": "scenes-tiny", "start": "fresh", "device": "cpu"},
        "selection": {"initial": 4, "budget": 3, "gap": 1, "strategy": "random-r"},
        "training": {"epochs": 2, "batch": 2},
        "workers": 1,
    }
    begin_campaign(tmp_path / "w", parse_config(values, "x"), initial_labels=False)
    with open_campaign(tmp_path / "w") as campaign:
        yield campaign


def select(campaign, write=lambda result, folder: None, **more):
    job = plan_round(campaign)
    clips = campaign.clips(job.engines)
    engines = job.engines
    return select_round(
        campaign, job.plan, clips, engines=engines, watcher=Quiet(), write=write, **more
    )


def opened(campaign):
    return campaign.clips(plan_round(campaign).engines)


def answer(campaign):
    tables = {entry.id: truth() for entry in campaign.record.clips("train")}
    return answer_round(campaign, TruthOracle(tables))


def test_a_selection_whose_files_were_written_but_not_recorded_is_made_again_alike(work):
    written = []

    def killed(result, folder):
        folder.mkdir(parents=True)
        (folder / "frames").mkdir()
        written.append(result.query.frames)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        select(work, killed)
    assert work.record.rounds() == []

    def write(result, folder):
        assert not folder.exists()
        written.append(result.query.frames)

    result = select(work, write)
    assert written[0] == written[1] == result.query.frames
    assert tuple(work.record.waiting()) == result.query.frames
    assert not any("c2" in ref.clip for ref in result.query.frames)


def test_later_rounds_leave_out_what_is_taken_and_its_neighbours(work):
    first = select(work).query.frames
    answer(work)
    train_round(work, opened(work))
    second = select(work).query.frames
    assert len(second) == 3
    for ref in second:
        near = [other for other in first if other.clip == ref.clip]
        assert all(abs(other.index - ref.index) > 1 for other in near)


def test_training_comes_before_the_next_selection_and_needs_an_answer(work):
    select(work)
    with pytest.raises(AwaitingAnnotation):
        select(work)
    with pytest.raises(AwaitingAnnotation):
        train_round(work, opened(work))
    answer(work)
    with pytest.raises(CampaignError, match="no model is trained on it yet"):
        select(work)
    assert to_train(work).number == 0
    assert train_round(work, opened(work)).frames == 4
    assert to_train(work) is None
    assert train_round(work, opened(work)) is None


def test_a_training_that_was_stopped_after_an_epoch_gives_the_same_weights(work, monkeypatch):
    select(work)
    answer(work)
    steps = []

    def stop(at):
        steps.append(at["step"])
        if at["epoch"] == 2:
            raise KeyboardInterrupt

    clips = opened(work)
    with pytest.raises(KeyboardInterrupt):
        train_round(work, clips, progress=stop)
    assert (work.training(0) / "training.pt").exists()
    again = []
    trained = train_round(work, clips, progress=lambda at: again.append(at["step"]))
    assert again == [3, 4]
    assert not work.training(0).exists()
    resumed = load_checkpoint(trained.model)
    trained.model.unlink()
    monkeypatch.setattr(loop, "to_train", lambda campaign: campaign.record.rounds()[0])
    whole = []
    undisturbed = replace(work, config=work.config)
    monkeypatch.setattr(type(work), "newest_model", lambda self, before=None: None)
    train_round(undisturbed, clips, progress=lambda at: whole.append(at["step"]))
    assert whole == [1, 2, 3, 4]
    for name, value in load_checkpoint(trained.model).state.items():
        assert (value == resumed.state[name]).all(), name


def test_a_model_that_was_saved_but_not_recorded_is_not_trained_again(work, monkeypatch):
    select(work)
    answer(work)
    clips = opened(work)
    record = type(work.record)
    with monkeypatch.context() as patch:
        patch.setattr(record, "trained", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_round(work, clips)
    steps = []
    trained = train_round(work, clips, progress=lambda at: steps.append(at["step"]))
    assert steps == []
    assert trained.frames == 4
    assert work.record.rounds()[0].state == "trained"


def test_no_frame_of_a_test_clip_is_asked_for_or_trained_on(work):
    test = {entry.id for entry in work.record.clips("test")}
    assert len(test) == 1
    for number in range(2):
        asked = {ref.clip for ref in select(work).query.frames}
        assert asked
        assert not asked & test
        answer(work)
        # Labels of the test clip lie beside those of the training clips.
        refs, _ = labelled_frames(work, opened(work))
        assert not {ref.clip for ref in refs} & test
        train_round(work, opened(work))
        trained = load_checkpoint(work.model(number)).notes[TRAINED_ON]
        assert trained
        assert not set(trained) & test


def test_a_model_says_what_the_weights_that_it_began_with_were_trained_on(work, tmp_path):
    select(work)
    answer(work)
    clips = opened(work)
    refs, tables = labelled_frames(work, clips)
    before = tmp_path / "before.safetensors"
    fresh_detector("scenes-tiny", ("car",), np.random.default_rng(0), device="cpu").save(
        before, {TRAINED_ON: ["elsewhere-0123abcd"]}
    )
    job = Fitting(
        config=work.config,
        classes=("car",),
        before=before,
        start=step_rng(0, 0, 1),
        rng=step_rng(0, 0, 2),
        target=tmp_path / "after.safetensors",
        state=tmp_path / "state",
        notes={},
    )
    fit_model(job, refs, clips, tables, None)
    trained = load_checkpoint(job.target).notes[TRAINED_ON]
    assert trained == sorted({"elsewhere-0123abcd", *(ref.clip for ref in refs)})


def test_skipped_frames_are_not_offered_again(work):
    result = select(work)
    answer_round(work, PeopleOracle(), skipped=result.query.frames)
    plan = plan_round(work).plan
    prepared = prepare_round(work, plan, opened(work), 1)
    assert prepared.selectable == 2 * FRAMES - 4
    assert sum(int(mask.sum()) for mask in prepared.barred.values()) == 4
    assert not set(select(work).query.frames) & set(result.query.frames)


def test_all_that_is_neither_labelled_nor_skipped_is_all_that_can_be_asked_for(work):
    taken = set(select(work).query.frames)
    skipped = set(sorted(taken)[:2])
    tables = {entry.id: truth() for entry in work.record.clips("train")}
    answer_round(work, TruthOracle(tables), skipped=skipped)
    clips = opened(work)
    train_round(work, clips)
    # A strategy that keeps no distance, and a budget for everything.
    everything = {"strategy": "random", "budget": "1000"}
    greedy = replace(work, config=work.config.changed(selection=everything))
    result = select(greedy)
    every = {FrameRef(name, index) for name in clips for index in range(FRAMES)}
    assert len(taken - skipped) == len(skipped) == 2
    assert set(result.query.frames) == every - taken
    offered = {
        FrameRef(name, int(index))
        for name in clips
        for index in np.flatnonzero(result.load(name).selectable)
    }
    assert offered == every - taken


def test_a_round_is_told_again_as_it_was(work):
    told = select(work)
    answer(work)
    train_round(work, opened(work))
    job = plan_round(work, number=0)
    again = retell_round(work, job.plan, opened(work), 0, engines=job.engines, watcher=Quiet())
    assert again.query.frames == told.query.frames
    assert again.query.explanation.words == told.query.explanation.words
    assert again.strategy == told.strategy == "random"


def test_people_take_their_time_and_truth_answers_only_what_it_knows():
    refs = [FrameRef("a", 1), FrameRef("a", 3)]
    for oracle in (PeopleOracle(), TruthOracle({}), GivenOracle({})):
        assert isinstance(oracle, Oracle)
    with pytest.raises(AwaitingAnnotation, match="2 queried frames"):
        PeopleOracle().annotate(0, refs)
    table = TruthOracle({"a": truth()}).annotate(0, refs)["a"]
    assert np.flatnonzero(table.labelled).tolist() == [1, 3]
    assert table.frame.tolist() == [3]
    with pytest.raises(InputError, match="a@000003"):
        TruthOracle({"a": only(truth(), [1])}).annotate(0, refs)
    assert GivenOracle({"a": only(truth(), [1])}).annotate(0, refs)["a"].labelled.sum() == 1


def test_samples_are_the_frames_bit_by_bit_and_empty_ones_are_negatives(work, tmp_path):
    clips = opened(work)
    name = next(iter(clips))
    refs = [FrameRef(name, index) for index in (0, 3, 7)]
    samples = LabelledFrames(refs, clips, {name: truth()}, tmp_path / "f.raw")
    assert len(samples) == 3
    for ref, sample in zip(refs, samples, strict=True):
        assert np.array_equal(sample.image, read_frame(clips[name], ref.index).image)
    assert [len(sample.boxes) for sample in samples] == [0, 1, 1]
    assert samples[-1].boxes.tolist() == [[11, 10, 31, 30]]
    stamp = (tmp_path / "f.raw").stat().st_mtime_ns
    LabelledFrames(refs, clips, {name: truth()}, tmp_path / "f.raw")
    assert (tmp_path / "f.raw").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="does not belong"):
        LabelledFrames(refs[:2], clips, {name: truth()}, tmp_path / "f.raw")
    lost = {name: replace(clips[name], path=Path(tmp_path / "gone.mp4"))}
    with pytest.raises(UnreadableClip):
        LabelledFrames(refs, lost, {name: truth()}, tmp_path / "g.raw")
    assert not (tmp_path / "g.raw").exists()


def test_a_step_draws_the_same_numbers_again_and_others_than_other_steps():
    draws = {
        (number, purpose): int(step_rng(5, number, purpose).integers(2**62))
        for number in range(3)
        for purpose in range(3)
    }
    assert len(set(draws.values())) == 9
    assert int(np.random.default_rng([5, 2]).integers(2**62)) == draws[2, SELECT]


def test_frames_drawn_at_random_are_recorded_and_told_as_such(work):
    select(work)
    answer(work)
    train_round(work, opened(work))
    mixed = replace(work, config=work.config.changed(selection={"random_share": 0.5}))
    result = select(mixed)
    words = result.query.explanation.words
    assert [word.startswith("drawn at random, as a sample") for word in words] == [
        False,
        False,
        True,
    ]
    assert work.record.drawn(1) == [result.query.frames[-1]]
    assert work.record.drawn(0) == []
    answer(work)
    job = plan_round(mixed, number=1)
    again = retell_round(mixed, job.plan, opened(work), 1, engines=job.engines, watcher=Quiet())
    assert again.query.explanation.words == words
