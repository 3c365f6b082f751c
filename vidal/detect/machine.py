"""What this machine computes detections with, where a user leaves that to vidal.

torch is asked only where there may be a GPU: a run whose evidence is complete never waits for it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from vidal.detect.options import Precision

_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/proc/driver/nvidia")
_CPU_BF16 = frozenset(("avx512_bf16", "amx_bf16", "svebf16"))


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has.

    Attributes:
        gpu: torch finds a CUDA device.
        gpu_bf16, cpu_bf16: bf16 arithmetic is computed natively there, and is faster.
    """

    gpu: bool
    gpu_bf16: bool
    cpu_bf16: bool

    def device(self, wanted: str) -> str:
        """``auto`` as ``cuda`` or ``cpu``; anything else as it is."""
        if wanted != "auto":
            return wanted
        return "cuda" if self.gpu else "cpu"

    def precision(self, wanted: Precision, device: str) -> Literal["fp32", "bf16"]:
        """``auto`` as what is faster on a device that ``device`` has returned."""
        if wanted != "auto":
            return wanted
        native = self.cpu_bf16 if device == "cpu" else self.gpu_bf16
        return "bf16" if native else "fp32"


@lru_cache(maxsize=1)
def this_machine() -> Machine:
    """What this process can use."""
    if sys.platform == "linux" and not any(Path(place).exists() for place in _DRIVERS):
        return Machine(gpu=False, gpu_bf16=False, cpu_bf16=bool(_cpu_flags() & _CPU_BF16))
    import torch

    from vidal.detect.device import native_bf16

    gpu = torch.cuda.is_available()
    return Machine(
        gpu=gpu,
        gpu_bf16=gpu and native_bf16(torch.device("cuda")),
        cpu_bf16=native_bf16(torch.device("cpu")),
    )


def _cpu_flags() -> frozenset[str]:
    """What Linux says that the processor can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    named = (line.partition(":") for line in lines)
    return frozenset(
        flag
        for name, _, flags in named
        if name.strip().lower() in ("flags", "features")
        for flag in flags.split()
    )
