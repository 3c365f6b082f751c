"""``report.html`` of one selection: what was chosen, why, and what it looks like."""

from vidal.report.round.page import cards_that_fit, other_bytes, write_report
from vidal.report.round.pictures import Pictures

__all__ = ["Pictures", "cards_that_fit", "other_bytes", "write_report"]
