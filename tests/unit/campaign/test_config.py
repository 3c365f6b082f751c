"""A configuration: defaults, what is refused and how, paths, and the files that come with vidal."""

from pathlib import Path

import pytest
import yaml

from vidal.campaign.config import dump_config, load_config, load_values, parse_config
from vidal.detect.options import TrainOptions
from vidal.errors import InputError, UsageError

FOLDER = Path(__file__).parents[3] / "configs"
CONFIGS = [path for path in sorted(FOLDER.glob("*.yaml")) if not path.name.startswith("images-")]
MINIMAL = {"data": {"videos": "clips"}}


def variant(**changes):
    return {**MINIMAL, "simulation": {"variants": {"x": {"strategy": "random", **changes}}}}


def section(name, **values):
    return {**MINIMAL, name: values}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_files_that_come_with_vidal_are_configurations(path):
    config = load_config(path)
    assert config.data.classes
    assert config.rounds > 1


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("synthia_al", [0.02] * 5 + [0.004] * 2 + [0.0008] * 3),
        ("imagenet_vid", [0.001] * 3 + [0.0002] * 2 + [0.00004]),
    ],
)
def test_the_schedules_are_those_of_the_thesis(name, rates):
    from vidal.detect.training import learning_rate

    path = next(path for path in CONFIGS if path.stem == name)
    options = TrainOptions(**load_config(path).training.given)
    assert (options.batch, options.epochs, options.optimizer) == (12, len(rates), "sgd")
    steps = 50
    found = [learning_rate(e * steps + steps - 1, len(rates) * steps, options) for e in range(9)]
    assert found[: len(rates)] == pytest.approx(rates[:9])


def test_every_default_is_written_out_and_read_back():
    config = parse_config(section("training", epochs=3, drops=[0.5, 0.7]), "x")
    text = dump_config(config)
    for line in ("strategy: expected-errors", "budget: 2%", "score_floor: 0.05", "seed: 0"):
        assert line in text
    import yaml

    assert parse_config(yaml.safe_load(text), "x") == config


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({}, "data is missing", ""),
        ({"data": {}}, "one of videos, root and scenes", ""),
        ({"data": {"videos": "a", "root": "b"}}, "videos and root given", ""),
        ({"data": {"root": "a"}}, "root needs a format", ""),
        ({"data": {"root": "a", "format": "kity"}}, "choose from 'coco-video'", ""),
        ({**MINIMAL, "selction": {}}, "unknown key 'selction' in the file", "'selection'"),
        ({"data": {"videos": "a", "clases": []}}, "unknown key 'clases' in data", "'classes'"),
        ({"data": {"scenes": {"sizes": 1}}}, "'sizes' in data.scenes", "'size'"),
        (section("training", epoch=3), "unknown key of training 'epoch'", "'epochs'"),
        (section("training", epochs="many"), "training.epochs 'many'", ""),
        (section("training", lr=-1), "lr -1.0 is not positive", ""),
        (section("training", **{"from": "there"}), "'previous' or 'start'", ""),
        (section("selection", budget="2%%"), "budget '2%%'", "Give a number"),
        (section("selection", gap=-1), "selection.gap -1", ""),
        (section("selection", gap="fast"), "selection.gap 'fast'", "0.4s"),
        (section("selection", gap=2.5), "selection.gap 2.5", "0.4s"),
        (section("selection", turns="often"), "selection.turns 'often'", ""),
        (section("detector", start="fresh"), "needs the name of a network", ""),
        ({"data": {"videos": "a", "image_rate": "fast"}}, "not a number of frames a second", ""),
        ({"data": {"videos": "a", "classes": ["car", "car"]}}, "a name twice", ""),
        ({"data": {"videos": "a", "split": {"test": 1.5}}}, "a share has to be in [0, 1)", ""),
        (["data"], "expected keys", ""),
        (variant(traning={}), "unknown key 'traning' in simulation.variants.x", "'training'"),
        (
            variant(training={"epochs": 1}),
            "unknown key 'epochs' in simulation.variants.x.training",
            "pseudo_labels",
        ),
        (section("training", pseudo_labels={"runs": 1}), "unknown option 'runs'", "'run'"),
        (section("training", pseudo_labels="yes"), "pseudo_labels", ""),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(values, message, hint):
    with pytest.raises(UsageError) as refused:
        parse_config(values, "my.yaml")
    assert refused.value.message.startswith("my.yaml: ")
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert "\n" not in refused.value.message


def test_paths_count_from_the_folder_of_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("data: {videos: clips, labels: /data/l.json}\ndetector: {weights: w.pt}\n")
    config = load_config(path)
    assert config.data.videos == tmp_path / "clips"
    assert config.data.labels == Path("/data/l.json")
    assert config.detector.weights == tmp_path / "w.pt"


def test_weights_of_a_tracker_count_from_the_folder_of_the_file_too(tmp_path):
    def weights_of(tracker, weights):
        path = tmp_path / "c.yaml"
        chosen = f"{{tracker: {tracker}, tracker_options: {{weights: {weights}, device: cpu}}}}"
        path.write_text(f"data: {{videos: clips}}\nselection: {chosen}\n")
        options = load_config(path).selection.tracker_options
        assert options["device"] == "cpu"
        return options["weights"]

    assert weights_of("siamfc", "w.pt") == str(tmp_path / "w.pt")
    assert weights_of("siamfc", "/data/w.pt") == "/data/w.pt"
    assert weights_of("raft", "raft.pth") == str(tmp_path / "raft.pth")
    assert weights_of("raft", "download") == "download"


def test_a_file_that_is_not_yaml_is_refused_with_the_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("data:\n  videos: [a\nrounds: 3\n")
    with pytest.raises(InputError, match="line 3: not a YAML file"):
        load_values(path)
    with pytest.raises(InputError, match="no such file"):
        load_values(tmp_path / "none.yaml")
    path.write_text("just text")
    with pytest.raises(InputError, match="expected keys"):
        load_values(path)


def test_a_gap_in_frames_stays_a_number_and_one_in_seconds_a_text():
    for given, kept in [(3, 3), ("12", 12), (0, 0), ("400 ms", "0.4s"), ("0.5s", "0.5s")]:
        config = parse_config({**MINIMAL, "selection": {"gap": given}}, "x")
        assert config.selection.gap == kept
        assert parse_config(yaml.safe_load(dump_config(config)), "x") == config
    assert parse_config(MINIMAL, "x").selection.gap == "0.5s"


def test_a_changed_configuration_is_checked_again():
    config = parse_config(MINIMAL, "x")
    changed = config.changed(seed=3, selection={"strategy": "random"}, training={"epochs": 2})
    assert (changed.seed, changed.selection.strategy, changed.selection.gap) == (
        3,
        "random",
        "0.5s",
    )
    assert changed.training.given == {"epochs": 2}
    with pytest.raises(UsageError, match=r"selection\.gap"):
        config.changed(selection={"gap": -1})


def test_sizes_and_lengths_are_written_as_on_the_command_line():
    scenes = parse_config({"data": {"scenes": {"size": "320x200", "frames": "60-90"}}}, "x").data
    assert scenes.scenes is not None
    assert (scenes.scenes.size, scenes.scenes.frames) == ((320, 200), (60, 90))


def test_a_list_of_budgets_has_one_a_round_and_its_last_holds_on():
    chosen = parse_config(section("selection", budget=["2%", 18, "4 %"]), "x").selection
    assert [chosen.budget_of(query) for query in (0, 1, 2, 3, 4, 9)] == [
        *("2%", "2%", "18"),
        *("4 %",) * 3,
    ]
    assert parse_config(section("selection", budget="3%"), "x").selection.budget_of(7) == "3%"
    for wrong in ([], ["2%", "0"]):
        with pytest.raises(UsageError, match="budget"):
            parse_config(section("selection", budget=wrong), "x")


def test_start_clips_without_labels_are_refused():
    for given in ({"start_videos": "a"}, {"start_labels": "b"}):
        with pytest.raises(UsageError, match="start_videos and start_labels"):
            parse_config({"data": {"videos": "clips", **given}}, "x")


def test_one_pattern_of_a_condition_is_a_list_of_one():
    data = {"videos": "clips", "conditions": {"night": "*-night-*", "day": ["a*", "b*"]}}
    config = parse_config({"data": data}, "x")
    assert config.data.conditions == {"night": ("*-night-*",), "day": ("a*", "b*")}


def test_what_only_simulations_read_is_no_part_of_a_single_campaign():
    variants = {"sum": {"strategy": "entropy", "options": {"aggregate": "sum"}}}
    config = parse_config(section("simulation", variants=variants, seeds=4), "x")
    assert config.simulation.variants["sum"].selection() == variants["sum"]
    assert config.single() == parse_config(MINIMAL, "x")


def test_the_small_table_is_a_part_of_the_main_one():
    small, full = (
        load_config(next(path for path in CONFIGS if path.stem == name))
        for name in ("scenes-shift", "scenes-shift-full")
    )
    changed = {"name": full.name, "rounds": full.rounds}
    assert small.changed(**changed).single() == full.single()
    # Whoever runs it names the default before; the main table named the default of its time.
    assert small.simulation.main.round == full.simulation.main.round
    assert small.simulation.main.strategy == small.selection.strategy
    assert set(small.simulation.strategies) <= set(full.simulation.strategies)
    for name, variant in small.simulation.variants.items():
        assert full.simulation.variants[name] == variant
    assert (small.rounds, small.simulation.seeds) < (full.rounds, full.simulation.seeds)
