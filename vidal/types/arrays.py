"""Names of array types, and the one check that every table makes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
HalfArray = NDArray[np.float16]
ScoreArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

UNKNOWN = -1
"""The label of an object that was seen and belongs to none of the target classes."""


def frozen(array: Any, dtype: Any, shape: tuple[int | None, ...], name: str) -> NDArray[Any]:
    """A read-only array of that dtype and shape (``None`` = any length).

    Raises:
        ValueError: the shape differs, or a float array holds NaN or infinity.
    """
    result = np.ascontiguousarray(array, dtype=dtype)
    if result.ndim != len(shape) or any(
        want is not None and want != have for want, have in zip(shape, result.shape, strict=True)
    ):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name}: expected shape ({wanted}), got {result.shape}")
    if result.dtype.kind == "f" and not np.isfinite(result).all():
        raise ValueError(f"{name}: holds NaN or infinite values")
    if result is array or result.base is not None:
        result = result.copy() if result.flags.writeable else result
    result.flags.writeable = False
    return result


def set_fields(table: object, **values: object) -> None:
    """Set fields of a frozen dataclass, while it is built."""
    for name, value in values.items():
        object.__setattr__(table, name, value)
