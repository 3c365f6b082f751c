"""Models of other kinds, which vidal does not run: known by their suffix, before they are read."""

from __future__ import annotations

from pathlib import Path

from vidal.errors import WeightsError

_OTHERS = {
    ".onnx": "ONNX",
    ".engine": "TensorRT",
    ".trt": "TensorRT",
    ".tflite": "TensorFlow Lite",
    ".mlmodel": "Core ML",
    ".mlpackage": "Core ML",
    ".pb": "TensorFlow",
    ".h5": "Keras",
    ".keras": "Keras",
    ".weights": "Darknet",
}


def refuse_other_models(path: Path) -> None:
    """Name the way out for a model whose detections are wanted, not its weights.

    Raises:
        WeightsError: such a model.
    """
    kind = _OTHERS.get(path.suffix.lower())
    if kind is not None:
        raise WeightsError(
            path,
            f"a model for {kind}, which vidal does not run",
            hint="Give what it detects with --detections, or a checkpoint of a Faster R-CNN.",
        )
