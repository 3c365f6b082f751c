"""Random views: where they are cut out, and what is done to them."""

import numpy as np
import pytest
import torch

from vidal.pretrain.augment import View, apply_view, draw_crop, draw_view, random_views
from vidal.pretrain.options import SimSiamOptions

PLAIN = {"jitter": (), "grey": False, "sigma": 0.0, "flip": False}


def an_image(height=30, width=40, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("size", [(300, 480), (40, 40), (10, 400), (400, 10), (1, 1), (2, 900)])
def test_crops_lie_inside_and_show_the_wanted_share_where_the_image_allows(size):
    rng = np.random.default_rng(0)
    for _ in range(100):
        top, left, height, width = draw_crop(size, (0.2, 1.0), rng)
        assert height >= 1
        assert width >= 1
        assert 0 <= top <= size[0] - height
        assert 0 <= left <= size[1] - width
        if size == (300, 480):
            assert 0.19 <= height * width / (300 * 480) <= 1
            assert 0.74 <= width / height <= 1.35


def test_the_whole_image_without_changes_is_itself_and_mirrored_where_asked():
    image = an_image(16, 16)
    whole = apply_view(image, View((0, 0, 16, 16), **PLAIN), 16)
    assert torch.equal(whole, torch.from_numpy(image).permute(2, 0, 1))
    mirrored = apply_view(image, View((0, 0, 16, 16), **{**PLAIN, "flip": True}), 16)
    assert torch.equal(mirrored, whole.flip(2))


def test_grey_views_have_three_equal_channels_and_blurred_ones_less_contrast():
    image = an_image()
    grey = apply_view(image, View((0, 0, 30, 40), **{**PLAIN, "grey": True}), 20)
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])
    sharp = apply_view(image, View((0, 0, 30, 40), **PLAIN), 20).float()
    soft = apply_view(image, View((0, 0, 30, 40), **{**PLAIN, "sigma": 2.0}), 20).float()
    assert soft.std() < 0.8 * sharp.std()


def test_colours_change_as_drawn():
    image = an_image()
    plain = apply_view(image, View((0, 0, 30, 40), **PLAIN), 20).float()
    dark = apply_view(image, View((0, 0, 30, 40), **{**PLAIN, "jitter": ((0, 0.5),)}), 20).float()
    assert float(dark.mean()) == pytest.approx(0.5 * float(plain.mean()), rel=0.02)


def test_how_often_what_is_done_is_as_chosen():
    rng, options = np.random.default_rng(0), SimSiamOptions()
    views = [draw_view((30, 40), options, rng) for _ in range(2000)]
    assert np.mean([view.flip for view in views]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([bool(view.jitter) for view in views]) == pytest.approx(0.8, abs=0.03)
    assert np.mean([view.grey for view in views]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([view.sigma > 0 for view in views]) == pytest.approx(0.5, abs=0.04)
    by = {what: [b for view in views for w, b in view.jitter if w == what] for what in range(4)}
    assert all(0.6 <= min(by[what]) < max(by[what]) <= 1.4 for what in range(3))
    assert -0.1 <= min(by[3]) < max(by[3]) <= 0.1
    assert all(0.1 <= view.sigma <= 2 for view in views if view.sigma)


def test_images_of_any_size_and_one_channel_make_one_batch_and_the_seed_decides():
    options = SimSiamOptions(size=16)
    images = [an_image(30, 40), an_image(9, 90), an_image(200, 20)]
    first, again, other = (
        random_views(images, options, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert first.shape == (3, 3, 16, 16)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    grey = [an_image(channels=1)] * 20
    assert random_views(grey, options, np.random.default_rng(0)).shape == (20, 1, 16, 16)
