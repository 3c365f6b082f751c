"""``vidal cache``, and ``vidal.cache``."""

import json

import numpy as np
import pytest

import vidal
from vidal.assemble.cache import bytes_of, seconds_of
from vidal.cli import main
from vidal.errors import InputError, UnknownName, UsageError
from vidal.store import FileStore
from vidal.types import Stored


@pytest.fixture(params=["campaign/evidence", "selection/.vidal", "cache"])
def folder(request, tmp_path):
    """A folder with a store in it, or one."""
    store = FileStore(tmp_path / request.param)
    for number in range(4):
        stage = ("flow", "prints")[number % 2]
        about = Stored(stage, "clip", 0, 50)
        store.put(f"{number:032x}", {"a": np.arange(1000.0)}, about)
    return tmp_path / request.param.split("/")[0]


def said(capsys, *arguments):
    code = main(["cache", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["cache", *map(str, arguments)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_what_is_kept_is_told_by_stage(folder, capsys):
    for given in ([folder], ["show", folder]):
        code, out, _ = said(capsys, *given)
        assert code == 0
        assert sorted(line.split()[0] for line in out.splitlines()[3:5]) == ["flow", "prints"]
        assert "no budget" in out
    told = json.loads(said(capsys, folder, "--json")[1])
    assert [each["entries"] for each in told["stages"]] == [2, 2]
    assert told["single"] == 4
    assert vidal.cache(folder).as_dict() == told


def test_packing_pruning_and_budgets_by_the_command_line(folder, capsys):
    assert json.loads(said(capsys, "pack", folder, "--json")[1])["single"] == 0
    assert (
        "would remove 2 entries" in said(capsys, "prune", folder, "--stage", "flow", "--dry-run")[1]
    )
    done = json.loads(said(capsys, "prune", folder, "--stage", "flow", "--json")[1])
    assert (done["entries"], done["dry_run"]) == (2, False)
    assert "removed 0 entries" in said(capsys, "prune", folder, "--older-than", "2d")[1]
    out = said(capsys, "budget", folder, "1kB")[1]
    assert "budget: 1.0 kB" in out
    assert "above it" in out
    assert "no budget" in said(capsys, "budget", folder, "none")[1]
    assert "removed 2 entries" in said(capsys, "prune", folder, "--to", "0")[1]


def test_the_same_from_python(folder):
    cache = vidal.cache(folder)
    assert cache.pack().single == 0
    assert cache.prune(stage="flow", dry_run=True).entries == 2
    assert cache.prune(stage=["flow"]).entries == 2
    assert cache.budget("2 MB").budget == 2_000_000
    assert cache.budget(None).budget is None
    assert cache.prune(older_than="1h").entries == 0
    assert cache.prune(to=0).entries == 2


def test_what_cannot_be_meant_is_refused_by_name(folder, tmp_path, capsys):
    assert "no evidence is kept there" in refused(capsys, tmp_path / "nowhere")
    assert "--stage" in refused(capsys, "prune", folder)
    assert "unknown stage 'flw'" in refused(capsys, "prune", folder, "--stage", "flw")
    assert "'much' is not a size" in refused(capsys, "prune", folder, "--to", "much")
    assert "'1y' is not an age" in refused(capsys, "prune", folder, "--older-than", "1y")
    assert "'-1' is not a size" in refused(capsys, "budget", folder, "--", "-1")
    with pytest.raises(InputError, match="no evidence"):
        vidal.cache(tmp_path)
    with pytest.raises(UsageError, match="is not a path"):
        vidal.cache(5)
    with pytest.raises(UsageError, match="what is to be removed"):
        vidal.cache(folder).prune()
    with pytest.raises(UnknownName, match="prints"):
        vidal.cache(folder).prune(stage="print")
    for size in (-1, True, "x"):
        with pytest.raises(UsageError, match="is not a size"):
            vidal.cache(folder).prune(to=size)


def test_sizes_and_ages_are_read_as_people_write_them():
    sizes = {"10GB": 10**10, "1.5 tb": 1_500_000_000_000, "512MiB": 2**29, "7": 7, "3kb": 3000}
    assert {text: bytes_of(text) for text in sizes} == sizes
    assert (seconds_of("12h"), seconds_of("30d"), seconds_of("1.5 W")) == (43200, 2592000, 907200)
    for text in ("", "GB", "1e9", "10 apples", "-1", "nan"):
        with pytest.raises(UsageError, match="is not a size"):
            bytes_of(text)
