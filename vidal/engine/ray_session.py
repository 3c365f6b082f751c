"""A Ray to work with: the one that this process is connected to, one that is named, or a local one.

Ray is imported here alone, and only when it is used.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vidal.errors import UsageError

_EXTRA = "pip install vidal-al[ray]"
_OBJECTS = 256 << 20
"""Bytes of a local Ray's object store: answers are small, evidence goes to vidal's own store."""
_NONE = "Is it running (ray status)? Without an address vidal starts a local one."
_PATIENCE = 10.0
"""Seconds until a cluster has to answer."""
_LONGEST = 40
"""Characters of a folder in which the names of Ray's sockets still fit."""
_AUTH = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_users = 0


def check_ray() -> None:
    """Refuse to go on without Ray, before any work is done.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec("ray") is None:
        raise UsageError("engine ray: Ray is not installed.", hint=_EXTRA)


def check_address(address: str | None) -> None:
    """Refuse addresses of Ray's client, over which progress cannot be told.

    Raises:
        UsageError: names the way out.
    """
    if address is not None and address.startswith("ray://"):
        raise UsageError(
            f"Ray address {address!r}: vidal has to run on a machine of the cluster.",
            hint="Start it there (ray job submit, or ray exec), with --ray-address auto.",
        )


@contextmanager
def session(address: str | None, *, cpus: int, gpus: float) -> Iterator[Any]:
    """The module ``ray``, connected within the block.

    A connection that is there already is used, and stays. Else ``address`` is connected to, or what
    the environment names (``RAY_ADDRESS``, as in a job of Ray's), or a local Ray is started that
    ends with the block.

    Args:
        address: ``auto``, ``HOST:PORT``, or None.
        cpus, gpus: that a local Ray has to offer.

    Raises:
        UsageError: Ray is not installed, or there is none at the address.
    """
    global _users
    check_ray()
    check_address(address)
    named = address or os.environ.get("RAY_ADDRESS")
    ray = _imported(own=not named)
    if ray.is_initialized() and not _users:
        yield ray
        return
    folder = None if named or _users else _folder()
    try:
        if not _users:
            _silence()
            _start(ray, named, folder, cpus, gpus)
        _users += 1
        try:
            yield ray
        finally:
            _users -= 1
            if not _users:
                ray.shutdown()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _imported(*, own: bool) -> Any:
    """Ray, which reads its environment when it is imported.

    It sends nobody what it is used for, unless the user has asked for that; and a local one (own)
    has a secret of its own, which Ray would write into the user's home.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if own and "ray" not in sys.modules and not any(each in os.environ for each in _AUTH):
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return import_module("ray")


def _start(ray: Any, named: str | None, folder: str | None, cpus: int, gpus: float) -> None:
    """Connect to the Ray that is named, or start one in a folder."""
    given: dict[str, Any] = {"address": named, "log_to_driver": False, "configure_logging": False}
    if named is None:
        given |= {
            "address": "local",
            "num_cpus": cpus,
            "num_gpus": gpus or None,
            "object_store_memory": _OBJECTS,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",  # nobody else is to reach it
            "_temp_dir": folder,
        }
    elif ":" in named:
        _reach(named)
    try:
        ray.init(**given)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, AssertionError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if named is None:
            raise UsageError(f"Ray does not start: {why}") from error
        raise UsageError(f"Ray at {named!r}: {why}", hint=_NONE) from error


def _reach(named: str) -> None:
    """Ray itself would try for ever so many minutes, and say so line by line.

    Raises:
        UsageError: nobody listens there.
    """
    host, _, port = named.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PATIENCE):
            return
    except (OSError, ValueError) as error:
        raise UsageError(f"Ray at {named!r}: cannot be reached ({error}).", hint=_NONE) from error


def _folder() -> str | None:
    """For the files of a local Ray, so that they can be removed; None = where Ray puts them."""
    place = tempfile.mkdtemp(prefix="vidal-ray-")
    if len(place) <= _LONGEST:
        return place
    with suppress(OSError):
        Path(place).rmdir()
    return None


def _silence() -> None:
    """Ray prints what becomes of workers, on stdout too; a crew tells what matters of that."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    worker: Any = import_module("ray._private.worker")
    if hasattr(worker, "_worker_logs_enabled"):  # as Ray's own debugger does it
        worker._worker_logs_enabled = False
