"""The options of a selection by name, for editors and type checkers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

PathLike = str | os.PathLike[str]


class SelectOptions(TypedDict, total=False):
    """What ``vidal.select`` takes besides videos, budget and strategy; all of it may be left out.

    Attributes:
        errors: which estimated errors count: ``"fp"``, ``"fn"`` or ``"fp+fn"``.
        options: of the strategy, by name; ``vidal strategies`` lists them.
        gap: between chosen or labelled frames of a clip: how many are excluded on either side (12),
            or how far apart they are at least (``"0.4s"``). Default ``"0.5s"``.
        turns: how clips take turns: ``"clips"`` (the best frame of every clip before the second
            best of any), ``"none"`` (by score alone) or ``"weighted"`` (long clips have more
            turns). Default: what suits the strategy.
        labels: labels of frames that are labelled already: never chosen, and learned from.
        seed: root of all randomness. Default 0.
        detector: as of ``vidal select --detector``. Default ``"auto"``.
        weights: a checkpoint of your own.
        config: of your own model, for detector ``"detectron2"``.
        classes: names to keep, or to give to a checkpoint without names.
        threshold: detections with a higher score count, in [0, 1]. Default 0.5.
        device: ``"auto"`` (every GPU, else the processor), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or
            ``"cuda:0,1"``; see docs/gpu.md.
        precision: ``"auto"``, ``"fp32"``, ``"tf32"``, ``"bf16"`` or ``"fp16"``.
        batch: frames the detector sees at once; 0 = what suits the device.
        compile: compile the network first (``torch.compile``). Default False.
        coherence, flow, expected: options of temporal coherence, of the optical flow and of
            expected errors, by name.
        known_only: what is likely an unknown object (annotated, of none of the classes) counts
            less, as learned from ``labels``; see docs/open_set_video.md. Default False.
        random_share: of the budget that is drawn at random, in [0, 1).
        balance: of the classes: lambda, what an object too few or too many costs in the unit of the
            strategy's score, or ``"auto"``; see docs/class_balance.md. Default: none.
        class_weights: class -> how many labels of it are wanted in proportion to others.
        cost: rates of annotation, for budgets of boxes or time and for what is told of the cost:
            ``{"frame": 2, "box": 7, "known": 1, "unknown": 1}`` (seconds a frame, seconds a box,
            boxes that an object of a target class or of none counts for).
        tracker: what carries boxes to neighbouring frames. Default ``"auto"``.
        tracker_options: of the tracker, by name.
        cache: where evidence is kept between runs. Default: ``.vidal`` in ``out``, or here.
        workers: processes; 0 = one a core on a CPU, one to three a GPU.
        engine: where the work is done: ``"local"`` (this process), ``"process"`` (worker processes)
            or ``"ray"`` (Ray actors; ``pip install vidal-al[ray]``). Default: worker processes
            where more than one is worth while.
        ray_address: of a Ray cluster: ``"auto"`` or ``"HOST:PORT"``. Default: what ``RAY_ADDRESS``
            names, else a local Ray that ends with the run.
        ray_gpus: GPUs of each Ray actor, such as 0.25. Default: 1 where the detector runs on a GPU.
        image_rate: frames a second of folders of images. Default 10.
        detections: your own detections instead of a detector: a file, a folder or a pattern.
        detections_images: the file with ``images`` and ``categories`` of COCO results.
        detections_frames: which frames were looked at: ``"auto"``, ``"all"`` or ``"listed"``.
        score_transform: ``"sigmoid"`` where the given scores are logits.
        size: ``"WIDTHxHEIGHT"`` of frames that nothing else tells.
    """

    errors: str | None
    options: Mapping[str, Any]
    gap: int | str
    turns: Literal["clips", "none", "weighted"] | None
    labels: PathLike | None
    seed: int
    detector: str
    weights: PathLike | None
    config: PathLike | None
    classes: Sequence[str] | str | None
    threshold: float
    device: str
    precision: str
    batch: int
    compile: bool
    coherence: Mapping[str, Any]
    flow: Mapping[str, Any]
    expected: Mapping[str, Any]
    known_only: bool
    random_share: float
    balance: float | Literal["auto"] | None
    class_weights: Mapping[str, float]
    cost: Mapping[str, Any] | str | None
    tracker: str
    tracker_options: Mapping[str, Any]
    cache: PathLike | None
    workers: int
    engine: Literal["auto", "local", "process", "ray"] | None
    ray_address: str | None
    ray_gpus: float | None
    image_rate: str | float
    detections: PathLike | None
    detections_images: PathLike | None
    detections_frames: Literal["auto", "all", "listed"]
    score_transform: Literal["none", "sigmoid"]
    size: str | None
