"""``python -m attnbench``."""

import sys


def main() -> None:
    """Run the command line; where a dependency is missing, print what to do and exit with 2."""
    try:
        from attnbench.cli import app

        app.main()
    except ModuleNotFoundError as error:
        package = (error.name or "attnbench").partition(".")[0]
        if package == "attnbench":
            raise
        print(
            f"attnbench: {package} is not installed; in a checkout, 'make bench' installs "
            "everything needed and starts the main job",
            file=sys.stderr,
        )
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
