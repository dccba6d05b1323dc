"""``python -m attnbench``, ``attnbench`` and ``run_bench.py``: all begin here."""

import os
import sys


def main() -> None:
    """Run the command line; where a dependency is missing, print what to do and exit with 2."""
    _open_what_is_closed()
    from attnbench.cli import interrupts

    with interrupts.handled():
        try:
            from attnbench.cli import app

            app.main()
        except ModuleNotFoundError as error:
            if not error.name or error.name.startswith("attnbench"):
                raise
            print(
                f"attnbench: {error.name} is not installed; in a checkout, 'make bench' installs "
                "everything needed and starts the main job",
                file=sys.stderr,
            )
            raise SystemExit(2) from error


def _open_what_is_closed() -> None:
    """Open standard streams that are closed: files and pipes would else take their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


if __name__ == "__main__":
    main()
