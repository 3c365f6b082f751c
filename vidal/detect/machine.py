"""What this machine computes detections with, where a user leaves that to vidal.

torch is asked only where there may be a GPU: a run whose evidence is complete never waits for it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vidal.detect.options import NO_TF32, Precision
from vidal.errors import UsageError
from vidal.types.devices import Devices

_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/proc/driver/nvidia")
_CPU_BF16 = frozenset(("avx512_bf16", "amx_bf16", "svebf16"))


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has.

    Attributes:
        gpu: torch finds a CUDA device.
        gpu_bf16, cpu_bf16: bf16 arithmetic is computed natively there, and is faster.
        gpus: how many CUDA devices, where there is one.
    """

    gpu: bool
    gpu_bf16: bool
    cpu_bf16: bool
    gpus: int = 1

    def device(self, wanted: str) -> str:
        """The kind of what was asked for, ``cuda`` or ``cpu``: which GPU it is changes nothing.

        Raises:
            UsageError: no such kind of device.
        """
        kind = Devices.parse(wanted).kind
        if kind != "auto":
            return kind
        return "cuda" if self.gpu else "cpu"

    def devices(self, wanted: str) -> tuple[str, ...]:
        """Each device that was asked for by name; ``auto`` = every GPU, else the processor.

        Raises:
            UsageError: no such kind of device.
        """
        asked = Devices.parse(wanted)
        if asked.kind != "auto":
            return asked.names
        if not self.gpu:
            return ("cpu",)
        return (
            tuple(f"cuda:{number}" for number in range(self.gpus)) if self.gpus > 1 else ("cuda",)
        )

    def precision(self, wanted: Precision, device: str) -> str:
        """``auto`` as what is faster on a kind of device that ``device`` has returned.

        Raises:
            UsageError: tf32 on a processor.
        """
        if wanted == "tf32" and device == "cpu":
            raise UsageError(NO_TF32[0], hint=NO_TF32[1])
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
        gpus=torch.cuda.device_count() if gpu else 0,
    )


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def loader_threads(kind: str) -> int:
    """Threads that make training batches ahead of the network, on a kind of device."""
    if kind == "cpu":
        return 0  # the network has the cores
    return max(1, min(8, cores() // max(1, this_machine().gpus) - 1))


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
