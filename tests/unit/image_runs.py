"""Simulations on image pools in this process."""

import pytest

from vidal.assemble.images import plan_images, simulate_images
from vidal.cli import main
from vidal.images.config import load_images_config


class Quiet:
    """Nobody is told."""

    def begin(self, title, names, units):
        return lambda item, done, total: None

    def finish(self, item):
        pass

    def end(self):
        pass


def planned(config, out, strategies, *, seeds=1, rounds=3, all_data=False):
    loaded = load_images_config(config)
    return plan_images(
        loaded, strategies=strategies, seeds=seeds, rounds=rounds, out=out, all_data=all_data
    )


def simulated(config, out, strategies, **more):
    plan = planned(config, out, strategies, **more)
    return plan, simulate_images(plan, Quiet())


def rows(result):
    return [row.as_dict() for row in result.rows]


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["images", *map(str, arguments)])
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text
