"""What ``vidal strategies`` lists."""

import json

import pytest
from click.testing import CliRunner

from vidal.assemble import STRATEGIES
from vidal.assemble.sources import SOURCES
from vidal.cli import main
from vidal.cli.strategies import command


def test_every_strategy_has_a_source_and_there_are_no_others():
    assert set(SOURCES) == set(STRATEGIES)


def test_every_strategy_is_listed_with_what_it_does_and_where_it_comes_from():
    text = CliRunner().invoke(command, []).output
    for name in STRATEGIES:
        assert f"\n{name}: " in "\n" + text
    assert text.count("    source: ") == len(STRATEGIES)


def test_the_help_of_a_common_option_is_told_once_and_a_different_one_where_it_is():
    text = CliRunner().invoke(command, []).output
    once = "or looks (diminishing returns among frames that look alike, see ``vidal.query.looks``)."
    assert text.count(once) == 1
    assert "clips where detections come from files" in text


def test_names_choose_and_json_has_everything():
    found = json.loads(CliRunner().invoke(command, ["margin", "random", "--json"]).output)
    assert [each["name"] for each in found] == ["margin", "random"]
    assert all(option["help"] for each in found for option in each["options"])
    assert all(each["source"] for each in found)


def test_an_unknown_name_is_refused_with_the_names_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["strategies", "marginn"])
    assert ended.value.code == 2
    assert "Did you mean 'margin'?" in capsys.readouterr().err
