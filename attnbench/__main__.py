"""``python -m attnbench``."""

import sys


def main() -> None:
    """Run the command line; where a dependency is missing, print what to do and exit with 2."""
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


if __name__ == "__main__":
    main()
