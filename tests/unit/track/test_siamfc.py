"""SiamFC: sizes, search, weights, training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vidal.errors import UsageError, WeightsError
from vidal.track import SiamFCPropagator
from vidal.track.siamfc import crop, crop_geometry, locate
from vidal.track.siamfc_network import SiamFCNetwork, load_network, response, save_network
from vidal.track.siamfc_training import (
    SiamFCTraining,
    Tracklets,
    pair_loss,
    positives,
    train_siamfc,
)
from vidal.types import Frame, FrameRef


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def random_network(seed: int = 0, divisor: int = 8) -> SiamFCNetwork:
    network = SiamFCNetwork(divisor)
    network.begin(torch.Generator().manual_seed(seed))
    return network.eval()


@pytest.mark.parametrize(
    ("side", "sides"),
    [(127, [59, 29, 25, 12, 10, 8, 6]), (255, [123, 61, 57, 28, 26, 24, 22])],
)
def test_layers_have_the_sizes_of_the_published_table(side: int, sides: list[int]) -> None:
    network = random_network(divisor=1)
    found, channels, values = [], [], torch.zeros(1, 3, side, side)
    with torch.inference_mode():
        for layer in network.children():
            for part in layer.children():
                values = part(values)
                if isinstance(part, nn.Conv2d | nn.MaxPool2d):
                    found.append(values.shape[-1])
                if isinstance(part, nn.Conv2d):
                    channels.append(values.shape[1])
    assert found == sides
    assert channels == [96, 256, 384, 384, 256]


def test_the_response_is_17_a_side_and_peaks_where_the_exemplar_was_planted() -> None:
    generator = torch.Generator().manual_seed(1)
    exemplars = torch.randn(2, 8, 6, 6, generator=generator)
    searches = 0.1 * torch.randn(2, 3, 8, 22, 22, generator=generator)
    places = [[(0, 0), (5, 9), (16, 16)], [(8, 8), (3, 12), (10, 1)]]
    for n in range(2):
        for s, (row, column) in enumerate(places[n]):
            searches[n, s, :, row : row + 6, column : column + 6] += exemplars[n]
    maps = response(exemplars, searches)
    assert maps.shape == (2, 3, 17, 17)
    peaks = maps.flatten(2).argmax(dim=2)
    assert [[divmod(int(p), 17) for p in row] for row in peaks] == places
    plain = (exemplars[1] * searches[1, 2, :, 10:16, 1:7]).sum() * 0.001
    assert float(maps[1, 2, 10, 1]) == pytest.approx(float(plain), rel=1e-4)


def hann() -> np.ndarray:
    window = np.outer(np.hanning(272), np.hanning(272))
    return window / window.sum()


def bump(column: float, row: float, height: float = 1) -> np.ndarray:
    y, x = np.mgrid[:17, :17]
    return (height * np.exp(-((x - column) ** 2 + (y - row) ** 2) / 2)).astype(np.float32)


def test_a_peak_two_cells_right_is_sixteen_pixels_of_the_crop() -> None:
    options = SiamFCPropagator(window_influence=0)
    maps = np.stack([bump(8, 8, 0.5), bump(10, 7), bump(8, 8, 0.5)])
    shift, scale = locate(maps, options, hann())
    # One upsampled cell is half a pixel; the centre lies between two of them.
    np.testing.assert_allclose(shift, [16, -8], atol=0.3)
    assert scale == 1


def test_an_outer_scale_has_to_win_against_its_penalty() -> None:
    options = SiamFCPropagator()
    near = np.stack([bump(8, 8), bump(8, 8), bump(8, 8, 1.02)])
    far = np.stack([bump(8, 8), bump(8, 8), bump(8, 8, 1.03)])
    assert locate(near, options, hann())[1] == 1
    assert locate(far, options, hann())[1] == 2


def test_the_window_prefers_the_nearer_of_equal_peaks() -> None:
    both = bump(9, 8) + bump(14, 8)
    shift, _ = locate(np.stack([both] * 3), SiamFCPropagator(window_influence=0.4), hann())
    assert shift[0] < 16


def test_crops_have_the_context_of_the_paper() -> None:
    centre, side = crop_geometry(np.float32([[10, 20, 50, 50]]))
    # w 40, h 30, p = 35: sqrt(75 * 65)
    np.testing.assert_allclose(centre, [[30, 35]])
    np.testing.assert_allclose(side, [69.8212], rtol=1e-5)


@pytest.mark.parametrize(("side", "out"), [(40, 40), (20, 60), (90, 30), (150, 30)])
def test_a_crop_shows_the_square_and_the_mean_colour_outside(side: int, out: int) -> None:
    y, x = np.mgrid[:200, :300]
    image = np.stack([x / 2, y / 2, 0 * x + 90], axis=2).astype(np.uint8)
    shown = crop(image, np.array([150.0, 100.0]), side, out).astype(float)
    # A ramp of half a level a pixel: the mean of the square is the value at its centre.
    np.testing.assert_allclose(shown.mean(axis=(0, 1)), [74.5, 49.5, 90], atol=0.6)
    assert shown[0, -1, 0] - shown[0, 0, 0] == pytest.approx(side / 2 * (1 - 1 / out), abs=1.5)
    outside = crop(image, np.array([-500.0, 100.0]), side, out)
    np.testing.assert_allclose(
        outside.reshape(-1, 3), np.tile([74, 49, 90], (out * out, 1)), atol=2
    )


def test_a_step_begins_from_the_same_state_in_both_directions(tmp_path: Path) -> None:
    save_network(tmp_path / "a.safetensors", random_network())
    tracker = SiamFCPropagator(weights=str(tmp_path / "a.safetensors"), device="cpu")
    rng = np.random.default_rng(0)
    frames = [
        Frame(FrameRef("a", i), rng.integers(0, 255, (90, 120, 3)).astype(np.uint8))
        for i in range(3)
    ]
    box, row = np.float32([[40, 30, 70, 60]]), np.zeros(1, dtype=np.int64)
    session = tracker.session()
    targets = session.begin(frames[1], box)
    alone, _ = session.follow(targets, row, frames[1], frames[0], box)
    session.follow(targets, row, frames[1], frames[2], box)
    again, _ = session.follow(targets, row, frames[1], frames[0], box)
    np.testing.assert_array_equal(alone, again)


def names_of_a_sequence(network: SiamFCNetwork) -> dict[str, torch.Tensor]:
    """The same weights as one numbered sequence with pools and activations in between."""
    numbers = {"conv1": (0, 1), "conv2": (4, 5), "conv3": (8, 9), "conv4": (11, 12), "conv5": (14,)}
    found = {}
    for name, value in network.state_dict().items():
        layer, part, rest = name.split(".")
        found[f"features.{numbers[layer][int(part)]}.{rest}"] = value.clone()
    found["corr_bias"] = torch.zeros(1)
    return found


@pytest.mark.parametrize("kind", ["own", "backbone", "module", "sequence", "wrapped"])
def test_common_names_of_weights_load_the_same_network(kind: str, tmp_path: Path) -> None:
    network = random_network(3)
    state, path = network.state_dict(), tmp_path / "weights.pth"
    if kind == "own":
        path = tmp_path / "weights.safetensors"
        save_network(path, network)
    elif kind == "sequence":
        torch.save(names_of_a_sequence(network), path)
    elif kind == "wrapped":
        torch.save({"model": {f"net.{name}": each for name, each in state.items()}}, path)
    else:
        prefix = {"backbone": "backbone.", "module": "module.features."}[kind]
        torch.save({prefix + name: each for name, each in state.items()}, path)
    loaded = load_network(path)
    assert not loaded.training
    for name, each in loaded.state_dict().items():
        torch.testing.assert_close(each, state[name], rtol=0, atol=0)


def test_weights_of_other_networks_are_refused_by_name(tmp_path: Path) -> None:
    state = {name: each.clone() for name, each in random_network().state_dict().items()}
    state["conv3.0.weight"] = state["conv3.0.weight"][:, :-1].contiguous()
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"conv3.0.weight is \(48, 31, 3, 3\), not"):
        load_network(tmp_path / "a.safetensors")
    del state["conv3.0.weight"]
    save_file(state, tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match=r"conv3\.0\.weight is missing"):
        load_network(tmp_path / "b.safetensors")
    torch.save({"0.weight": torch.zeros(3)}, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match="1 layers with weights, not 9"):
        load_network(tmp_path / "c.pth")
    torch.save({"head": torch.zeros(3)}, tmp_path / "d.pth")
    with pytest.raises(WeightsError, match="no layers conv1 to conv5"):
        load_network(tmp_path / "d.pth")
    (tmp_path / "e.pth").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not a readable state dict"):
        load_network(tmp_path / "e.pth")
    with pytest.raises(WeightsError, match="no such file"):
        _ = SiamFCPropagator(weights=str(tmp_path / "f.pth")).key
    with pytest.raises(UsageError, match="scale_step"):
        SiamFCPropagator(scale_step=0.5)


def test_positives_lie_within_two_cells_of_the_target() -> None:
    labels = positives(np.float32([[0, 0], [16, -8]]), 17)
    # Within 16 px at 8 px a cell: 13 of them.
    assert labels.sum(dim=(1, 2)).tolist() == [13, 13]
    assert labels[0, 8, 8] == 1
    assert labels[1, 7, 10] == 1
    assert labels[1, 7, 13] == 0


def moving(count: int) -> tuple[list[Frame], np.ndarray, np.ndarray, np.ndarray]:
    """Two patches of their own texture on a plain ground."""
    rng = np.random.default_rng(2)
    patches = [
        cv2.resize(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8), (30, 30)) for _ in range(2)
    ]
    frames, rows = [], []
    for index in range(count):
        image = np.full((120, 200, 3), 100, dtype=np.uint8)
        for track, (x, y) in enumerate([(20 + 2 * index, 20), (150 - 3 * index, 80)]):
            image[y : y + 30, x : x + 30] = patches[track]
            rows.append((index, [x, y, x + 30, y + 30], track))
        frames.append(Frame(FrameRef("a", index), image))
    frame, boxes, track = zip(*rows, strict=True)
    return frames, np.array(frame), np.float32(boxes), np.array(track)


def test_pictures_are_of_one_object_and_shifts_move_the_target() -> None:
    tracklets = Tracklets.of([moving(9)], every=2, room=16)
    assert tracklets.crops.shape == (10, 287, 287, 3)
    pairs = tracklets.pairs(2)
    assert len(pairs) == 16
    assert (tracklets.object[pairs[:, 0]] == tracklets.object[pairs[:, 1]]).all()
    rng = np.random.default_rng(0)
    small, wide, by = tracklets.cut(pairs[:4], 16, rng)
    assert small.shape == (4, 127, 127, 3)
    for patch, search, (x, y) in zip(small, wide, by.astype(int), strict=True):
        there = search[64 + y : 191 + y, 64 + x : 191 + x].astype(int)
        inner = slice(40, 87)
        assert np.abs(there[inner, inner] - patch[inner, inner]).mean() < 8
    with pytest.raises(UsageError, match="within 1 frames"):
        tracklets.pairs(1)


def test_training_lowers_the_loss_on_pairs_it_has_seen_and_repeats_itself() -> None:
    tracklets = Tracklets.of([moving(7)], every=2)
    options = SiamFCTraining(steps=12, batch=4, rate=0.05, last_rate=0.05)

    def trained() -> tuple[SiamFCNetwork, list[float]]:
        network = random_network()
        return network, train_siamfc(network, tracklets, options, np.random.default_rng(1))

    network, losses = trained()
    assert len(losses) == 12
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert not network.training
    _, same = trained()
    assert losses == same


def test_one_step_of_gradient_descent_lowers_the_loss_of_its_batch() -> None:
    tracklets = Tracklets.of([moving(7)], every=2)
    small, wide, by = tracklets.cut(tracklets.pairs(50)[:4], 8, np.random.default_rng(0))
    inputs = [torch.from_numpy(each.copy()).permute(0, 3, 1, 2).float() for each in (small, wide)]
    network = random_network().train()
    before = pair_loss(network, *inputs, by)
    before.backward()
    with torch.no_grad():
        for value in network.parameters():
            value -= 0.01 * value.grad
    assert pair_loss(network, *inputs, by).item() < before.item()
