"""The camera behind the windscreen, and how the world falls onto its image.

World coordinates are metres along the road: x to the right of its centre line, y up, z ahead. A
bend is a parabola: a point ``depth`` metres ahead lies ``curve * depth**2 / 2`` further right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR = 1.0
"""Depth, in metres, at which points at or behind the camera are put."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera.

    Attributes:
        size: (H, W) in pixels.
        focal: in pixels.
        height: above the road, in metres.
        horizon: row of the horizon of a level camera.
    """

    size: tuple[int, int]
    focal: float
    height: float
    horizon: float

    @staticmethod
    def of(size: tuple[int, int]) -> Camera:
        """The default camera: 64 degrees wide, 1.5 m above the road."""
        height, width = size
        return Camera(size, 0.8 * width, 1.5, 0.45 * height)


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera is in one frame.

    Attributes:
        camera: its optics.
        z: metres travelled along the road.
        x: metres right of the centre line.
        yaw: radians to the right of the road's direction.
        horizon: row of the horizon, moved by pitch.
        curve: 1 / radius of the road's bend, positive to the right.
    """

    camera: Camera
    z: float
    x: float
    yaw: float
    horizon: float
    curve: float

    def project(
        self, points: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.float64]]:
        """World points (N, 3) -> pixels (N, 2) and depths (N,) in metres."""
        depth = np.maximum(points[:, 2] - self.z, NEAR)
        scale = self.camera.focal / depth
        across = points[:, 0] - self.x + depth * (0.5 * self.curve * depth - self.yaw)
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = 0.5 * self.camera.size[1] + across * scale
        pixels[:, 1] = self.horizon + (self.camera.height - points[:, 1]) * scale
        return pixels, depth

    def scale(self, z: float) -> float:
        """Pixels a metre at a world z."""
        return self.camera.focal / max(z - self.z, NEAR)
