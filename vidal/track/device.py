"""Where the networks of trackers compute, and the weights they are given."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidal.errors import UsageError, WeightsError
from vidal.types.devices import Devices, one_of

if TYPE_CHECKING:
    from torch import Tensor, device

State = dict[str, "Tensor"]


def choose_device(name: str) -> device:
    """The device of this process, of those that ``auto``, ``cpu``, ``cuda`` or ``cuda:N,M`` names.

    Raises:
        UsageError: no such device here.
    """
    import torch

    devices, there = Devices.parse(name), torch.cuda.is_available()
    if devices.kind == "cpu" or (devices.kind == "auto" and not there):
        return torch.device("cpu")
    if not there:
        raise UsageError(
            f"device {name!r}: torch finds no CUDA device here.", hint="Use device=cpu."
        )
    count = torch.cuda.device_count()
    if any(number >= count for number in devices.numbers):
        raise UsageError(f"device {name!r}: there are {count}.", hint="They count from 0.")
    return torch.device(one_of(devices.names if devices.kind == "cuda" else ("cuda",)))


def device_key(name: str) -> dict[str, str]:
    """What of a device shapes carried boxes: nothing of a processor, and of GPUs not which one.

    ``auto`` counts as a processor here: who leaves it to vidal is given a device that is settled.
    """
    return {"device": "cuda"} if Devices.parse(name).kind == "cuda" else {}


def file_digest(path: Path) -> str:
    """Hex digest of a file of weights.

    Raises:
        WeightsError: no such file.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError(path, "no such file") from error
    if not path.is_file():
        raise WeightsError(path, "no such file")
    return _digest(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _digest(path: Path, changed: int, size: int) -> str:  # noqa: ARG001
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def read_state(path: Path) -> tuple[State, dict[str, str]]:
    """A state dict and its notes, from ``.safetensors`` or from what torch saved.

    Raises:
        WeightsError: no file, or not a state dict.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(path, "no such file")
    notes: dict[str, str] = {}
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                notes = dict(file.metadata() or {})
                content: Any = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise WeightsError(path, f"not a readable safetensors file ({error})") from error
        return content, notes
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises whatever the unpickler or the archive reader meets first
        raise WeightsError(
            path,
            f"not a readable state dict ({type(error).__name__})",
            hint="Save model.state_dict() alone.",
        ) from error
    for wrapper in ("model", "state_dict", "net"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    tensors = isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in content.items()
    )
    if not tensors or not content:
        raise WeightsError(path, "holds no state dict", hint="Save model.state_dict() alone.")
    return dict(content), notes


def check_shapes(path: Path, found: State, wanted: State, network: str) -> None:
    """Refuse a state dict whose names or shapes are not the network's; counters may be absent.

    Raises:
        WeightsError: tells the first three differences.
    """
    wrong = []
    for name in sorted(wanted.keys() | found.keys()):
        if name.endswith("num_batches_tracked"):
            continue
        if name not in found:
            wrong.append(f"{name} is missing")
        elif name not in wanted:
            wrong.append(f"{name} is not part of it")
        elif found[name].shape != wanted[name].shape:
            shapes = tuple(found[name].shape), tuple(wanted[name].shape)
            wrong.append(f"{name} is {shapes[0]}, not {shapes[1]}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsError(path, f"not weights of {network}: {'; '.join(wrong[:3])}{more}")
