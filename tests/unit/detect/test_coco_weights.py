"""The path of torchvision's own weights, from a cache folder and without a network."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest
import torch
from numpy.random import default_rng

from vidal.detect import architectures, load_detector
from vidal.errors import UnknownName, WeightsError

MOBILE = "fasterrcnn-mobilenet-320"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    network = architectures.fresh(MOBILE, 91, default_rng(0))
    # torchvision's own files hold frozen normalisation, without counters
    return {k: v for k, v in network.state_dict().items() if "num_batches" not in k}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_a_cached_file_is_used_and_road_classes_are_kept_by_name(
    cache: Path, state: dict[str, torch.Tensor]
) -> None:
    torch.save(state, cache / "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth")
    detector = load_detector(MOBILE, device="cpu")
    assert detector.classes == ("person", "bicycle", "car", "motorcycle", "bus", "truck")
    # COCO's numbers of these classes, background first
    assert detector._cache["columns"].tolist() == [1, 2, 3, 4, 6, 8]
    assert len(detector.outputs) == 90
    auto = load_detector("auto", device="cpu", classes=("car", "dog"))
    assert auto.architecture == MOBILE
    assert auto.classes == ("car", "dog")
    with pytest.raises(UnknownName, match="'rider'"):
        load_detector(MOBILE, device="cpu", classes=("rider",))


def test_a_corrupt_cached_file_is_an_error_that_names_it(cache: Path) -> None:
    file = cache / "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth"
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="not a readable checkpoint") as caught:
        load_detector(MOBILE, device="cpu")
    assert caught.value.path == file


class Server(NamedTuple):
    """A folder served by this machine in place of torchvision's server."""

    folder: Path
    port: int


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=running.serve_forever, daemon=True).start()
    yield Server(folder, running.server_port)
    running.shutdown()
    running.server_close()


def point_at(monkeypatch: pytest.MonkeyPatch, port: int, file: str) -> None:
    """Only the address changes; fetching, checking and loading are the real ones."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    entry = architectures.architecture(MOBILE).coco
    monkeypatch.setattr(entry.value, "url", f"http://127.0.0.1:{port}/{file}")


def test_a_download_with_the_right_hash_is_cached_and_loaded(
    cache: Path,
    server: Server,
    state: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save(state, server.folder / "w.pth")
    digest = hashlib.sha256((server.folder / "w.pth").read_bytes()).hexdigest()[:8]
    (server.folder / "w.pth").rename(server.folder / f"w-{digest}.pth")
    point_at(monkeypatch, server.port, f"w-{digest}.pth")
    assert load_detector("auto", device="cpu").architecture == MOBILE
    assert [file.name for file in cache.iterdir()] == [f"w-{digest}.pth"]
    assert capsys.readouterr().out == ""


def test_a_download_with_another_hash_is_refused_and_not_kept(
    cache: Path,
    server: Server,
    state: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.save({"a": torch.zeros(1)}, server.folder / "w-00000000.pth")
    point_at(monkeypatch, server.port, "w-00000000.pth")
    with pytest.raises(WeightsError, match="invalid hash value"):
        load_detector("auto", device="cpu")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["auto", MOBILE])
def test_offline_the_error_names_three_ways_out_and_nothing_is_substituted(
    cache: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, 9, "w-00000000.pth")
    with pytest.raises(WeightsError, match="could not be downloaded") as caught:
        load_detector(name, device="cpu")
    ways = f"Put w-00000000.pth into {cache}", "--weights FILE", "--detector scenes-tiny"
    assert all(way in caught.value.hint for way in ways)
    assert "\n" not in str(caught.value)


def test_importing_the_room_does_not_import_torch() -> None:
    code = "import sys, vidal.detect; print('torch' in sys.modules, 'torchvision' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
