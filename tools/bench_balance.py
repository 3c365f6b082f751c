"""The class-balanced query: time and certified gap, beside the whole linear relaxation by HiGHS.

    python tools/bench_balance.py --out tools/results/balance.json
    python tools/bench_balance.py --items 10000 100000     # without the million: 30 s

Costs are negative entropies (nats), class distributions long-tailed (the rarest class a tenth of
the commonest), the budget 2 % of the items, the target what balances an initial set of as many
labels. Times are CPU seconds of one thread. HiGHS solves the relaxation of all items (SciPy's
``linprog``, dual simplex); that is a bound and K + 1 fractional items, not yet a choice.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

import vidal
from vidal.assemble.machine import machine
from vidal.query.balance import discrepancy, solve, target_counts

SHARE = 0.02
REPEATS = 3


def a_pool(items: int, classes: int, seed: int) -> tuple[NDArray[Any], ...]:
    """Costs (N,), class distributions (N, K) and target (K,)."""
    rng = np.random.default_rng(seed)
    prior = 0.1 ** np.linspace(0, 1, classes)
    prior /= prior.sum()
    labels = rng.choice(classes, items, p=prior)
    logits = rng.normal(size=(items, classes)) + 0.5 * np.log(prior)
    logits[np.arange(items), labels] += rng.gamma(2.0, 1.5, items)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    budget = int(SHARE * items)
    counts = rng.multinomial(budget, prior)
    costs = (probs * np.log(np.maximum(probs, 1e-300))).sum(axis=1)
    return costs, probs, target_counts(counts, budget, budget, 1)


def measured(items: int, classes: int, lam: float, seeds: Sequence[int]) -> dict[str, Any]:
    """One line of the table: worst gap and median time over the seeds."""
    seconds, gaps, shares, left = [], [], [], []
    for seed in seeds:
        costs, probs, target = a_pool(items, classes, seed)
        began = time.process_time()
        found = solve(costs, probs, target, lam, int(SHARE * items))
        seconds.append(time.process_time() - began)
        gaps.append(found.relative_gap)
        shares.append((found.value - found.bound) / abs(found.value))
        left.append(discrepancy(target, probs[found.positions].sum(axis=0)) / target.sum())
    return {
        "items": items,
        "classes": classes,
        "lambda": lam,
        "seconds": float(np.median(seconds)),
        "gap": max(gaps),
        "gap_of_the_value": max(shares),
        "l1_left_of_the_target": float(np.median(left)),
        "seeds": list(seeds),
    }


def by_highs(items: int, classes: int, lam: float, seed: int) -> tuple[float, float]:
    """CPU seconds and value of the whole relaxation."""
    from scipy.optimize import linprog
    from scipy.sparse import csc_array, eye_array, hstack, vstack

    costs, probs, target = a_pool(items, classes, seed)
    one = eye_array(classes)
    rows = hstack([csc_array(probs.T), one, -one])
    ones = csc_array(np.r_[np.ones(items), np.zeros(2 * classes)][None, :])
    upper = np.r_[np.ones(items), np.full(2 * classes, np.inf)]
    began = time.process_time()
    found = linprog(
        np.r_[costs, np.full(2 * classes, lam)],
        A_eq=vstack([rows, ones]),
        b_eq=np.append(target, int(SHARE * items)),
        bounds=np.stack([np.zeros_like(upper), upper], axis=1),
        method="highs-ds",
    )
    return time.process_time() - began, float(found.fun)


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--lambdas", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--highs", type=int, default=100_000, help="items; 0 = leave it out")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    lines = []
    for items in given.items:
        for classes in given.classes:
            for lam in given.lambdas:
                seeds = range(1 if items >= 1_000_000 else REPEATS)
                line = measured(items, classes, lam, list(seeds))
                if items == given.highs and lam == given.lambdas[0]:
                    line["highs_seconds"], bound = by_highs(items, classes, lam, 0)
                    line["times_faster"] = line["highs_seconds"] / line["seconds"]
                    line["highs_relaxation"] = bound
                lines.append(line)
                beside = (
                    f"   HiGHS LP {line['highs_seconds']:.2f} s, {line['times_faster']:.0f} times"
                    if "times_faster" in line
                    else ""
                )
                print(
                    f"{items:>9,} x {classes:<3} lambda {lam:<4g} {line['seconds']:6.2f} s"
                    f"   gap {100 * line['gap']:.5f} %, of the value"
                    f" {100 * line['gap_of_the_value']:.5f} %{beside}",
                    flush=True,
                )
    if given.out is not None:
        facts = {
            "machine": machine(),
            "versions": {
                "vidal": vidal.__version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "scipy": scipy.__version__,
            },
            "budget_share": SHARE,
            "times": "CPU seconds of one thread, median over seeds",
            "gaps": "the worst over seeds; gap: as a share of the sizes of both terms, whose sum"
            " crosses 0 as lambda grows; gap_of_the_value: of that sum",
        }
        given.out.write_text(json.dumps({**facts, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
