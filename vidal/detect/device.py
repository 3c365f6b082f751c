"""Which device and which arithmetic to compute with."""

from __future__ import annotations

import torch

from vidal.detect.options import Precision
from vidal.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device of ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdecimal() or name == "cuda"):
        raise UsageError(f"unknown device {name!r}.", hint="Choose auto, cpu or cuda.")
    if not torch.cuda.is_available():
        raise UsageError(
            f"device {name!r}: torch finds no CUDA device here.", hint="Use --device cpu."
        )
    if number and int(number) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r}: there are {torch.cuda.device_count()}.", hint="They count from 0."
        )
    return torch.device(name)


def native_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is computed natively there: elsewhere it is emulated, and slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("sve_bf16"))


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether ``precision`` means bf16 autocast on this device."""
    return precision == "bf16" or (precision == "auto" and native_bf16(device))
