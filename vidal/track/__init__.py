"""Propagators: carry boxes from a frame to its neighbours.

A new tracker implements ``vidal.protocols.Propagator`` (one pair of frames) or ``Motion`` (a clip);
``propagate`` does the rest.
"""

from vidal.track.field import FlowField
from vidal.track.flow import FlowMeter
from vidal.track.options import FlowOptions
from vidal.track.pixel_motion import PixelMotion, record_motion
from vidal.track.propagate import propagate
from vidal.track.propagators import (
    FlowPropagator,
    RaftPropagator,
    SiamFCPropagator,
    SparseFlowPropagator,
    StillPropagator,
    TemplatePropagator,
)
from vidal.track.session import Tracker

__all__ = [
    "FlowField",
    "FlowMeter",
    "FlowOptions",
    "FlowPropagator",
    "PixelMotion",
    "RaftPropagator",
    "SiamFCPropagator",
    "SparseFlowPropagator",
    "StillPropagator",
    "TemplatePropagator",
    "Tracker",
    "propagate",
    "record_motion",
]
