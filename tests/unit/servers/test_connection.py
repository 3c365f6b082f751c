"""What can be said without a server: addresses, tokens, and the SDK that is not there."""

import subprocess
import sys

import pytest

from vidal.errors import UsageError
from vidal.servers import connection

SECRET = "5ec2e7" * 6


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        (" https://label.example.org/studio/ ", "https://label.example.org/studio"),
        ("http://127.0.0.1:8080/?page=2#x", "http://127.0.0.1:8080"),
    ],
)
def test_an_address_is_taken_as_of_a_browser(given, taken):
    assert connection._address(given) == taken


@pytest.mark.parametrize(
    "given", ["", "localhost:8080", "ftp://x", "http://", "http://[::1", "http://x:99999", "/tmp"]
)
def test_what_is_no_address_is_refused(given):
    with pytest.raises(UsageError, match="no address"):
        connection._address(given)


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(UsageError, match="password") as caught:
        connection._address(f"http://me:{SECRET}@localhost:8080")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  ", f"{SECRET} x", f"{SECRET}\nX-Other: 1", "t\u00f6ken"])
def test_a_token_that_is_none_is_refused_and_not_shown(monkeypatch, token):
    monkeypatch.setenv(connection.TOKEN, token)
    with pytest.raises(UsageError, match=connection.TOKEN) as caught:
        connection._token()
    assert SECRET not in str(caught.value)


def test_a_token_with_a_line_break_at_its_end_is_taken(monkeypatch):
    monkeypatch.setenv(connection.TOKEN, f"{SECRET}\n")
    assert connection._token() == SECRET


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"detail": "No.", "validation_errors": {"title": ["too short", "x"]}},
            "No.; title: too short",
        ),
        ({"validation_errors": {"non_field_errors": "y"}}, "non_field_errors: y"),
        ("<html>502</html>", ""),
        ("busy", "busy"),
        (None, ""),
        (["x"], "['x']"),
    ],
)
def test_an_answer_of_failure_is_told_in_its_own_words(body, said):
    assert connection._detail(body) == said


@pytest.mark.parametrize("command", [["push"], ["pull"]])
def test_without_the_sdk_the_extra_is_named(tmp_path, command):
    code = (
        "import sys; sys.modules['label_studio_sdk'] = None;"
        "from vidal.cli import main; main(sys.argv[1:])"
    )
    (tmp_path / "selection").mkdir()
    target = ["--url", "http://127.0.0.1:9", "--project", "x"]
    folder = str(tmp_path / "selection")
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "label-studio", folder, *target],
        env={"LABEL_STUDIO_API_KEY": SECRET, "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if command == ["push"]:
        assert "vidal-al[label-studio]" in done.stderr
    assert SECRET not in done.stderr
