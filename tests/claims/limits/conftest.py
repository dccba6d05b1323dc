from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "budget.txt"
        path.write_text(text)
        return path

    return write
