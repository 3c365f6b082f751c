"""What the adapter to detectron2 does with plain tensors and files; none of this needs it."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from vidal.detect import detectron2_adapter as adapter
from vidal.detect import detectron2_files as files
from vidal.detect.spec import DetectorSpec
from vidal.errors import InputError, UsageError, WeightsError


def test_kept_probs_are_those_whose_entry_is_the_score():
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    kept, labels = torch.tensor([1, 0]), torch.tensor([1, 0])
    rows = adapter.kept_probs(probs, kept, labels, torch.tensor([0.3, 0.7]))
    assert rows.tolist() == probs[[1, 0]].tolist()
    with pytest.raises(ValueError, match="not those of the kept proposals"):
        adapter.kept_probs(probs, kept, labels, torch.tensor([0.3, 0.6]))


def test_a_softmax_head_keeps_its_own_background_and_what_is_left_out():
    probs = torch.tensor([[0.5, 0.2, 0.2, 0.1]])
    found = adapter.as_distribution(probs, torch.tensor([2, 0]), sigmoid=False)
    assert found.tolist()[0] == pytest.approx([0.2, 0.5, 0.3])


def test_a_sigmoid_head_is_normalised_only_where_it_sums_to_more_than_one():
    probs = torch.tensor([[0.2, 0.3, 0.9], [0.9, 0.6, 0.0]])
    found = adapter.as_distribution(probs, torch.tensor([0, 1]), sigmoid=True)
    assert found[0].tolist() == pytest.approx([0.2, 0.3, 0.5])
    assert found[1].tolist() == pytest.approx([0.6, 0.4, 0.0], abs=1e-6)


def test_maps_of_a_box_head_are_averaged():
    assert adapter.as_features(torch.ones(2, 3, 4, 4)).tolist() == [[1, 1, 1]] * 2
    assert adapter.as_features(torch.ones(2, 3)).tolist() == [[1, 1, 1]] * 2


def test_names_and_shapes_of_a_checkpoint_are_compared():
    wanted = {"a": torch.zeros(2, 3), "b": torch.zeros(1), "pixel_mean": torch.zeros(3)}
    state = {"a": torch.zeros(4, 3), "c": torch.zeros(1), "rpn.cell_anchors.0": torch.zeros(1)}
    assert files.mismatches(wanted, state) == [
        "a is (4, 3), not (2, 3)",
        "b is missing",
        "c is not part of it",
    ]


def test_a_checkpoint_for_other_classes_is_refused_whole(tmp_path):
    model = nn.ModuleDict({"backbone": nn.Linear(3, 2), "head": nn.Linear(6, 4)})
    state = {key: value.clone() for key, value in model.state_dict().items()}
    state["head.weight"] = torch.zeros(9, 6)
    torch.save({"model": state, "iteration": 5}, tmp_path / "m.pth")
    before = model["backbone"].weight.clone()
    with pytest.raises(WeightsError, match=r"head\.weight is \(9, 6\), not \(4, 6\)"):
        files.fill(model, tmp_path / "m.pth")
    assert torch.equal(model["backbone"].weight, before)
    (tmp_path / "zoo.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(WeightsError, match="pickles can execute anything"):
        files.fill(model, tmp_path / "zoo.pkl")


def test_configurations_are_known_by_content_and_only_yaml(tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text("A: 1\n")
    file = tmp_path / "config.yaml"
    file.write_text('_BASE_: "base.yaml"\nB: 1\n')
    first = files.config_digest(file)
    base.write_text("A: 2\n")
    assert files.config_digest(file) != first
    with pytest.raises(InputError, match="no such file"):
        files.check_config(tmp_path / "nowhere.yaml")
    script = tmp_path / "config.py"
    script.write_text("raise SystemExit")
    with pytest.raises(InputError, match="not a YAML configuration"):
        files.check_config(script)


def test_options_that_do_not_go_together_are_refused_before_anything_is_loaded(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("A: 1\n")
    with pytest.raises(UsageError, match="go together"):
        DetectorSpec("detectron2").check()
    with pytest.raises(UsageError, match="go together"):
        DetectorSpec("auto", config=file).check()
    with pytest.raises(UsageError, match="needs weights"):
        DetectorSpec("detectron2", config=file).check()
    with pytest.raises(UsageError, match="a configuration and weights"):
        DetectorSpec("detectron2").load()


def test_without_the_library_the_way_out_is_named(monkeypatch):
    for name in ("detectron2", "detectron2.data.transforms"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"detectron2.*docs/detectron2\.md.*--detections"):
        files.library()
