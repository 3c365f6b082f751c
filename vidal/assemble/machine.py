"""What a result was computed on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from vidal.evidence.places import cores


def machine() -> str:
    """The processor, its cores and the accelerator, in words."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        name = f"{name}, {os.name}"
    words = f"{name}, {cores()} cores"
    import torch

    return f"{words}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else words
