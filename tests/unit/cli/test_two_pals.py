"""Two methods are called PAL: the name alone is refused with both, wherever it is written."""

import pickle

import pytest
import yaml

from vidal.assemble import STRATEGIES, build_strategy, find_strategy
from vidal.assemble.images import plan_images
from vidal.assemble.simulation import plan_simulation
from vidal.campaign.config import CampaignConfig
from vidal.cli import main
from vidal.errors import UnknownName
from vidal.images.config import ImagesConfig

BOTH = ("portable-pal", "progressive-pal")


def says_both(text):
    return "ambiguous strategy 'pal'" in text and all(name in text for name in BOTH)


def test_it_is_no_strategy_but_the_method_for_detection_is():
    assert "pal" not in STRATEGIES
    assert "portable-pal" in STRATEGIES


@pytest.mark.parametrize(
    "asked",
    [
        lambda: find_strategy("pal"),
        lambda: build_strategy("pal", gap=0, options={}),
        lambda: plan_simulation(
            CampaignConfig(data={"videos": "clips"}), strategies=["pal"], seeds=1, rounds=1, out="x"
        ),
        lambda: plan_images(
            ImagesConfig(data={"path": "x.npz"}), strategies=["pal"], seeds=1, rounds=1, out="x"
        ),
    ],
    ids=["find", "build", "simulate", "images simulate"],
)
def test_wherever_it_is_asked_for_both_names_are_given(asked):
    with pytest.raises(UnknownName) as caught:
        asked()
    assert says_both(str(caught.value))
    assert says_both(str(pickle.loads(pickle.dumps(caught.value))))  # noqa: S301


def test_a_saved_configuration_that_says_so_is_refused_with_both(tmp_path, capsys):
    file = tmp_path / "vidal.yaml"
    (tmp_path / "clips").mkdir()
    file.write_text(yaml.safe_dump({"data": {"videos": "clips"}, "selection": {"strategy": "pal"}}))
    with pytest.raises(SystemExit) as ended:
        main(["simulate", str(file), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert says_both(capsys.readouterr().err)


def test_the_list_of_strategies_gives_both(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["strategies", "pal"])
    assert ended.value.code == 2
    assert says_both(capsys.readouterr().err)
