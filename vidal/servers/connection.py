"""A connection to Label Studio, through its SDK: every failure is a ``ServerError`` of one line.

The token is read from the environment. It is never written anywhere, and no message holds it: what
the SDK raises carries headers and cookies, so it is neither shown nor chained.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from vidal.errors import ServerError, UsageError
from vidal.words import printable

TOKEN = "LABEL_STUDIO_API_KEY"
"""The environment variable; a legacy token or a personal access token."""

OLDEST = (1, 20)
"""Label Studio: the first that has both kinds of tokens, and what the SDK is made for."""

SDK = (2, 1)
"""The oldest version of the SDK that is tested."""

_EXTRA = "Install the extra: `pip install 'vidal-al[label-studio]'`."
_WHERE = "Account & Settings in Label Studio shows it; legacy tokens may be switched off there."
_WHY = {
    401: (f"does not accept the token of {TOKEN}", f"Set {TOKEN} to a token of yours. {_WHERE}"),
    403: ("does not allow that to the owner of the token", "Ask who administers the project."),
    404: ("not found", "Is this the address of a Label Studio, and the project one that it has?"),
    413: ("takes no request of that size", "A proxy before it may have to allow 20 MB."),
}


class Connection:
    """A Label Studio that answers, accepts the token, and is of a version that is known.

    Attributes:
        url: its address, without a slash at the end.
        version: of the server, as it says.
    """

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        """Connect.

        Args:
            url: address, as of a browser: ``http://localhost:8080``.
            timeout: seconds to wait for any one answer.

        Raises:
            UsageError: not an address, no token, no SDK.
            ServerError: nobody answers, the token is refused, or it is no Label Studio.
        """
        self.url = _address(url)
        self._timeout = timeout
        self._token = _token()
        self._api = _sdk()
        with self._asked():
            self._client = self._api.LabelStudio(
                base_url=f"{self.url}/",
                api_key=self._token,
                timeout=timeout,
                max_retries=2,
                follow_redirects=False,
            )
        self.version = self._version()
        with self._asked():
            self._client.users.whoami()

    def projects(self) -> Iterator[tuple[int, str]]:
        """(id, title) of those that the owner of the token sees."""
        with self._asked():
            for each in self._client.projects.list(page_size=100):
                yield int(each.id), str(each.title)

    def project(self, number: int) -> tuple[str, str]:
        """Title and labelling configuration of a project.

        Raises:
            ServerError: there is none of that number.
        """
        with self._asked(f"project {number}"):
            found = self._client.projects.get(id=number)
            return str(found.title), str(found.label_config or "")

    def make(self, title: str, config: str, told: str) -> int:
        """A new project; its id."""
        with self._asked("making the project"):
            made = self._client.projects.create(title=title, label_config=config, description=told)
            return int(made.id)

    def configure(self, number: int, config: str) -> None:
        """Give a project its labelling configuration."""
        with self._asked("configuring the project"):
            self._client.projects.update(id=number, label_config=config)

    def tasks(self, number: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """(id, ``data``) of the tasks of a project."""
        with self._asked("listing tasks"):
            pages = self._client.tasks.list(
                project=number, page_size=500, fields="task_only", include="id,data"
            )
            for each in pages:
                yield int(each.id), each.data if isinstance(each.data, dict) else {}

    def uploads(self, number: int) -> list[tuple[str, int]]:
        """(file, bytes) of what was uploaded to a project, oldest first."""
        with self._asked("listing uploads"):
            found = self._client.files.list(id=number, all_=True)
            return [(str(e.file), int(e.size or 0)) for e in sorted(found, key=lambda e: e.id)]

    def upload(self, number: int, pictures: Sequence[tuple[str, bytes]]) -> None:
        """Upload JPEG files (name, content) to a project, without making tasks of them."""
        files = {
            f"file{at}": (name, data, "image/jpeg") for at, (name, data) in enumerate(pictures)
        }
        with self._asked("uploading pictures"):
            # The SDK has no method for files; its own requests carry the token and time out.
            self._checked(
                self._client._client_wrapper.httpx_client.request(
                    f"api/projects/{number}/import",
                    method="POST",
                    params={"commit_to_project": "false"},
                    data={},
                    files=files,
                    request_options={"max_retries": 0},
                )
            )

    def place(self, file: str) -> str:
        """What a task says of an uploaded file."""
        return f"{urlsplit(self.url).path}/data/{file}"

    def add(self, number: int, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Make tasks of a project; all of them, or after a failure perhaps none."""
        with self._asked("making tasks"):
            # No second try by the SDK: after an answer that was lost there would be two of each.
            self._client.projects.import_tasks(
                id=number, request=list(tasks), request_options={"max_retries": 0}
            )

    def export(self, number: int) -> list[Any]:
        """All tasks of a project with their annotations, in Label Studio's format "JSON"."""
        with self._asked("exporting"):
            parts: Iterable[bytes] = self._client.projects.exports.download_sync(
                id=number, export_type="JSON", download_all_tasks=True
            )
            found = json.loads(b"".join(parts), parse_constant=_no_number)
        if not isinstance(found, list):
            raise ServerError(self.url, "exports something else than a list of tasks")
        return found

    def _version(self) -> str:
        """The server's version, once it is known to be one that can be used."""
        with self._asked("asking for the version"):
            found = self._client.versions.get()
            text, edition = str(found.release or ""), str(found.edition or "Community")
        numbers = re.match(r"(\d{1,6})\.(\d{1,6})", text)
        if numbers is None:
            raise ServerError(self.url, "does not say that it is a Label Studio")
        if (int(numbers[1]), int(numbers[2])) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            why = f"is Label Studio {text}; vidal needs {oldest} or newer"
            raise ServerError(self.url, why, hint="Update the server, or exchange files.")
        if edition != "Community":
            why = f"is Label Studio {edition}; push and pull are made for the community edition"
            hint = "Exchange files: `vidal export --to label-studio`, `vidal import`."
            raise ServerError(self.url, why, hint=hint)
        return text

    def _checked(self, response: Any) -> None:
        if not 200 <= response.status_code < 300:
            raise self._refused(response.status_code, _body(response.text), "")

    @contextmanager
    def _asked(self, doing: str = "") -> Iterator[None]:
        """Whatever the SDK raises in the block, as a ``ServerError`` that holds no secret."""
        import httpx
        from pydantic import ValidationError

        while_ = f" ({doing})" if doing else ""
        try:
            yield
        except self._api.core.ApiError as error:
            raise self._refused(error.status_code, error.body, while_) from None
        except httpx.TimeoutException:
            why = f"no answer within {self._timeout:g} s{while_}"
            hint = "Is it busy? --timeout gives it longer."
            raise ServerError(self.url, why, hint=hint, passing=True) from None
        except httpx.ConnectError as error:
            why = f"nobody answers{while_}: {self._safe(error)}"
            hint = "Is Label Studio running, and is this its address?"
            raise ServerError(self.url, why, hint=hint, passing=True) from None
        except httpx.HTTPError as error:
            why = f"the connection broke{while_}: {self._safe(error)}"
            raise ServerError(self.url, why, passing=True) from None
        except (ValidationError, ValueError, AttributeError, TypeError) as error:
            why = f"not what Label Studio answers{while_}: {type(error).__name__}"
            raise ServerError(self.url, why, hint="Is this its address?") from None

    def _refused(self, code: int | None, body: Any, while_: str) -> ServerError:
        """The error of an answer that is none."""
        why, hint = _WHY.get(code or 0, ("", ""))
        if code is not None and 300 <= code < 400:
            why, hint = "sends on to another address", "Give the address that a browser ends at."
        if code is not None and 200 <= code < 300:
            why, hint, body = "not what Label Studio answers", "Is this its address?", None
        detail = self._safe(_detail(body))
        told = ": ".join(each for each in (why or f"refuses, status {code}", detail) if each)
        passing = code is not None and (code >= 500 or code in (408, 409, 425, 429))
        return ServerError(self.url, f"{told}{while_}", hint=hint, passing=passing)

    def _safe(self, text: object) -> str:
        """One line without the token."""
        line = printable(" ".join(str(text).split()))
        return line.replace(self._token, "***").rstrip(".") if self._token else line


def _sdk() -> Any:
    """The SDK's module."""
    try:
        import label_studio_sdk
        import label_studio_sdk.core
    except ImportError:
        raise UsageError("Label Studio's SDK is not installed.", hint=_EXTRA) from None
    found = version("label-studio-sdk")
    numbers = re.match(r"(\d{1,6})\.(\d{1,6})", found)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < SDK:
        raise UsageError(f"label-studio-sdk {found} is too old: 2.1 is needed.", hint=_EXTRA)
    return label_studio_sdk


def _token() -> str:
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise UsageError(f"{TOKEN} is not set.", hint=f"It holds your token. {_WHERE}")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise UsageError(f"{TOKEN} holds characters that no token has.", hint=_WHERE)
    return token


def _address(url: str) -> str:
    """The address without what comes after its path.

    Raises:
        UsageError: not one of http or https, or with a password in it.
    """
    try:
        parts = urlsplit(url.strip())
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        shown = printable(url.rpartition("@")[2])
        raise UsageError(f"--url {shown!r} is no address.", hint="Such as http://localhost:8080.")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "--url holds a password.", hint=f"The token comes from the environment: {TOKEN}."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _body(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _detail(body: Any) -> str:
    """What an answer says of its failure; pages of HTML say nothing."""
    if not isinstance(body, dict):
        text = str(body or "").strip()
        return "" if text.startswith("<") else text[:200]
    words = [str(body["detail"])] if body.get("detail") else []
    errors = body.get("validation_errors")
    if isinstance(errors, dict):
        words += [f"{name}: {_first(each)}" for name, each in errors.items()]
    return "; ".join(words)[:300]


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value)
