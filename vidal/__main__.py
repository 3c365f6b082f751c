"""``python -m vidal`` = the command ``vidal``."""

from vidal.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
