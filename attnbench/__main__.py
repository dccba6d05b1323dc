"""``python -m attnbench``."""

from attnbench.cli.app import main

if __name__ == "__main__":
    main()
