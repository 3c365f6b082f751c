"""Accuracy with few labels, with and without SimSiam on the unlabelled pool.

    python tools/bench_images_pretrain.py --data mnist.npz --seeds 3
    python tools/bench_images_pretrain.py --data cifar10.npz --recipe small-colour --seeds 3

For every seed SimSiam sees the images of a pool; then, for each number of labels (equally many of
each class, drawn by the seed), the test images are judged by: the network of the recipe trained
from random weights (``scratch``), trained on from what SimSiam learned (``fine-tuned``), a linear
probe and a linear SVM on SimSiam's frozen features with the thesis's settings (``probe``, ``svm``),
and the same on the features of a network with random weights (``random-probe``). Seeds are paired.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from vidal.assemble.machine import machine
from vidal.images.config import ImagesConfig, parse_images
from vidal.images.data import ImageData, Pixels, load_images
from vidal.images.looking import predicted
from vidal.images.networks import NetworkSpec, build
from vidal.images.pretraining import Encoder, pretrain_images, simsiam_options
from vidal.images.task import Task, make_task
from vidal.images.training import Body, Scale, Stock, fit
from vidal.pretrain.probe import linear_probe, linear_svm
from vidal.selection.notes import versions
from vidal.store.atomic import write_text
from vidal.types import FloatArray

CPU = torch.device("cpu")
BASE = "scratch"


def features(spec: NetworkSpec, state: Any, pixels: Pixels, scale: Scale, start: int) -> FloatArray:
    """(N, D) frozen features; ``state`` None = of random weights."""
    network = build(spec, start)
    if state is not None:
        network.stages.load_state_dict(state)
    encoder = Encoder(network.eval())
    with torch.inference_mode():
        found = [encoder(batch).numpy() for batch in Stock.of(pixels, scale, CPU).batches()]
    return np.concatenate(found)


class Seed:
    """One seed's pool, and what SimSiam learned from it."""

    def __init__(self, data: ImageData, config: ImagesConfig, seed: int) -> None:
        self.config, self.seed, self.data = config, seed, data
        self.recipe = config.training.whole
        task = make_task(data, config, seed)
        self.scale = Scale.of(task.train.pixels)
        self.spec = NetworkSpec.of(self.recipe, task.shape, len(task.classes))
        assert config.pretrain is not None
        options = simsiam_options(config.pretrain, self.recipe, task.shape)
        began = time.process_time()
        self.state, outcome = pretrain_images(
            task.train.pixels, self.scale, self.spec, options, seed, start=seed, device=CPU
        )
        self.pretraining = {
            "seconds": round(time.process_time() - began, 1),
            "losses": [outcome.losses[0], outcome.losses[-1]],
            "spread": outcome.spread,
            "steps": outcome.steps,
        }
        every = (self.state, None)
        self.train = [self._features(state, task.train.pixels) for state in every]
        self.test = [self._features(state, task.test.pixels) for state in every]

    def _features(self, state: Any, pixels: Pixels) -> FloatArray:
        return features(self.spec, state, pixels, self.scale, self.seed)

    def judged(self, labels: int) -> dict[str, float]:
        """Accuracy of every way with so many labels."""
        values = {**self.config.model_dump(mode="json"), "initial": labels}
        task = make_task(self.data, parse_images(values, "config", base=None), self.seed)
        return {**self._networks(task), **self._linear(task)}

    def _networks(self, task: Task) -> dict[str, float]:
        stock, found = Stock.of(task.train.pixels, self.scale, CPU), {}
        test = Stock.of(task.test.pixels, self.scale, CPU)
        answers = task.train.labels[task.initial]
        for name, body in ((BASE, None), ("fine-tuned", Body(self.state, False))):
            model = fit(
                stock.take(task.initial), self.scale, answers, self.spec, self.recipe, self.seed,
                body=body,
            )  # fmt: skip
            found[name] = float((predicted(model, test) == task.test.labels).mean())
        return found

    def _linear(self, task: Task) -> dict[str, float]:
        at, truth, classes = task.initial, task.test.labels, len(task.classes)
        answers = task.train.labels[at]
        found = {}
        for name, number in (("probe", 0), ("random-probe", 1)):
            rng = np.random.default_rng([self.seed, 1])
            probe = linear_probe(self.train[number][at], answers, classes, rng)
            found[name] = float((probe.predict(self.test[number]) == truth).mean())
        machine_ = linear_svm(self.train[0][at], answers, classes)
        return {**found, "svm": float((machine_.predict(self.test[0]) == truth).mean())}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, and paired differences from ``scratch`` with 95 % half widths."""
    lines = []
    for labels in sorted({row["labels"] for row in rows}):
        mine = [row["accuracy"] for row in rows if row["labels"] == labels]
        for name in mine[0]:
            values = np.array([each[name] for each in mine])
            difference = values - np.array([each[BASE] for each in mine])
            half = None
            if len(mine) > 1 and name != BASE:
                spread = difference.std(ddof=1) / np.sqrt(len(mine))
                half = float(stats.t.ppf(0.975, len(mine) - 1) * spread)
            line = {"labels": labels, "way": name, "accuracy": float(values.mean())}
            lines.append({**line, "difference": float(difference.mean()), "half_width": half})
    return lines


def main() -> None:
    """All seeds; what is in ``--results`` already is not run again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("images_pretrain.json"))
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--pool", type=int, default=8000)
    parser.add_argument("--test-images", type=int, default=5000)
    parser.add_argument("--labels", default="20,50,100,200,500")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--lr", type=float, default=0.06)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    counts = [int(each) for each in asked.labels.split(",")]
    values = {
        "data": {"path": str(asked.data), "pool": asked.pool, "test_images": asked.test_images},
        "initial": counts[0],
        "training": {"recipe": asked.recipe, "precision": "fp32"},
        "pretrain": {"epochs": asked.epochs, "lr": asked.lr},
    }
    config = parse_images(values, "options", base=None)
    data = load_images(asked.data, test=0.2, seed=0, size=None)
    settings = {**values, "data": {**values["data"], "path": asked.data.name}}  # type: ignore[dict-item]
    kept: dict[str, Any] = {"settings": settings, "seeds": {}, "rows": []}
    if asked.results.exists():
        kept = json.loads(asked.results.read_text("utf-8"))
        if kept["settings"] != settings:
            parser.error(f"{asked.results} holds results of other settings: name another file.")
    for seed in range(asked.seeds):
        if str(seed) in kept["seeds"]:
            continue
        one = Seed(data, config, seed)
        rows = [{"seed": seed, "labels": n, "accuracy": one.judged(n)} for n in counts]
        kept["rows"] += rows
        kept["seeds"][str(seed)] = one.pretraining
        whole = {**kept, "summary": summary(kept["rows"]), "machine": machine()}
        text = json.dumps({**whole, "versions": versions()}, indent=1, allow_nan=False)
        write_text(asked.results, text + "\n")
        print(json.dumps({"seed": seed, **one.pretraining}), flush=True)
    for line in summary(kept["rows"]):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
