"""Other tools in environments of their own, and Label Studio's server on loopback."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
START = 240.0
"""Seconds that the server may take to make its database and to answer."""


def _tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PEERS = _tool("peers")


def peer(name: str) -> Path:
    """The interpreter of a peer; skips where it was not asked for."""
    if os.environ.get("VIDAL_PEERS") != "1":
        pytest.skip("peers: runs with `make test-peers`")
    if not PEERS.installed(name):
        pytest.skip(f"peers: {name} is not installed (`make test-peers`)")
    return PEERS.python_of(name)


@pytest.fixture(scope="session")
def peer_python():
    """From the name of a peer to its interpreter."""
    return peer


@dataclass
class Server:
    """Label Studio, running."""

    url: str
    token: str
    python: Path

    def __call__(self, method: str, path: str, value: Any = None, **headers: str) -> Any:
        """A request with the token: JSON, or bytes where it is none."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            data=None if value is None else json.dumps(value).encode(),
            headers={"Authorization": f"Token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            data = answer.read()
            kind = answer.headers.get("Content-Type", "")
        return json.loads(data) if data and kind.startswith("application/json") else data

    def vidal(self, *arguments: object, token: str | None = None, **env: str):
        """A command of vidal in the environment that has the SDK."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(token, **env),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def command(self, *arguments: object) -> list[str]:
        """Of a command of vidal."""
        return [str(self.python), "-m", "vidal", *map(str, arguments)]

    def environment(self, token: str | None = None, **env: str) -> dict[str, str]:
        """For it."""
        key = self.token if token is None else token
        return {**os.environ, "PYTHONPATH": str(ROOT), "LABEL_STUDIO_API_KEY": key, **env}

    def project(self, title: str) -> int:
        """The id of the project of a title."""
        found = self("GET", "/api/projects?page_size=100")["results"]
        (number,) = [each["id"] for each in found if each["title"] == title]
        return number

    def tasks(self, number: int) -> list[dict[str, Any]]:
        """All tasks of a project, with predictions and annotations, by id."""
        found = self("GET", f"/api/tasks?project={number}&page_size=1000&fields=all")["tasks"]
        return sorted(found, key=lambda each: each["id"])

    def export(self, number: int, kind: str, *, every: bool = True) -> bytes:
        """What the export dialogue downloads."""
        query = f"exportType={kind}&download_all_tasks={str(every).lower()}"
        found = self("GET", f"/api/projects/{number}/export?{query}")
        return found if isinstance(found, bytes) else json.dumps(found).encode()


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Label Studio with an empty database; ends with the tests."""
    python = peer("label-studio")
    place = tmp_path_factory.mktemp("label-studio")
    port, token = _free_port(), secrets.token_hex(20)
    env = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_BASE_DATA_DIR": str(place),
        "LABEL_STUDIO_USERNAME": "annotator@example.org",
        "LABEL_STUDIO_PASSWORD": secrets.token_hex(8),
        "LABEL_STUDIO_USER_TOKEN": token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    options = ["--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    log = place / "log.txt"
    with log.open("wb") as out:
        started = subprocess.Popen(
            [str(python.parent / "label-studio"), "start", *options, "--data-dir", str(place)],
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", started, log)
        yield Server(f"http://127.0.0.1:{port}", token, python)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)


def _wait(url: str, started: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until and started.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(url, timeout=5)
            return
        time.sleep(0.5)
    text = re.sub(r"[0-9a-f]{40}", "***", log.read_text(errors="replace")[-3000:])
    pytest.fail(f"Label Studio did not start:\n{text}")
