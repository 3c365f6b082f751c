"""A detector of detectron2's as a detector of ours: the user's own model, run part by part.

preprocess_image -> backbone -> proposal_generator -> box_pooler -> box_head -> box_predictor, which
are its public parts ("partially execute a model" in its documentation); then the predictor's own
``inference`` says which proposals it keeps, and ``predict_probs`` the class distribution of each.
Boxes and scores are those of the stock model. detectron2 is optional: nothing of it is imported
here; ``library`` hands over the few names that are used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from vidal.detect.architectures import choose_columns
from vidal.detect.columns import WIDE
from vidal.detect.options import DetectOptions
from vidal.errors import UsageError, WeightsError
from vidal.types import Detections, Frame, FrameRef, Image, Sample

_TOGETHER = {"cpu": 1, "cuda": 8}
"""Frames of one size in a forward pass; more does not help on a CPU."""
_HALF_LIMIT = float(np.finfo(np.float16).max)
_NO_TRAINING = "vidal does not train models of detectron2."
_TRAIN_THERE = "Train it with detectron2 on the exported labels, then select with its weights."


@dataclass(frozen=True, slots=True)
class Library:
    """The public names of detectron2 that are used.

    Attributes:
        rcnn, standard_heads, output_layers: classes that are accepted.
        cascade_heads: a kind of standard heads that is not.
        resize: (sizes, largest) -> augmentation with ``get_transform(image).apply_image(image)``.
        postprocess: (instances, height, width) -> instances at that size, empty boxes dropped.
    """

    rcnn: type
    standard_heads: type
    cascade_heads: type
    output_layers: type
    resize: Callable[[list[int], int], Any]
    postprocess: Callable[[Any, int, int], Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """Detections of one frame: boxes in pixels of the frame, in the order the model gives them."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    probs: Tensor
    features: Tensor


def check_model(model: Any, library: Library) -> None:
    """Refuse a model whose parts are not those of a plain Faster R-CNN, by name.

    Raises:
        UsageError: another meta architecture, other heads, a cascade, or no proposals.
    """
    if not issubclass(type(model), library.rcnn):
        _refuse(f"the model is a {type(model).__name__}")
    heads: Any = model.roi_heads
    kind = type(heads)
    if not issubclass(kind, library.standard_heads) or issubclass(kind, library.cascade_heads):
        _refuse(f"its ROI heads are {kind.__name__}")
    if not isinstance(heads.box_predictor, library.output_layers):
        _refuse(f"its box predictor is {type(heads.box_predictor).__name__}")
    if model.proposal_generator is None:
        _refuse("it has no proposal generator")
    if model.input_format not in ("BGR", "RGB"):
        _refuse(f"its input format is {model.input_format}")


def _refuse(why: str) -> NoReturn:
    raise UsageError(
        f"detectron2: {why}.",
        hint="A GeneralizedRCNN with StandardROIHeads is needed, with proposals, BGR or RGB; others"
        " can give their detections as files: --detections.",
    )


def as_input(image: Image, input_format: str) -> Image:
    """RGB uint8 (H, W, 3) in the channel order of a model."""
    return np.ascontiguousarray(image[:, :, ::-1]) if input_format == "BGR" else image


def kept_probs(probs: Tensor, kept: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """(n, K+1) distributions of the kept proposals.

    Args:
        probs: (P, K+1) of all proposals, background last.
        kept: (n,) proposal of each detection.
        labels, scores: (n,) of each detection.

    Raises:
        ValueError: a score is not its proposal's entry: the indices count other rows, as they do
            when the model drops proposals that are not finite.
    """
    rows = probs[kept]
    if not torch.equal(rows.gather(1, labels[:, None])[:, 0], scores):
        raise ValueError("the scores are not those of the kept proposals")
    return rows


def as_distribution(probs: Tensor, columns: Tensor, *, sigmoid: bool) -> Tensor:
    """(n, K+1) float32: the wanted classes in order, and everything else last; rows sum to 1.

    Args:
        probs: (n, C+1), background last.
        columns: (K,) int64 of the wanted classes.
        sigmoid: the classes were scored each by itself, and the last column means nothing: where
            they sum to more than 1 they are divided by the sum, else the rest is the background.
    """
    own = probs[:, :-1].float()
    if sigmoid:
        own = own / own.sum(dim=1, keepdim=True).clamp(min=1)
    wanted = own[:, columns]
    return torch.cat([wanted, (1 - wanted.sum(dim=1, keepdim=True)).clamp(min=0)], dim=1)


def as_features(features: Tensor) -> Tensor:
    """(P, D) float32 from what a box head gives: maps (P, D, h, w) are averaged."""
    wide = features.float()
    return wide.flatten(2).mean(dim=2) if wide.dim() > 2 else wide


@dataclass(frozen=True, eq=False)
class Detectron2Detector:
    """A ``GeneralizedRCNN`` with ``StandardROIHeads``, with its class names. Computes in float32.

    The model's own test settings hold (size, non-maximum suppression, most detections), except
    that its score threshold is lowered to the floor of ``options``: weak detections are evidence.

    Attributes:
        model: on its device.
        library: see there.
        outputs: the C class names that the model scores.
        classes: the K of them that are kept.
        options: ``score_floor`` is used.
        sizes: shorter side at test, and the most the longer side may have.
        source: what the model was made from, for ``key``; JSON values.
        path: its weights, for errors.
        wide: which of ``features`` and ``embedding`` its tables have.
    """

    model: Any = field(repr=False)
    library: Library = field(repr=False)
    outputs: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...]
    options: DetectOptions
    sizes: tuple[int, int]
    source: Mapping[str, Any] = field(default_factory=dict)
    path: Path = field(default=Path("model"), repr=False)
    wide: frozenset[str] = WIDE

    def __post_init__(self) -> None:
        check_model(self.model, self.library)
        if self.options.precision not in ("auto", "fp32") or self.options.compile:
            raise UsageError(
                "detectron2 runs in fp32 here, as it is.",
                hint="Leave out --precision and --compile.",
            )
        choose_columns(self.outputs, self.classes)
        predictor = self.model.roi_heads.box_predictor
        floor = min(float(predictor.test_score_thresh), self.options.score_floor)
        predictor.test_score_thresh = floor
        self.model.eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @property
    def key(self) -> Mapping[str, Any]:
        """Where the model comes from, classes and options; JSON values."""
        predictor = self.model.roi_heads.box_predictor
        return {
            "detector": "detectron2",
            **self.source,
            "classes": list(self.classes),
            "sizes": list(self.sizes),
            "overlap": float(predictor.test_nms_thresh),
            "most": int(predictor.test_topk_per_image),
            "score_floor": asdict(self.options)["score_floor"],
        }

    def giving(self, columns: Collection[str]) -> Detectron2Detector:
        """The same detector, whose tables have these of ``features`` and ``embedding`` only."""
        return replace(self, wide=frozenset(columns))

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """Detections of a batch; ``frame`` counts positions in ``frames``, all are ``scanned``.

        Frames of different sizes never share a forward pass: padding changes the scores.

        Raises:
            WeightsError: the model gives values that are not finite.
        """
        rows: dict[int, Rows] = {}
        embeddings: dict[int, Tensor] = {}
        sizes: dict[tuple[int, ...], list[int]] = {}
        for position, frame in enumerate(frames):
            sizes.setdefault(frame.image.shape, []).append(position)
        together = _TOGETHER[self.model.device.type]
        for positions in sizes.values():
            for first in range(0, len(positions), together):
                some = positions[first : first + together]
                found, maps = self._forward([frames[position].image for position in some])
                rows.update(zip(some, found, strict=True))
                embeddings.update(zip(some, maps, strict=True))
        order = range(len(frames))
        return self._table([rows[at] for at in order], [embeddings[at] for at in order])

    def fit(
        self,
        samples: Sequence[Sample],
        rng: Generator,
        progress: Callable[[Mapping[str, float]], None] | None = None,
    ) -> NoReturn:
        """Refused: a model of detectron2's is trained by its own trainer.

        Raises:
            UsageError: always.
        """
        raise UsageError(_NO_TRAINING, hint=_TRAIN_THERE)

    def with_classes(self, classes: Sequence[str], rng: Generator) -> NoReturn:
        """Refused like ``fit``.

        Raises:
            UsageError: always.
        """
        raise UsageError(_NO_TRAINING, hint=_TRAIN_THERE)

    @torch.inference_mode()
    def _forward(self, images: Sequence[Image]) -> tuple[list[Rows], Tensor]:
        """Rows of each of some images of one size, and their embeddings (B, E)."""
        model, heads = self.model, self.model.roi_heads
        inputs = [self._input(image) for image in images]
        batch = model.preprocess_image(inputs)
        maps = model.backbone(batch.tensor)
        proposals, _ = model.proposal_generator(batch, maps, None)
        pooled = heads.box_pooler(
            [maps[name] for name in heads.box_in_features],
            [each.proposal_boxes for each in proposals],
        )
        hidden = heads.box_head(pooled)
        predictions = heads.box_predictor(hidden)
        instances, kept = heads.box_predictor.inference(predictions, proposals)
        probs = heads.box_predictor.predict_probs(predictions, proposals)
        own = hidden.flatten(1)[:, :0] if "features" not in self.wide else hidden
        features = as_features(own).split_with_sizes([len(each) for each in proposals])
        found = []
        for at, image in enumerate(images):
            instances[at].probs = self._probs(probs[at], kept[at], instances[at])
            instances[at].features = features[at][kept[at]]
            found.append(self._rows(self.library.postprocess(instances[at], *image.shape[:2])))
        if "embedding" not in self.wide:
            return found, torch.zeros((len(images), 0))
        return found, _embedding(maps)

    def _input(self, image: Image) -> dict[str, Any]:
        ordered = as_input(image, self.model.input_format)
        shorter, longer = self.sizes
        resized = self.library.resize([shorter, shorter], longer).get_transform(ordered)
        pixels = resized.apply_image(ordered).astype("float32").transpose(2, 0, 1)
        height, width = image.shape[:2]
        return {"image": torch.as_tensor(pixels.copy()), "height": height, "width": width}

    def _probs(self, probs: Tensor, kept: Tensor, instances: Any) -> Tensor:
        try:
            return kept_probs(probs, kept, instances.pred_classes, instances.scores)
        except (ValueError, IndexError) as error:
            raise WeightsError(
                self.path,
                "the model does not give finite values",
                hint="Do the weights belong to this configuration (PIXEL_STD, NORM)?",
            ) from error

    def _rows(self, instances: Any) -> Rows:
        """Detections above the floor, of the wanted classes."""
        sigmoid = bool(getattr(self.model.roi_heads.box_predictor, "use_sigmoid_ce", False))
        columns = torch.tensor(choose_columns(self.outputs, self.classes))
        place = torch.full((len(self.outputs),), -1)
        place[columns] = torch.arange(len(columns))
        scores = instances.scores.float().cpu()
        labels = place[instances.pred_classes.cpu()]
        keep = (scores > self.options.score_floor) & (labels >= 0)
        return Rows(
            boxes=instances.pred_boxes.tensor.float().cpu()[keep],
            scores=scores[keep],
            labels=labels[keep],
            probs=as_distribution(instances.probs.cpu()[keep], columns, sigmoid=sigmoid),
            features=instances.features.cpu()[keep].clamp(-_HALF_LIMIT, _HALF_LIMIT),
        )

    def _table(self, rows: Sequence[Rows], embeddings: Sequence[Tensor]) -> Detections:
        if not rows:
            blank = Frame(FrameRef("blank", 0), np.zeros((64, 64, 3), dtype=np.uint8))
            one = self.detect([blank])
            return Detections.gather(
                [],
                [],
                frames=0,
                classes=self.classes,
                width=(one.features.shape[1], one.embedding.shape[1]),
            )
        counts = [len(each.scores) for each in rows]

        def column(name: str) -> Any:
            return torch.cat([getattr(each, name) for each in rows]).numpy()

        return Detections(
            classes=self.classes,
            scanned=np.ones(len(rows), dtype=np.bool_),
            frame=np.repeat(np.arange(len(rows)), counts),
            boxes=column("boxes"),
            scores=np.minimum(column("scores"), 1),
            labels=column("labels"),
            probs=column("probs"),
            features=column("features").astype(np.float16),
            embedding=torch.stack(list(embeddings)).cpu().numpy(),
        )


def _embedding(maps: Mapping[str, Tensor]) -> Tensor:
    """(B, E) float32: the average of every level of the backbone, side by side."""
    return torch.cat([each.float().mean(dim=(2, 3)) for each in maps.values()], dim=1)
