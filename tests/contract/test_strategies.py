"""Every query strategy of ``vidal.assemble.STRATEGIES`` passes the suite that vidal ships.

A new entry is covered by being in the table. What a strategy deliberately does not do is written
down in the sets below, nowhere else.
"""

from vidal.assemble import STRATEGIES
from vidal.testing import StrategyContract

NEIGHBOURS_ALLOWED = {"random"}
BATCHES = {"badge", "batchbald", "cluster-margin", "coreset", "kcenter", "pal", "ppal"}
CLIPS_NOT_IN_TURN = {"random", "every-nth", "expected-errors"} | BATCHES


def suite(name):
    return type(
        f"Test {name}",
        (StrategyContract,),
        {
            "strategy": STRATEGIES[name],
            "neighbours_allowed": name in NEIGHBOURS_ALLOWED,
            "clips_in_turn": name not in CLIPS_NOT_IN_TURN,
        },
    )


globals().update({f"Test_{name}": suite(name) for name in STRATEGIES})


def test_the_default_comes_first():
    assert next(iter(STRATEGIES)) == "expected-errors"


def test_exceptions_name_existing_strategies():
    assert set(STRATEGIES) >= NEIGHBOURS_ALLOWED | CLIPS_NOT_IN_TURN
