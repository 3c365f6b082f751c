"""What of a project's export is an answer to a campaign's queries."""

import json
from dataclasses import dataclass, field

import pytest

from vidal.errors import ServerError
from vidal.servers.pull import pull

QUERY = "0123456789abcdef"


@dataclass
class Exporting:
    """As much of a connection as a pull asks: what the server exports."""

    tasks: list
    url: str = "http://localhost:8080"
    titles: list = field(default_factory=lambda: [(3, "one")])

    def projects(self):
        return iter(self.titles)

    def project(self, number):
        return "one", ""

    def export(self, number):
        return self.tasks


def task(number, *answers, key=f"{QUERY}/cam@000001", drafts=(), **more):
    data = {"image": "/data/upload/3/x.jpg", **({} if key is None else {"vidal_key": key})}
    given = [
        {"id": at, "result": result, "was_cancelled": cancelled, "created_ago": "5 minutes"}
        for at, (result, cancelled) in enumerate(answers)
    ]
    return {"id": number, "data": data, "annotations": given, "drafts": list(drafts), **more}


ANSWER, EMPTY, SKIP = ([{"id": "a"}], False), ([], False), ([], True)


def test_answers_skips_and_drafts_are_counted_and_tasks_of_others_left_out(tmp_path):
    tasks = [
        task(1, ANSWER, key=f"{QUERY}/cam@000001"),
        task(2, EMPTY, key=f"{QUERY}/cam@000002"),
        task(3, SKIP, key=f"{QUERY}/cam@000003"),
        task(4, SKIP, ANSWER, key=f"{QUERY}/cam@000004"),
        task(5, key=f"{QUERY}/cam@000005", drafts=[{"result": []}]),
        task(6, ANSWER, key="another/cam@000006"),
        task(7, ANSWER, key=None),
    ]
    done = pull(Exporting(tasks), "one", {QUERY}, tmp_path)
    assert (done.tasks, done.answered, done.skipped) == (6, 4, 1)
    assert (done.drafts, done.others) == (1, 1)
    assert [each["id"] for each in json.loads(done.file.read_text())] == [1, 2, 3, 4, 5, 7]


def test_the_same_answers_are_the_same_file_whatever_else_the_server_says(tmp_path):
    first = pull(Exporting([task(1, ANSWER)]), "3", {QUERY}, tmp_path).file.read_bytes()
    later = task(1, ANSWER, updated_at="now", total_annotations=1)
    later["annotations"][0]["created_ago"] = "1 hour"
    assert pull(Exporting([later]), "3", {QUERY}, tmp_path).file.read_bytes() == first


def test_of_two_tasks_of_one_frame_the_answered_one_counts(tmp_path):
    done = pull(Exporting([task(9), task(4, ANSWER), task(5, SKIP)]), "one", {QUERY}, tmp_path)
    assert (done.tasks, done.answered) == (1, 1)


def test_two_answers_of_two_tasks_for_one_frame_are_refused_by_name(tmp_path):
    with pytest.raises(ServerError, match=r"tasks 4 and 9 .*cam@000001"):
        pull(Exporting([task(9, ANSWER), task(4, EMPTY)]), "one", {QUERY}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong", [{"data": []}, {"id": "x"}, {"annotations": None}, {"annotations": ["x"]}]
)
def test_what_is_no_task_is_refused(tmp_path, wrong):
    with pytest.raises(ServerError):
        pull(Exporting([{**task(1, ANSWER, key=None), **wrong}]), "one", {QUERY}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_titles_that_are_there_are_named_where_one_is_not(tmp_path):
    with pytest.raises(ServerError, match="no project is called 'two'") as caught:
        pull(Exporting([]), "two", {QUERY}, tmp_path)
    assert "one" in caught.value.hint
    twice = Exporting([], titles=[(3, "one"), (8, "one")])
    with pytest.raises(ServerError, match="2 projects are called 'one': 3, 8"):
        pull(twice, "one", {QUERY}, tmp_path)
