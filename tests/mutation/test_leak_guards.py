"""Every guard against leaks is held by a test: taken out of the source, that test fails.

Each mutation changes one place of a copy of the package and runs the tests that are named with it
against the copy. A test that passes all the same could not have noticed a leak. The texts are
compared literally: who rewrites a guard finds its mutation here and rewrites that, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vidal"
FAILED = 1
"""Exit code of pytest where tests ran and some failed; broken imports give another one."""

needs_time = pytest.mark.skipif(
    not os.environ.get("VIDAL_SLOW"), reason="takes minutes; set VIDAL_SLOW=1"
)


@dataclass(frozen=True)
class Mutation:
    """One guard taken out.

    Attributes:
        leak: what would go unnoticed.
        file: in the package.
        old: source that is there once; ``new``: takes its place.
        tests: that have to fail, below ``tests/``.
    """

    leak: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


JUDGED = "unit/campaign/test_judged.py::"
LOOP = "unit/campaign/test_loop.py::"
MODEL = "unit/expected_errors/test_model.py::"
TRAINING = "unit/detect/test_training.py::"
ISOLATION = "contract/test_truth_is_out_of_reach.py::"
QUALITY = "unit/selection/test_quality.py::"

PSEUDO = "unit/campaign/test_pseudo_labels.py::"

MUTATIONS = (
    Mutation(
        "frames that annotators have refused get pseudo-labels",
        "campaign/teaching.py",
        "free[name] = ~(states.queried | states.labelled | states.skipped)\n",
        "free[name] = ~states.labelled\n",
        (PSEUDO + "test_frames_that_were_asked_for_and_refused_get_no_pseudo_labels",),
    ),
    Mutation(
        "a fold's detector is trained on the clips that it judges",
        "campaign/judged.py",
        "if fold[name] != part\n",
        "if fold[name] == part\n",
        (JUDGED + "test_no_fold_is_judged_by_a_detector_that_was_trained_on_its_clips",),
    ),
    Mutation(
        "a fold's detector judges the clips that it was trained on",
        "campaign/judged.py",
        "for name, table in tables.items() if fold[name] == part}",
        "for name, table in tables.items() if fold[name] != part}",
        (JUDGED + "test_no_fold_is_judged_by_a_detector_that_was_trained_on_its_clips",),
    ),
    Mutation(
        "labels of later rounds judge an earlier one",
        "campaign/judged.py",
        "table = only(campaign.record.annotations(name, clips[name].frames), indices)",
        "table = campaign.record.annotations(name, clips[name].frames)",
        (JUDGED + "test_labels_of_later_rounds_judge_nothing_of_earlier_ones",),
    ),
    Mutation(
        "a round learns from its own answers",
        "campaign/judged.py",
        "if entry.number >= before or",
        "if entry.number > before or",
        (JUDGED + "test_labels_of_later_rounds_judge_nothing_of_earlier_ones",),
    ),
    Mutation(
        "a round is judged by a model that was trained on it",
        "campaign/judged.py",
        "model = bench.campaign.newest_model(before=entry.number)",
        "model = bench.campaign.newest_model()",
        (JUDGED + "test_each_round_is_judged_by_the_detector_that_had_not_seen_it",),
    ),
    Mutation(
        "clips that the starting weights were trained on judge them",
        "campaign/judged.py",
        "for name, table in tables.items() if name not in seen}",
        "for name, table in tables.items()}",
        (JUDGED + "test_clips_that_the_starting_weights_were_trained_on_judge_nothing",),
    ),
    Mutation(
        "chosen frames pass for frames drawn at random",
        "campaign/judged.py",
        "if entry.strategy in (*DRAWN, GIVEN):",
        "if entry.strategy:",
        (JUDGED + "test_each_round_is_judged_by_the_detector_that_had_not_seen_it",),
    ),
    Mutation(
        "a model does not say what its starting weights were trained on",
        "campaign/fitting.py",
        " | set(detector.notes.get(TRAINED_ON, ()))",
        "",
        (LOOP + "test_a_model_says_what_the_weights_that_it_began_with_were_trained_on",),
    ),
    Mutation(
        "a model is judged by clips of its training",
        "campaign/accuracy.py",
        "    if leaks:\n",
        "    if leaks and not clips:\n",
        (QUALITY + "test_a_clip_of_the_training_is_refused_by_name_even_if_it_was_renamed",),
    ),
    Mutation(
        "a renamed copy of a training clip passes for another",
        "campaign/accuracy.py",
        'return clip_id.rpartition("-")[2]',
        "return clip_id",
        (QUALITY + "test_a_clip_of_the_training_is_refused_by_name_even_if_it_was_renamed",),
    ),
    Mutation(
        "test clips are asked for and trained on",
        "campaign/folder.py",
        "for e in self.record.clips(split) if",
        "for e in self.record.clips(None) if",
        (LOOP + "test_no_frame_of_a_test_clip_is_asked_for_or_trained_on",),
    ),
    Mutation(
        "skipped frames are offered again",
        "selection/lookup.py",
        "selectable &= ~self.barred[clip.id]",
        "selectable &= self.barred[clip.id] | True",
        (LOOP + "test_all_that_is_neither_labelled_nor_skipped_is_all_that_can_be_asked_for",),
    ),
    Mutation(
        "labelled frames are offered again",
        "selection/lookup.py",
        "selectable = ~labelled\n",
        "selectable = np.ones_like(labelled)\n",
        (LOOP + "test_all_that_is_neither_labelled_nor_skipped_is_all_that_can_be_asked_for",),
    ),
    Mutation(
        "truth answers for frames that were not asked for",
        "campaign/oracle.py",
        "clip: only(self._table(clip, indices), indices)",
        "clip: self._table(clip, indices)",
        (LOOP + "test_people_take_their_time_and_truth_answers_only_what_it_knows",),
    ),
    Mutation(
        "a strategy gets the column of truth",
        "selection/boxes.py",
        "self.truth_wanted = truth is not None and TRUTH in needs",
        "self.truth_wanted = truth is not None",
        (ISOLATION + "test_a_strategy_gets_no_column_of_truth_even_if_one_is_handed_in",),
    ),
    Mutation(
        "a simulation hands truth to every strategy",
        "assemble/simulation.py",
        "plan_simulated, strategy in ORACLES,",
        "plan_simulated, True,",
        (ISOLATION + "test_a_simulation_hands_truth_to_the_oracles_alone",),
    ),
    Mutation(
        "rows of one clip teach one another",
        "expected_errors/model.py",
        "clips, number = np.unique(examples.clip, return_inverse=True)",
        "clips, number = np.unique(examples.clip), np.arange(len(examples))",
        (MODEL + "test_rows_of_one_clip_or_frame_do_not_teach_one_another",),
    ),
    Mutation(
        "rows of one frame teach one another",
        "expected_errors/model.py",
        "number = np.unique(key, axis=1, return_inverse=True)[1].reshape(-1)",
        "number = np.arange(len(examples))",
        (MODEL + "test_rows_of_one_clip_or_frame_do_not_teach_one_another",),
    ),
    Mutation(
        "a fold is fitted to its own rows",
        "expected_errors/model.py",
        "rest = fitted(examples.keep(~inside))",
        "rest = fitted(examples)",
        (MODEL + "test_out_of_fold_probabilities_do_not_know_their_own_rows",),
    ),
    Mutation(
        "calibration is learned from rows that the estimator has seen",
        "expected_errors/model.py",
        "held_out = _out_of_fold(examples, fitted, _by_clip(examples))",
        "held_out = fitted(examples).probability(examples.evidence)",
        (MODEL + "test_calibration_is_learned_from_rows_that_the_estimator_had_not_seen",),
    ),
    Mutation(
        "calibration is learned from chosen rows",
        "expected_errors/model.py",
        "held_out[examples.random], examples.error[examples.random]",
        "held_out, examples.error",
        (MODEL + "test_a_model_calibrated_on_the_random_share_counts_right_on_the_pool",),
    ),
    Mutation(
        "a forecast is made with the labels of the round itself",
        "selection/forecast.py",
        "return forecast(rounds[:-1], last,",
        "return forecast(rounds, last,",
        ("unit/selection/test_forecast.py::test_a_round_is_expected_by_the_earlier_rounds_alone",),
    ),
    Mutation(
        "a forecast is made with the labels of later rounds",
        "selection/forecast.py",
        "_earlier(rounds[: at + 1], seed, options)",
        "forecast([*rounds[:at], *rounds[at + 1 :]], rounds[at],"
        " step_rng(seed, rounds[at].number, LEARN), options)",
        ("unit/selection/test_forecast.py::test_a_round_is_expected_by_the_earlier_rounds_alone",),
    ),
    Mutation(
        "the averaged weights are never returned",
        "detect/training.py",
        "state.network.load_state_dict(state.average)",
        "state.network.load_state_dict(state.network.state_dict())",
        (TRAINING + "test_training_returns_the_average_of_the_weights_of_all_steps",),
    ),
    Mutation(
        "the averaged weights are those of the last step",
        "detect/training.py",
        "lerp_(value.detach(), 1 - decay)",
        "lerp_(value.detach(), 1)",
        (TRAINING + "test_training_returns_the_average_of_the_weights_of_all_steps",),
    ),
    Mutation(
        "proposals on unknown objects are learned as background",
        "detect/losses.py",
        "label[(label == 0) & covered(mine, target.barred)] = -1",
        "pass",
        (TRAINING + "test_an_image_that_is_barred_as_a_whole_teaches_nothing",),
    ),
)


def run(tests: tuple[str, ...], package: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    """These tests, against the package in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    where = [str(ROOT / "tests" / test) for test in tests]
    return subprocess.run(
        [*command, f"--rootdir={ROOT}", f"--basetemp={scratch}", *where],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def copied(to: Path) -> Path:
    """A copy of the package; the checkpoints are linked."""
    to.mkdir()
    skipped = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(PACKAGE, to / "vidal", ignore=skipped)
    for weights in PACKAGE.rglob("*.safetensors"):
        (to / "vidal" / weights.relative_to(PACKAGE)).symlink_to(weights)
    return to


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.leak)
def test_a_mutation_changes_one_place_of_the_source(mutation: Mutation) -> None:
    source = (PACKAGE / mutation.file).read_text(encoding="utf-8")
    assert source.count(mutation.old) == 1
    assert mutation.new != mutation.old
    compile(source.replace(mutation.old, mutation.new), mutation.file, "exec")
    for test in mutation.tests:
        file, name = test.split("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.slow
@needs_time
def test_the_tests_run_against_the_copy_and_pass_without_a_mutation(tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    seen = subprocess.run(
        [sys.executable, "-c", "import vidal; print(vidal.__file__)"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(seen.stdout.strip()).is_relative_to(copy)
    tests = tuple(dict.fromkeys(test for each in MUTATIONS for test in each.tests))
    done = run(tests, copy, tmp_path / "scratch")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
@needs_time
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.leak)
def test_a_leak_does_not_go_unnoticed(mutation: Mutation, tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    path = copy / "vidal" / mutation.file
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
    done = run(mutation.tests, copy, tmp_path / "scratch")
    assert done.returncode == FAILED, done.stdout[-3000:]
    assert " failed" in done.stdout
