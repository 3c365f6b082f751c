"""The Python door: what ``import vidal`` offers, and what the command line is a thin layer over."""

from vidal.api.campaigns import Campaign
from vidal.api.labels import read_labels
from vidal.api.selections import SelectedFrame, Selection, select
from vidal.api.simulations import simulate

__all__ = ["Campaign", "SelectedFrame", "Selection", "read_labels", "select", "simulate"]
