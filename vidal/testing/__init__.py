"""The contract suites that vidal's own strategies, detectors and trackers pass, for yours. pytest.

Subclass one in a test file of your own and name what is tested; pytest runs the rest:

    from vidal.testing import StrategyContract

    class TestMine(StrategyContract):
        strategy = Mine
"""

import pytest

pytest.register_assert_rewrite(
    "vidal.testing.detectors",
    "vidal.testing.pools",
    "vidal.testing.strategies",
    "vidal.testing.trackers",
)

from vidal.testing.detectors import DetectorContract  # noqa: E402
from vidal.testing.strategies import StrategyContract, a_pool  # noqa: E402
from vidal.testing.trackers import TrackerContract  # noqa: E402

__all__ = ["DetectorContract", "StrategyContract", "TrackerContract", "a_pool"]
