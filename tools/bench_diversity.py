"""k-center and BADGE against scikit-activeml on one core: the same picks, and how much faster.

    python tools/bench_diversity.py --out tools/results/diversity.json

scikit-activeml is no dependency of vidal: install it into an environment of its own (`python -m
venv V; V/bin/pip install scikit-activeml`) and run this tool with that environment's Python. It
builds BADGE's gradient embeddings in full (N x K D), so it takes some GB, and seconds a pick: its
picks are few, and all times are told a pick.

What the machine can do is measured in the same run: the bandwidth of a copy, a matrix-vector
product with all items (what a pick costs that looks at every item), and a matrix product.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import json
import platform
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.query.badge import (
    Gradients,
    embedding_sq_distances,
    kmeans_pp,
    sampling_probabilities,
)
from vidal.query.kcenter import kcenter_greedy

LABELLED = 10


def made_up(count: int, width: int, classes: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features (N, D) as of a network's last layer (few causes, rectified), and a layer (D, K)."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(count, 20)) * rng.gamma(2.0, 0.5, (count, 1))
    noise = 0.3 * rng.normal(size=(count, width))
    features = np.maximum(causes @ rng.normal(size=(20, width)) + noise, 0.0).astype(np.float32)
    return features, rng.normal(size=(width, classes)) / width**0.5


def noise(count: int, width: int, seed: int) -> NDArray[Any]:
    """(N, D) features in which nothing is like anything: the worst case of a search by bounds."""
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """(N, K) logits -> (N, K) probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of this process (one thread: others on the machine do not count), and the result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def machine(features: NDArray[Any]) -> dict[str, float]:
    """What this core does: copy, matrix-vector and matrix products with the items."""
    wide = features.astype(np.float64)
    one, many = wide[0], wide[:1024]
    other = np.empty_like(features)
    copy = min(timed(lambda: np.copyto(other, features))[0] for _ in range(5))
    single = min(timed(lambda: features @ features[0])[0] for _ in range(5))
    double = min(timed(lambda: wide @ one)[0] for _ in range(5))
    product = min(timed(lambda: many @ many.T)[0] for _ in range(5))
    return {
        "copy_gb_per_s": 2 * features.nbytes / copy / 1e9,
        "gemv_float32_ms": 1e3 * single,
        "gemv_float64_ms": 1e3 * double,
        "gemv_float64_gb_per_s": wide.nbytes / double / 1e9,
        "gemm_float64_gflops": 2 * len(many) ** 2 * wide.shape[1] / product / 1e9,
    }


def plain_loop(features: NDArray[Any], known: NDArray[Any], picks: int) -> list[int]:
    """Farthest-first by one matrix-vector product a pick with all items."""
    wide = features - features.mean(axis=0, dtype=np.float64)
    norms = (wide**2).sum(axis=1)
    least = np.full(len(wide), np.inf)
    for centre in known - features.mean(axis=0, dtype=np.float64):
        np.minimum(least, norms + centre @ centre - 2 * (wide @ centre), out=least)
    chosen: list[int] = []
    for _ in range(picks):
        row = int(np.argmax(least))
        chosen.append(row)
        np.minimum(least, norms + norms[row] - 2 * (wide @ wide[row]), out=least)
        least[row] = -1.0
    return chosen


def kcenter(features: NDArray[Any], picks: int, peer_picks: int, repeats: int) -> dict[str, Any]:
    """Of vidal, of the plain loop and of the peer: seconds a pick, and whether picks agree."""
    known, pool = features[:LABELLED], features[LABELLED:]
    runs = [timed(lambda: kcenter_greedy(pool, known, picks)) for _ in range(repeats)]
    seconds, ours = min(run[0] for run in runs), runs[0][1]
    few = min(picks, 50)
    plain, loop = timed(lambda: plain_loop(pool, known, few))
    result: dict[str, Any] = {
        "vidal_s": seconds,
        "vidal_ms_a_pick": 1e3 * seconds / picks,
        "plain_loop_ms_a_pick": 1e3 * plain / few,
        "picks_of_plain_loop_equal": ours[:few].tolist() == loop,
    }
    if peer_picks:
        from skactiveml.pool import CoreSet

        answers = np.full(len(features), np.nan)
        answers[:LABELLED] = 0
        peer, theirs = timed(
            lambda: CoreSet(random_state=0).query(features, answers, batch_size=peer_picks)
        )
        result["peer_picks"] = peer_picks
        result["peer_ms_a_pick"] = 1e3 * peer / peer_picks
        result["picks_equal"] = (ours[:peer_picks] + LABELLED).tolist() == list(theirs)
        result["times_faster"] = result["peer_ms_a_pick"] / result["vidal_ms_a_pick"]
    return result


def badge(
    features: NDArray[Any], layer: NDArray[Any], picks: int, peer_picks: int, repeats: int
) -> dict[str, Any]:
    """Of vidal and of the peer: seconds a pick, and whether the chances of a pick agree."""
    probs = softmax(features @ layer)
    runs = [
        timed(lambda: kmeans_pp(probs, features, picks, np.random.default_rng(0)))
        for _ in range(repeats)
    ]
    seconds, ours = min(run[0] for run in runs), runs[0][1]
    result: dict[str, Any] = {
        "vidal_s": seconds,
        "vidal_ms_a_pick": 1e3 * seconds / picks,
        "classes": probs.shape[1],
    }
    if peer_picks:
        peer, (theirs, chances) = timed(lambda: peer_badge(features, layer, peer_picks))
        lengths = Gradients(probs, features).norms
        starts = {
            "total_variation": np.full(len(features), np.inf),
            # The peer counts the origin as a pick: the paper's code does not.
            "total_variation_with_origin": lengths,
        }
        for what, start in starts.items():
            result[what] = variation(probs, features, theirs, chances, start)
        result["peer_picks"] = peer_picks
        result["peer_ms_a_pick"] = 1e3 * peer / peer_picks
        result["first_pick_equal"] = int(theirs[0]) == int(ours[0])
        result["times_faster"] = result["peer_ms_a_pick"] / result["vidal_ms_a_pick"]
    return result


def variation(
    probs: NDArray[Any],
    features: NDArray[Any],
    theirs: list[int],
    chances: NDArray[Any],
    least: NDArray[Any],
) -> float:
    """Largest total variation between vidal's chances and theirs, over their picks but the first.

    Args:
        probs, features: of the items.
        theirs: their picks.
        chances: (picks, N) what they drew each by; NaN of items picked before.
        least: (N,) squared distances from the nearest pick before the first.
    """
    far = 0.0
    for place in range(1, len(theirs)):
        to_last = embedding_sq_distances(probs, features, theirs[place - 1])
        least = np.minimum(least, to_last)
        mine = sampling_probabilities(least, np.array(theirs[:place]))
        far = max(far, float(np.abs(mine - np.nan_to_num(chances[place])).sum() / 2))
    return far


def peer_badge(
    features: NDArray[Any], layer: NDArray[Any], picks: int
) -> tuple[list[int], NDArray[Any]]:
    """scikit-activeml's picks, and the chances that it drew each by."""
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge

    class Layer(SkactivemlClassifier):  # type: ignore[misc]
        """The same probabilities."""

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            return self

        def predict_proba(self, X: Any) -> NDArray[np.float64]:
            return softmax(X @ layer)

    return Badge(random_state=0).query(  # type: ignore[no-any-return]
        features,
        np.full(len(features), np.nan),
        Layer(classes=list(range(layer.shape[1]))),
        fit_clf=False,
        batch_size=picks,
        return_utilities=True,
    )


def floor(facts: Mapping[str, Any], count: int, width: int, picks: int) -> dict[str, Any]:
    """What a pick costs at least, by bytes and by operations."""
    flops = 2.0 * count * width
    return {
        "items": count,
        "width": width,
        "picks": picks,
        "bytes_of_one_pass_float64": 8.0 * count * width,
        "ms_of_one_pass_at_measured_bandwidth": facts["gemv_float64_ms"],
        "flops_of_one_pass": flops,
        "ms_of_these_flops_at_measured_rate": flops / facts["gemm_float64_gflops"] / 1e6,
    }


def told(result: Mapping[str, Any]) -> str:
    """The result in lines."""
    core, one = result["machine"], result["floor"]
    lines = [
        f"{one['items']:,} x {one['width']}, {one['picks']:,} picks, one core",
        f"copy {core['copy_gb_per_s']:.1f} GB/s, matrix-vector product"
        f" {core['gemv_float64_gb_per_s']:.1f} GB/s, matrix product"
        f" {core['gemm_float64_gflops']:.0f} GFLOP/s",
        f"one pass over items: {one['ms_of_one_pass_at_measured_bandwidth']:.1f} ms by bandwidth,"
        f" {one['ms_of_these_flops_at_measured_rate']:.2f} ms by operations",
    ]
    for method in ("kcenter", "kcenter_noise", "badge"):
        lines.append(
            f"{method}: " + ", ".join(f"{k} {_short(v)}" for k, v in result[method].items())
        )
    return "\n".join(lines)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--picks", type=int, default=1_000)
    parser.add_argument("--peer-picks", type=int, default=100, help="of k-center; 0 = no peer")
    parser.add_argument("--peer-badge-picks", type=int, default=4, help="0 = no peer")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    packages = ["numpy", "scipy", "scikit-learn"]
    try:
        packages.append("scikit-activeml")
        metadata.version("scikit-activeml")
    except metadata.PackageNotFoundError:
        packages.pop()
        args.peer_picks = args.peer_badge_picks = 0
        print("scikit-activeml is not installed here: no comparison (see --help of this tool)")
    features, layer = made_up(args.items, args.width, args.classes, args.seed)
    facts = machine(features)
    result = {
        "machine": facts,
        "floor": floor(facts, args.items, args.width, args.picks),
        "kcenter": kcenter(features, args.picks, args.peer_picks, args.repeats),
        "kcenter_noise": kcenter(
            noise(args.items, args.width, args.seed),
            args.picks,
            min(args.peer_picks, 50),
            args.repeats,
        ),
        "badge": badge(features, layer, args.picks, args.peer_badge_picks, args.repeats),
        "seed": args.seed,
        "processor": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in packages},
    }
    print(told(result))
    if args.out is not None:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
