"""The options of optical flow, with the measurements behind their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vidal.errors import UnknownName, UsageError

Preset = Literal["ultrafast", "fast", "medium"]
Mode = Literal["robust", "centre"]

VERSION = 1
"""Raised whenever the same options would give other flow than before."""


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """Dense inverse search flow (Kroeger et al. 2016) and how boxes read it.

    Measured on rendered clips at 480x300 and 25 frames a second, median object 19 px (IoU of true
    boxes after three frames; ``tools/bench_flow.py``): no motion .589, the defaults .813; finest
    scale 2, the preset's own, .775 for half the time; stride 4, the preset's own, .815 for nearly
    twice the time; the flow kept at half instead of a quarter of the resolution .813; without
    ``scale`` .789. At 10 frames a second ``scale`` gains .041.

    Attributes:
        height: frames are shrunk to this height in pixels before flow; never enlarged.
        preset: OpenCV's set of DIS parameters to start from.
        finest_scale: level of the pyramid at which flow stops, 0 = full resolution; replaces the
            preset's.
        patch_stride: pixels between patches of 8; replaces the preset's.
        divisor: the flow is kept at 1/divisor of the processed resolution, in float16.
        cuts: flow is not valid across a shot cut.
        mode: what moves a box. ``robust``: the component-wise median of the flow over the central
            half of the box. ``centre``: the flow at its centre; the size never changes
            (Zolfaghari Bengar et al. 2019).
        scale: robust mode only: the box also grows and shrinks with the divergence of the flow.
        keep: the flow stays in the store, 71 kB a frame, so that another detector need not have it
            measured again; else only the boxes do that it carried. The result is the same.
        threads: that measure a clip; 0 = one beside a detector on the processor, and those of the
            cores beside a GPU that decoding leaves. The flow does not depend on it.
    """

    height: int = 300
    preset: Preset = "ultrafast"
    finest_scale: int = 1
    patch_stride: int = 6
    divisor: int = 4
    cuts: bool = True
    mode: Mode = "robust"
    scale: bool = True
    keep: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        if self.preset not in get_args(Preset):
            raise UnknownName("preset", self.preset, get_args(Preset))
        if self.mode not in get_args(Mode):
            raise UnknownName("mode", self.mode, get_args(Mode))
        limits = {
            "height": (32, 4320),
            "finest_scale": (0, 4),
            "patch_stride": (1, 8),
            "threads": (0, 64),
        }
        for name, (low, high) in {**limits, "divisor": (1, 16)}.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} {value!r} is not between {low} and {high}.")

    @property
    def key(self) -> Mapping[str, Any]:
        """What a measured field depends on, as JSON values; not how boxes read it."""
        names = ("height", "preset", "finest_scale", "patch_stride", "divisor", "cuts")
        return {"version": VERSION, **{name: getattr(self, name) for name in names}}

    @property
    def motion_key(self) -> Mapping[str, Any]:
        """What carried boxes depend on: the field and how it is read."""
        return {**self.key, "mode": self.mode, "scale": self.scale}
