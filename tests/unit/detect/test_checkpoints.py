"""Weights on disk: what is read, what is refused, and in which words."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from numpy.random import default_rng

from vidal.detect import checkpoints, fresh_detector, load_detector
from vidal.detect.checkpoints import Checkpoint
from vidal.detect.spec import DetectorSpec
from vidal.errors import OutputError, UnknownName, UsageError, VidalError, WeightsError

CLASSES = ("car", "pedestrian")


def saved(path: Path, wrap: str | None = None) -> dict[str, torch.Tensor]:
    """A plain state dict of a two-class ``scenes-tiny``, as torch saves it."""
    state = fresh_detector(
        "scenes-tiny", CLASSES, default_rng(0), device="cpu"
    ).network.state_dict()
    torch.save({wrap: state} if wrap else state, path)
    return dict(state)


def test_a_saved_detector_comes_back_the_same(tmp_path: Path) -> None:
    detector = fresh_detector("scenes-tiny", CLASSES, default_rng(0), device="cpu")
    detector.save(tmp_path / "new" / "a.safetensors", {"train_seed": 5})
    back = load_detector("auto", weights=tmp_path / "new" / "a.safetensors", device="cpu")
    assert back.key == detector.key
    assert back.architecture == "scenes-tiny"
    assert back.notes == {"train_seed": 5}
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["a.safetensors"]


def test_the_digest_depends_on_names_values_and_types() -> None:
    one = {"a": torch.zeros(2), "b": torch.ones(2)}
    assert checkpoints.digest(one) == checkpoints.digest(dict(reversed(one.items())))
    others = [
        {"a": torch.ones(2), "b": torch.zeros(2)},
        {"a": torch.zeros(2), "c": torch.ones(2)},
        {"a": torch.zeros(2, 1), "b": torch.ones(2)},
        {"a": torch.zeros(2, dtype=torch.float64), "b": torch.ones(2)},
    ]
    assert len({checkpoints.digest(each) for each in [one, *others]}) == 5


@pytest.mark.parametrize("wrap", [None, "model", "state_dict"])
def test_a_plain_state_dict_is_recognised_by_its_shapes(tmp_path: Path, wrap: str | None) -> None:
    saved(tmp_path / "a.pth", wrap)
    detector = load_detector(weights=tmp_path / "a.pth", classes=CLASSES, device="cpu")
    assert detector.architecture == "scenes-tiny"
    assert detector.classes == CLASSES


def test_unnamed_classes_have_to_be_named_all(tmp_path: Path) -> None:
    saved(tmp_path / "a.pth")
    for classes in (None, ("car",)):
        with pytest.raises(WeightsError, match="does not name them") as caught:
            load_detector(weights=tmp_path / "a.pth", classes=classes, device="cpu")
        assert "--classes" in caught.value.hint


def test_some_of_the_named_classes_may_be_chosen_in_any_order(tmp_path: Path) -> None:
    detector = fresh_detector("scenes-tiny", (*CLASSES, "dog"), default_rng(0), device="cpu")
    detector.save(tmp_path / "a.safetensors")
    some = load_detector(weights=tmp_path / "a.safetensors", classes=("dog", "car"), device="cpu")
    assert some.classes == ("dog", "car")
    with pytest.raises(UnknownName, match="'cat'"):
        load_detector(weights=tmp_path / "a.safetensors", classes=("cat",), device="cpu")


def test_mismatched_shapes_are_named_before_anything_is_loaded(tmp_path: Path) -> None:
    state = saved(tmp_path / "a.pth")
    state["backbone.stem.0.weight"] = torch.zeros(5, 3, 3, 3)
    del state["roi_heads.box_head.pooled.bias"]
    torch.save(state, tmp_path / "b.pth")
    with pytest.raises(WeightsError) as caught:
        load_detector("scenes-tiny", weights=tmp_path / "b.pth", classes=CLASSES, device="cpu")
    assert "backbone.stem.0.weight is (5, 3, 3, 3), not (24, 3, 3, 3)" in str(caught.value)
    assert "roi_heads.box_head.pooled.bias is missing" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    detector = fresh_detector("scenes-tiny", CLASSES, default_rng(0), device="cpu")
    detector.save(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="made for scenes-tiny") as caught:
        load_detector("fasterrcnn-resnet50-v2", weights=tmp_path / "a.safetensors", device="cpu")
    assert "--detector scenes-tiny" in caught.value.hint


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


@pytest.mark.parametrize("name", ["yolox.onnx", "net.ENGINE", "net.tflite", "yolov4.weights"])
def test_a_model_of_another_kind_is_told_to_give_its_detections(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    for refuse in (checkpoints.load_checkpoint, lambda path: DetectorSpec(weights=path).check()):
        with pytest.raises(WeightsError, match="does not run") as caught:
            refuse(path)
        assert "--detections" in caught.value.hint


def test_a_pickle_is_not_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": _Evil()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(_Evil()))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(WeightsError, match="not a readable state dict"):
            load_detector(weights=tmp_path / name, device="cpu")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.safetensors", b"", "not a readable safetensors file"),
        ("a.safetensors", b"\x00" * 400, "not a readable safetensors file"),
        ("a.pth", b"", "not a readable state dict"),
        ("a.pth", b"\x89PNG\r\n", "not a readable state dict"),
    ],
)
def test_a_corrupt_file_is_one_line_naming_it(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        load_detector(weights=tmp_path / name, device="cpu")
    assert str(tmp_path / name) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    detector = fresh_detector("scenes-tiny", CLASSES, default_rng(0), device="cpu")
    detector.save(tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="not a readable"):
        load_detector(weights=tmp_path / "a.safetensors", device="cpu")


@pytest.mark.parametrize("content", [[1, 2], {"a": 3}, {"a": torch.zeros(3)}])
def test_a_file_with_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"holds no state dict|not a Faster R-CNN"):
        load_detector(weights=tmp_path / "a.pth", device="cpu")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        load_detector(weights=tmp_path / "none.pth", device="cpu")


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        checkpoints.save_checkpoint(
            tmp_path / "file" / "a.safetensors", Checkpoint({"a": torch.zeros(1)})
        )


def test_unknown_names_and_devices_are_usage_errors() -> None:
    with pytest.raises(UnknownName, match="'scene-tiny'") as caught:
        load_detector("scene-tiny")
    assert "Did you mean 'scenes-tiny'?" in caught.value.hint
    for device in ("gpu", "cuda:x"):
        with pytest.raises(UsageError, match="unknown device"):
            load_detector("scenes-tiny", device=device)
    for classes in ((), ("car", "car")):
        with pytest.raises(UsageError, match="classes"):
            load_detector("scenes-tiny", classes=classes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_without_cuda_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no CUDA device"):
        load_detector("scenes-tiny", device="cuda")


def test_a_user_error_is_a_vidal_error() -> None:
    assert issubclass(WeightsError, VidalError)
