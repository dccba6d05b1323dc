"""Write the exact figures that ``check`` holds the suite's modules to: ``make pins``."""

from __future__ import annotations

from pathlib import Path

from attnbench.claims import check_pins

FILE = Path("attnbench/claims/pins.toml")

if __name__ == "__main__":
    FILE.write_text(check_pins.written(), encoding="utf-8")
