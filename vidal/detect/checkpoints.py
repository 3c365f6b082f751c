"""Weights on disk: safetensors of vidal's own, and plain torchvision state dicts.

Nothing is unpickled but tensors and plain values, and names and shapes are compared with the
network's before a single weight is loaded.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vidal.detect.architectures import ARCHITECTURES, skeleton
from vidal.detect.other_models import refuse_other_models
from vidal.errors import OutputError, WeightsError

_HEAD = "roi_heads.box_predictor.cls_score.weight"
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        state: tensor by name.
        architecture: name of the network, None where the file does not say.
        outputs: the C class names that the network scores, None where the file does not say.
        notes: further JSON values (seeds, measured quality).
    """

    state: Mapping[str, Tensor]
    architecture: str | None = None
    outputs: tuple[str, ...] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def digest(state: Mapping[str, Tensor]) -> str:
    """Hex digest of names, types, shapes and bytes; the same for the same weights anywhere."""
    total = blake2b(digest_size=16)
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole, or leave what was there.

    Raises:
        OutputError: the place cannot be written.
    """
    meta = {
        "architecture": checkpoint.architecture,
        "outputs": checkpoint.outputs,
        "notes": dict(checkpoint.notes),
    }
    state = {name: each.detach().cpu().contiguous() for name, each in checkpoint.state.items()}
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # not save_file: its files are readable by their owner only, whatever the umask
        partial.write_bytes(save(state, {"vidal": json.dumps(meta, sort_keys=True)}))
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OutputError(path, str(error)) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a ``.safetensors`` file, or a state dict that torch saved.

    Raises:
        WeightsError: no file, or not a checkpoint.
    """
    if not path.is_file():
        raise WeightsError(path, "no such file")
    refuse_other_models(path)
    return _safetensors(path) if path.suffix == ".safetensors" else _state_dict(path)


def _safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, "pt") as file:
            meta = json.loads((file.metadata() or {}).get("vidal", "{}"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(path, f"not a readable safetensors file ({error})") from error
    outputs = meta.get("outputs")
    return Checkpoint(
        state=state,
        architecture=meta.get("architecture"),
        outputs=None if outputs is None else tuple(outputs),
        notes=meta.get("notes", {}),
    )


def _state_dict(path: Path) -> Checkpoint:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises whatever the unpickler or the archive reader meets first
        raise WeightsError(
            path,
            f"not a readable state dict ({type(error).__name__})",
            hint="Save model.state_dict() alone.",
        ) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(each, Tensor) for name, each in content.items()
    ):
        raise WeightsError(path, "holds no state dict", hint="Save model.state_dict() alone.")
    return Checkpoint(state=content)


def output_count(path: Path, state: Mapping[str, Tensor]) -> int:
    """How many classes a state dict scores, background included.

    Raises:
        WeightsError: it is not a Faster R-CNN's.
    """
    if _HEAD not in state:
        hint = "A pre-trained backbone is given with --backbone FILE (detector.backbone)."
        raise WeightsError(
            path,
            f"not a Faster R-CNN of torchvision's: it has no {_HEAD}",
            hint=hint if any(key.startswith("backbone.") for key in state) else "",
        )
    return int(state[_HEAD].shape[0])


def mismatches(name: str, state: Mapping[str, Tensor], outputs: int) -> list[str]:
    """What keeps a state dict from being loaded into a network: one phrase each, in order."""
    return differences(skeleton(name, outputs).state_dict(), state)


def differences(network: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """What keeps a state dict from taking the place of another: one phrase each, in order."""
    wanted = {key: each.shape for key, each in network.items()}
    wrong = []
    for key in sorted(wanted.keys() | state.keys()):
        if key.endswith(_COUNTER):
            continue
        if key not in state:
            wrong.append(f"{key} is missing")
        elif key not in wanted:
            wrong.append(f"{key} is not part of it")
        elif state[key].shape != wanted[key]:
            wrong.append(f"{key} is {tuple(state[key].shape)}, not {tuple(wanted[key])}")
    return wrong


def fitting(path: Path, state: Mapping[str, Tensor], outputs: int) -> str:
    """The architecture that a state dict without a name was saved from.

    Raises:
        WeightsError: none of those in the table.
    """
    for name in ARCHITECTURES:
        if not mismatches(name, state, outputs):
            return name
    raise WeightsError(
        path,
        "fits none of the known networks",
        hint=f"Name the network it was made for: --detector {' | '.join(ARCHITECTURES)}.",
    )


def fill(network: Any, path: Path, name: str, state: Mapping[str, Tensor], outputs: int) -> None:
    """Load a state dict into a network.

    Raises:
        WeightsError: names or shapes differ; tells the first three.
    """
    refuse(path, f"not weights of {name}", mismatches(name, state, outputs))
    # A frozen batch normalisation saves no counter; inference and fine-tuning do not read it.
    network.load_state_dict(state, strict=False)


def refuse(path: Path, what: str, wrong: list[str]) -> None:
    """Refuse a file for what is wrong with it; nothing is wrong = nothing happens.

    Raises:
        WeightsError: tells the first three.
    """
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsError(path, f"{what}: {'; '.join(wrong[:3])}{more}")
