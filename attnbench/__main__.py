"""``python -m attnbench``."""

from .cli import main

if __name__ == "__main__":
    main()
