from pathlib import Path

import pytest
import torch

from attnbench.errors import UserError
from attnbench.training import checkpoints


def test_epochs_that_cannot_be_are_named_with_what_they_must_be(tmp_path: Path) -> None:
    path = tmp_path / "plain.pth"
    epoch = {"number": 1, "seconds": "long", "learning_rate": 0.1, "loss": 1.0}
    torch.save({"progress": {"epochs": [epoch]}}, path)
    fault = r"of its epochs, 0\.seconds must be a number, not \"long\""
    with pytest.raises(UserError, match=rf"plain\.pth cannot be read as a checkpoint \({fault}\)"):
        checkpoints.read(path)
