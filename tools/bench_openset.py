"""Open-set methods on a large pool: seconds and memory of each, beside what the machine does.

    python tools/bench_openset.py --out tools/results/openset.json
    python tools/bench_openset.py --only "neat similar:function=logdetcmi"

Every strategy of `vidal/openset` that the table of strategies names is measured, on made-up images:
clusters of known and of unknown classes, one region each. Each runs in a process of its own on one
thread: seconds are of that process, memory is what its peak adds to what the pool already takes.
What trains does so on the trunk of regions, with the options that video has; a network of pictures
costs more. Methods keep their defaults; `NAME:option=value` gives one of them other options. With
`--only` the results of other methods in the file stay.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import json
import multiprocessing
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.assemble import STRATEGIES, find_strategy
from vidal.assemble.formulas import OPEN_SET
from vidal.errors import VidalError
from vidal.protocols import Learner, Remembering
from vidal.query.options import Preset, build
from vidal.query.region_scores import RegionScore
from vidal.query.select import lift
from vidal.types import FrameSet, Items, Pool, Regions

UNKNOWN_SHARE = 0.4
UNKNOWN_CLASSES = 8
ENCODED = {"semantic": (128,), "contrastive": (128,), "distinctive": (4, 128)}
"""Columns of self-supervised encoders -> their shape behind the items."""

SEED = 0


def open_set_names() -> list[str]:
    """The strategies whose method lies in ``vidal/openset``."""
    return [name for name, kind in STRATEGIES.items() if _is_open_set(kind)]


def _is_open_set(kind: type | Preset[Any]) -> bool:
    cls = kind.cls if isinstance(kind, Preset) else kind
    if cls is RegionScore and isinstance(kind, Preset):
        return any(kind.given["formula"] is line for line in OPEN_SET.values())
    return cls.__module__.startswith("vidal.openset")


class Made:
    """Clusters of known and unknown classes, and the last layer of a model that knows K of them."""

    def __init__(self, width: int, classes: int) -> None:
        rng = np.random.default_rng(SEED)
        self.classes = classes
        self.width = width
        self.centres = rng.normal(size=(classes + UNKNOWN_CLASSES, width)).astype(np.float32)
        self.layer = (
            (2.0 * self.centres[:classes].T / width).astype(np.float32),
            np.zeros(classes, np.float32),
        )

    def items(self, count: int, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """(n, D) features, (n, K+1) probabilities, (n,) answers."""
        rng = np.random.default_rng([SEED, seed])
        unknown = rng.random(count) < UNKNOWN_SHARE
        cluster = np.where(
            unknown,
            self.classes + rng.integers(0, UNKNOWN_CLASSES, count),
            rng.integers(0, self.classes, count),
        )
        features = rng.standard_normal((count, self.width), np.float32)
        features *= 1.5
        features += self.centres[cluster]
        probs = np.zeros((count, self.classes + 1), np.float32)
        logits = self.logits(features)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs[:, :-1] = powers / powers.sum(axis=1, keepdims=True)
        return features, probs, np.minimum(cluster, self.classes)

    def logits(self, features: NDArray[Any]) -> NDArray[Any]:
        """(n, K) float32."""
        weight, offset = self.layer
        return np.asarray(features @ weight + offset, np.float32)

    def columns(self, features: NDArray[Any], needs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """What a strategy asks for that does not come of labels."""
        found: dict[str, NDArray[Any]] = {}
        if "logits" in needs:
            found["logits"] = self.logits(features)
        if "frozen" in needs:
            found["frozen"] = features
        if "predicted_loss" in needs:
            found["predicted_loss"] = np.random.default_rng([SEED, 3]).random(len(features))
        for name in sorted(needs & set(ENCODED)):
            rng = np.random.default_rng([SEED, len(name)])
            shape = ENCODED[name]
            onto = rng.normal(size=(self.width, int(np.prod(shape)))).astype(np.float32)
            found[name] = (features @ onto).reshape(len(features), *shape)
        return found


def made_pool(items: int, width: int, classes: int, labelled: int, needs: frozenset[str]) -> Pool:
    """One clip of ``items`` frames with one region each, and what is labelled."""
    made = Made(width, classes)
    features, probs, _ = made.items(items, 1)
    known, base, answers = made.items(labelled, 2)
    clips = ("images",)
    none = np.zeros(0, np.int64)
    return Pool(
        FrameSet(clips, np.zeros(items, np.int64), np.arange(items)),
        tuple(f"class-{c}" for c in range(classes)),
        FrameSet(clips, none, none),
        regions=Regions(
            np.arange(items),
            np.tile(np.array([0, 0, 32, 32], np.float32), (items, 1)),
            probs.max(axis=1),
            probs.argmax(axis=1),
            probs,
            features,
            made.columns(features, needs),
        ),
        items=Items(known, base, answers, made.columns(known, needs)),
        layer=made.layer,
        precisions=(0.5, 0.7) if "precision" in needs else (),
    )


def with_last_query(pool: Pool, strategy: Any, budget: int, made: Made) -> Pool:
    """The pool with a last query of some of its own items, where the strategy wants one."""
    assert pool.regions is not None
    rows = np.arange(min(budget, len(pool)))
    columns = dict(strategy.memory(pool, rows)) if isinstance(strategy, Remembering) else {}
    _, _, answers = made.items(len(pool), 1)
    regions = pool.regions
    features = regions.features[rows].astype(np.float32)
    return replace(pool, asked=Items(features, regions.probs[rows], answers[rows], columns))


def peak_mb() -> float | None:
    """The most memory of this process so far; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) / 1024


def forget_peak() -> float | None:
    """From now on the peak counts from the memory of now, which is returned in MB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return peak_mb()


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of this process, and the result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def measured(spec: str, sizes: dict[str, int]) -> dict[str, Any]:
    """One method, ``NAME`` or ``NAME:option=value``; alone in its process."""
    name, _, given = spec.partition(":")
    options = dict(each.split("=", 1) for each in given.split(",") if each)
    strategy = build(find_strategy(name), options)
    needs = frozenset(strategy.needs)
    shape = (sizes["items"], sizes["width"], sizes["classes"], sizes["labelled"])
    pool = made_pool(*shape, needs)
    assert pool.regions is not None
    assert pool.items is not None
    before = forget_peak()
    result: dict[str, Any] = {}
    if isinstance(strategy, Learner):
        result["learn_s"], pool = timed(lambda: learned(pool, strategy))
    if "asked" in needs:
        made = Made(sizes["width"], sizes["classes"])
        pool = with_last_query(pool, strategy, sizes["budget"], made)
    selector = lift(strategy, 0)
    rng = np.random.default_rng(SEED)
    result["select_s"], picks = timed(lambda: selector.select(pool, sizes["budget"], rng))
    assert len(np.unique(picks)) == sizes["budget"]
    result["score_s"], _ = timed(lambda: selector.score(pool))
    after = peak_mb()
    told = None if before is None or after is None else after - before
    result["peak_mb"] = told
    _, _, answers = Made(sizes["width"], sizes["classes"]).items(sizes["items"], 1)
    result["query_precision"] = float((answers[picks] < sizes["classes"]).mean())
    return result


def learned(pool: Pool, strategy: Learner) -> Pool:
    """With what a strategy learns on a trunk of regions."""
    import torch

    from vidal.heads.trunk import RegionTrunk

    torch.set_num_threads(1)
    assert pool.regions is not None
    assert pool.items is not None
    found = strategy.learn(RegionTrunk(pool.items, pool.regions.features, pool.regions.probs), SEED)
    return replace(
        pool,
        regions=replace(pool.regions, columns={**pool.regions.columns, **found.pool}),
        items=replace(pool.items, columns={**pool.items.columns, **found.labelled}),
    )


def baselines(sizes: dict[str, int]) -> dict[str, float]:
    """What this machine does: products of the pool with what is labelled, and a sort of scores."""
    pool = made_pool(
        sizes["items"], sizes["width"], sizes["classes"], sizes["labelled"], frozenset()
    )
    assert pool.regions is not None
    assert pool.items is not None
    half, known = pool.regions.features, pool.items.features
    wide_s, features = timed(lambda: half.astype(np.float32))
    product_s = gemm_seconds(features, known)
    scores = features[:, 0].copy()
    return {
        "features_to_float32_s": wide_s,
        "gemm_pool_labelled_float32_s": product_s,
        "gemm_float32_gflops": 2e-9 * features.size * len(known) / product_s,
        "argsort_s": min(timed(lambda: np.argsort(scores, kind="stable"))[0] for _ in range(3)),
        "pool_features_mb": half.nbytes / 2**20,
    }


def gemm_seconds(features: NDArray[Any], known: NDArray[Any], block: int = 8_192) -> float:
    """Seconds for (N, D) @ (D, M) block by block, nothing kept."""
    turned = np.ascontiguousarray(known.T)
    starts = range(0, len(features), block)
    return timed(lambda: [features[at : at + block] @ turned for at in starts][:0])[0]


def _answer(kind: str, spec: str, sizes: dict[str, int], pipe: Any) -> None:
    try:
        pipe.send(baselines(sizes) if kind == "baselines" else measured(spec, sizes))
    except VidalError as error:
        pipe.send({"refused": str(error)})
    except Exception as error:  # what does not run is told beside what does
        pipe.send({"failed": f"{type(error).__name__}: {error}"})


def apart(kind: str, spec: str, sizes: dict[str, int]) -> dict[str, Any]:
    """The answer of a process that does nothing else."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    worker = context.Process(target=_answer, args=(kind, spec, sizes, there))
    worker.start()
    there.close()
    try:
        found: dict[str, Any] = here.recv()
    except EOFError:
        found = {"failed": "its process ended, perhaps for want of memory"}
    worker.join()
    return found


def told(spec: str, found: dict[str, Any]) -> str:
    """One method in a line."""
    parts = (f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items())
    return f"{spec}: " + ", ".join(parts)


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--budget", type=int, default=1_000)
    parser.add_argument("--labelled", type=int, default=2_000)
    parser.add_argument("--only", help="methods, separated by blanks")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    sizes = {k: getattr(args, k) for k in ("items", "width", "classes", "budget", "labelled")}
    specs = args.only.split() if args.only else open_set_names()
    result: dict[str, Any] = {"sizes": sizes, "methods": {}}
    if args.only and args.out is not None and args.out.exists():
        kept = json.loads(args.out.read_text())
        result["methods"] = kept["methods"] if kept["sizes"] == sizes else {}
    result["baselines"] = apart("baselines", "", sizes)
    print(told("machine", result["baselines"]), flush=True)
    for spec in specs:
        result["methods"][spec] = apart("method", spec, sizes)
        print(told(spec, result["methods"][spec]), flush=True)
    result["processor"] = platform.processor() or platform.machine()
    result["versions"] = {"python": platform.python_version()} | {
        package: metadata.version(package) for package in ("numpy", "scipy", "torch")
    }
    if args.out is not None:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
