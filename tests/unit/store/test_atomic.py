import pytest

from vidal.errors import OutputError
from vidal.store import atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_replace_what_was_there(tmp_path):
    path = tmp_path / "deep" / "er" / "report.html"
    atomic.write_text(path, "größe")
    assert path.read_bytes() == "größe".encode()
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["report.html"]


def test_a_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    atomic.write_text(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_exception_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")

    def half():
        with atomic.open_new(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_the_longest_file_name_can_be_written(tmp_path):
    atomic.write_text(tmp_path / ("ü" * 127), "x")
    assert names(tmp_path) == ["ü" * 127]


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write") as refused:
        atomic.write_text(tmp_path / "file" / "x", "text")
    assert refused.value.path == tmp_path / "file" / "x"


def test_a_folder_appears_when_it_is_complete(tmp_path):
    place = tmp_path / "out"
    with atomic.new_folder(place) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")
        assert not place.exists()
    assert (place / "sub" / "a").read_text() == "1"
    assert names(tmp_path) == ["out"]


def test_an_unfinished_folder_is_removed(tmp_path):
    def half():
        with atomic.new_folder(tmp_path / "out") as folder:
            (folder / "a").write_text("1")
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        half()
    assert names(tmp_path) == []


def test_a_folder_with_content_is_replaced_only_when_asked(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    with atomic.new_folder(place) as folder:  # an empty one may be taken
        (folder / "old").write_text("1")
    with pytest.raises(OutputError, match="it exists already"), atomic.new_folder(place):
        pass
    assert names(place) == ["old"]
    with atomic.new_folder(place, replace=True) as folder:
        (folder / "new").write_text("2")
    assert names(place) == ["new"]
    assert names(tmp_path) == ["out"]


def test_stale_folders_are_removed_with_their_content(tmp_path):
    stale = tmp_path / f".out-12{atomic.SUFFIX}"
    stale.mkdir()
    (stale / "a").write_text("1")
    (tmp_path / ".hidden").write_text("kept")
    assert atomic.remove_stale(tmp_path) == 0
    assert atomic.remove_stale(tmp_path, older_than=-1) == 1
    assert names(tmp_path) == [".hidden"]
