"""From the name of a tracker to what carries boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import Any

from vidal.assemble import PROPAGATORS
from vidal.detect.machine import this_machine
from vidal.errors import PluginError, UnknownName, UsageError
from vidal.evidence.motion import MotionSource
from vidal.plugins import Plugin, plugin, plugins
from vidal.protocols import Propagator
from vidal.query.options import build
from vidal.track import Tracker
from vidal.track.foreign import ForeignTracker


def build_tracker(
    name: str,
    options: Mapping[str, Any],
    *,
    flow: Mapping[str, Any] | None = None,
    pixels: bool = True,
) -> MotionSource:
    """What carries boxes, by name.

    Args:
        name: ``auto``, ``kalman`` or a key of ``PROPAGATORS``.
        options: option name -> text or value.
        flow: options of optical flow that were given as well.
        pixels: whether the clips have frames to look at.

    Raises:
        UnknownName: the tracker or an option does not exist.
        PluginError: another package's that cannot be used.
        UsageError: a value of an option cannot be meant, or nothing would read it.
        WeightsError: weights that a tracker needs are not there.
    """
    own = ("auto", "kalman", *PROPAGATORS)
    other = plugin("tracker", name, own)
    if name not in own and other is None:
        raise UnknownName("tracker", name, (*own, *plugins("tracker", own)))
    if name not in ("auto", "flow") and flow:
        raise UsageError(f"options of optical flow, but tracker {name!r} does not read them.")
    if name in ("auto", "flow", "kalman"):
        if options:
            hint = "Those of optical flow are given with --flow." if name != "kalman" else ""
            raise UsageError(f"tracker {name!r} has no options.", hint=hint)
        if name == "flow" and not pixels:
            raise _no_pixels(name)
        return "kalman" if name == "kalman" else "flow"
    if not pixels:
        raise _no_pixels(name)
    tracker: Tracker = build(PROPAGATORS[name], options) if other is None else _of(other, options)
    if getattr(tracker, "device", None) == "auto" and this_machine().gpu:
        tracker = replace(tracker, device="cuda")  # type: ignore[type-var]  # part of its key
    _ = tracker.key  # weights are read for it: those that cannot be are refused at once
    return tracker


def _of(found: Plugin, options: Mapping[str, Any]) -> Tracker:
    """Another package's tracker; one that only steps between two frames is complete as it is."""
    kind = found.load()
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise PluginError("tracker", found.name, found.package, "it is no dataclass")
    made = build(kind, options)
    if not isinstance(made, Propagator):
        raise PluginError("tracker", found.name, found.package, "it has no method `step`")
    return ForeignTracker(found.name, found.package, found.version, made)


def named(tracker: MotionSource) -> dict[str, Any]:
    """For the record: the tracker and its options."""
    return {"tracker": tracker} if isinstance(tracker, str) else dict(tracker.key)


def _no_pixels(name: str) -> UsageError:
    return UsageError(
        f"tracker {name!r} looks at frames, and there are none.",
        hint="Give the clips with --videos, or use --tracker kalman.",
    )
