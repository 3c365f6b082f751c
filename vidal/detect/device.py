"""Which device and which arithmetic to compute with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vidal.detect.options import NO_TF32, Precision
from vidal.errors import UsageError
from vidal.types.devices import Devices, one_of

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str, *, several: bool = True) -> torch.device:
    """The device of this process, of those that ``auto``, ``cpu``, ``cuda`` or ``cuda:N,M`` names.

    Args:
        name: what was asked for.
        several: whether more than one may be asked for: this process has the one that its engine
            has bound it to, else the first.

    Raises:
        UsageError: no such device here, or several for what one process does.
    """
    devices = Devices.parse(name)
    if devices.kind == "cpu" or (devices.kind == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError(
            f"device {name!r}: torch finds no CUDA device here.", hint="Use --device cpu."
        )
    count = torch.cuda.device_count()
    if any(number >= count for number in devices.numbers):
        raise UsageError(f"device {name!r}: there are {count}.", hint="They count from 0.")
    if len(devices.numbers) > 1 and not several:
        raise UsageError(f"device {name!r}: this runs on one.", hint=f"Name one: cuda:{count - 1}.")
    chosen = torch.device(one_of(devices.names if devices.kind == "cuda" else ("cuda",)))
    if chosen.index is not None:
        torch.cuda.set_device(chosen)  # nothing of this process lands on the first one
    return chosen


def native_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is computed natively there: elsewhere it is emulated, and slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("sve_bf16"))


def resolved(precision: Precision, device: torch.device) -> str:
    """``auto`` as what it means on this device; anything else as it is.

    Raises:
        UsageError: tf32 on a processor.
    """
    if precision == "tf32" and device.type == "cpu":
        raise UsageError(NO_TF32[0], hint=NO_TF32[1])
    if precision != "auto":
        return precision
    return "bf16" if native_bf16(device) else "fp32"


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether ``precision`` means bf16 autocast on this device."""
    return resolved(precision, device) == "bf16"


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Within the block torch computes in ``precision`` on this device.

    ``fp32`` is exact also on GPUs, where torch would shorten the products of convolutions.
    """
    chosen = resolved(precision, device)
    cast = _AUTOCAST.get(chosen)
    with (
        _products(chosen == "tf32", device),
        torch.autocast(device.type, dtype=cast or torch.bfloat16, enabled=cast is not None),
    ):
        yield


@contextmanager
def _products(short: bool, device: torch.device) -> Iterator[None]:
    """Whether a GPU may shorten the factors of float32 products, of layers and convolutions."""
    if device.type != "cuda":
        yield
        return
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = short
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
