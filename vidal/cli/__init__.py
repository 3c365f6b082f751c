"""The command line: one file per command, each thin. Commands are imported when they are used."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

import click

from vidal import __version__

COMMANDS = {
    "select": "Choose the frames of a folder of clips that are most worth annotating.",
    "gather": "Compute what `vidal select` needs, on one machine of many, into a common store.",
    "init": "Begin a campaign: rounds of selecting, annotating and training.",
    "export": "Write a query, or what is labelled, into an archive for an annotation tool.",
    "import": "Give the frames that a campaign has asked for their labels.",
    "undo": "Take an import back: its frames wait again.",
    "push": "Send the frames of a query to an annotation server (Label Studio).",
    "pull": "Fetch answers from an annotation server, and import them.",
    "train": "Fit the detector to the labels of a campaign.",
    "train-tracker": "Fit a tracker to clips with tracks, for `vidal select --tracker`.",
    "pretrain": "Pre-train the backbone of a detector on clips without labels.",
    "status": "Say where a campaign stands, and what comes next.",
    "withdraw": "Take back the query of a campaign that waits for its answer.",
    "relink": "Find the clips of a campaign again after files were moved or renamed.",
    "report": "Write the report of a campaign, or of one of its rounds.",
    "evaluate": "Judge a model on clips with labels: average precision, and selection quality.",
    "simulate": "Compare query strategies on labelled clips: learning curves over seeds.",
    "images": "Compare query strategies on image classification, or choose pictures to label.",
    "cache": "Say what is kept of evidence, and make it smaller.",
    "datasets": "List the data sets vidal reads; check whether a folder holds one.",
    "scenes": "Render procedural driving clips with exact ground truth.",
    "demo": "Render a handful of clips and select 2 % of their frames.",
    "strategies": "List the query strategies and their options.",
}

MODULES = {"import": "import_labels"}
"""Of commands whose name no module can have."""


class Refused(Exception):
    """An error of the operating system, carried past click."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called.

    ``vidal --help`` must not wait for NumPy, let alone torch.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of ``vidal/cli/<name>.py``."""
        if cmd_name not in COMMANDS:
            return None
        name = MODULES.get(cmd_name, cmd_name.replace("-", "_"))
        module = import_module(f"vidal.cli.{name}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; what the system refuses is for ``main`` to tell, a closed pipe too."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            raise Refused(error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table itself: no command is imported for the overview."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a guess where the name is unknown.

        ``train`` with ``--tracker`` is ``train-tracker``.
        """
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from vidal.errors import UnknownName

            raise UnknownName("command", args[0], list(COMMANDS))
        if args[:1] == ["train"] and _names_tracker(args[1:]):
            args = ["train-tracker", *args[1:]]
        return super().resolve_command(ctx, args)


def _names_tracker(args: list[str]) -> bool:
    """Whether ``--tracker`` is among the options."""
    options = args[: args.index("--")] if "--" in args else args
    return any(each == "--tracker" or each.startswith("--tracker=") for each in options)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="vidal")
def cli() -> None:
    """Choose which frames of driving video are worth annotating.

    \b
    vidal select --videos clips/ --budget 2%
    """


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: errors a user can cause are one line and exit code 2, never a traceback.

    So is what the system refuses (a full disk, a closed pipe, a folder without permission).
    """
    import sys

    from vidal.cli.interrupts import patient
    from vidal.errors import VidalError

    _prepare()
    try:
        with patient():
            code = cli.main(args=arguments, prog_name="vidal", standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except VidalError as error:
        _fail(error.message, error.hint)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.UsageError as error:
        hint = "" if error.ctx is None else f"Try `{error.ctx.command_path} --help`."
        _fail(error.format_message(), hint)
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        _interrupted()
    except Refused as error:
        _fail(_refused(error.error))
    except OSError as error:
        _fail(_refused(error))
    except RuntimeError as error:
        if not _lacks_gpu_memory(error):
            raise
        _fail("the GPU's memory is not enough.", "Make batches smaller, or use --device cpu.")


def _lacks_gpu_memory(error: RuntimeError) -> bool:
    """Whether torch says so; told by its name, because most commands do without torch."""
    kind = type(error)
    return kind.__name__ == "OutOfMemoryError" and kind.__module__.partition(".")[0] == "torch"


def _prepare() -> None:
    """Names that are not UTF-8 are printed escaped; libraries say nothing on their own."""
    import os
    import sys

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # FFmpeg in OpenCV writes a line for each damaged packet; workers inherit this. What does not
    # decode is counted and named by vidal.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")


def _fail(message: str, hint: str = "") -> NoReturn:
    import sys

    from vidal.words import printable

    with suppress(OSError):  # nobody listens there either
        click.echo(f"vidal: {printable(message)}", err=True)
        if hint:
            click.echo(f"       {printable(hint)}", err=True)
    sys.exit(2)


def _interrupted() -> NoReturn:
    import signal
    import sys

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would only break the farewell
    with suppress(OSError):
        click.echo("vidal: interrupted; finished clips are kept, run it again to go on.", err=True)
    sys.exit(130)


def _refused(error: OSError) -> str:
    """What the system refused, and where."""
    import os
    import sys
    import traceback

    why = (error.strerror or str(error)).lower()
    if error.filename:
        return f"{os.fsdecode(error.filename)}: {why}."
    places = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]
    if "click.utils" not in places and places[-1] != __name__:
        return f"{why}."
    with suppress(OSError, ValueError):
        # What is left in the buffer would fail again, with a traceback, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return f"cannot write the output: {why}."
