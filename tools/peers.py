"""Environments of other tools that vidal is tested with: ``make test-peers``.

Each has a virtual environment of its own under ``.venv-peers/``, kept between runs and made again
when what it holds is changed here. Label Studio's also sees this environment's packages, after its
own, so that `vidal push` runs in it beside the SDK.

    python tools/peers.py [NAME ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
from pathlib import Path

PEERS = {
    "label-studio": ("label-studio==1.23.2",),
    "fiftyone": ("fiftyone==1.22.1",),
    "datumaro": ("datumaro==1.13.12",),
}
"""Name -> what is installed; the newest of each when the tests were written."""

BESIDE = ("label-studio",)
"""Those that see this environment, too."""

HOME = Path(__file__).resolve().parents[1] / ".venv-peers"
STAMP = ".installed"


def python_of(name: str, home: Path = HOME) -> Path:
    """The interpreter of a peer."""
    return home / name / "bin" / "python"


def installed(name: str, home: Path = HOME) -> bool:
    """Whether its environment holds what it should."""
    stamp = home / name / STAMP
    return stamp.is_file() and stamp.read_text("utf-8") == _wanted(name)


def install(name: str, home: Path = HOME) -> None:
    """Make the environment of a peer, if it is not there."""
    if installed(name, home):
        return
    print(f"installing {', '.join(PEERS[name])} into {home / name} (minutes the first time)")
    place = home / name
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    python = str(python_of(name, home))
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *quiet, *PEERS[name]], check=True)
    if name in BESIDE:
        code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        own = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
        beside = Path(own.stdout.strip()) / "zz_beside.pth"
        beside.write_text(f"{sysconfig.get_paths()['purelib']}\n", "utf-8")
    (place / STAMP).write_text(_wanted(name), "utf-8")


def _wanted(name: str) -> str:
    return "\n".join((*PEERS[name], *([sys.prefix] if name in BESIDE else [])))


def main() -> None:
    """Install what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PEERS)}")
    for name in parser.parse_args().names or PEERS:
        if name not in PEERS:
            parser.error(f"{name!r} is none of {', '.join(PEERS)}")
        install(name)


if __name__ == "__main__":
    main()
