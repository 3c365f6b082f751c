"""``report.html`` of one selection: what was chosen, why, and what it looks like."""

from vidal.report.round.page import MOST_CARDS, other_bytes, write_report
from vidal.report.round.pictures import Pictures

__all__ = ["MOST_CARDS", "Pictures", "other_bytes", "write_report"]
