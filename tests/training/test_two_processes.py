"""Two processes on gloo, as torchrun would start them, beside one."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from helpers import small_training
from helpers.small_training import figures, train, weights

from attnbench.system import worker
from attnbench.training.processes import Processes


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def test_two_processes_train_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights up to rounding, without batch norms, which are local; the same records.

    20 images in batches of 8 and a rest of 4; a test of 11 images, of which one process has 6.
    """
    with ThreadPoolExecutor(2) as pool:
        port, folder = free_port(), str(tmp_path / "two")
        started = [
            pool.submit(worker.call, small_training.in_two_processes, rank, port, folder)
            for rank in range(2)
        ]
        first, second = (done.result(timeout=100) for done in started)
    assert first == second
    small_training.use(monkeypatch, norm=False, dropout=0.0)
    one = train(tmp_path / "one")
    for key, epochs in figures(one).items():
        for mine, theirs in zip(epochs, first[key], strict=True):
            number, rate, loss, right, answers = mine
            assert theirs[:2] == (number, rate)
            assert theirs[2] == pytest.approx(loss, rel=1e-4)
            assert theirs[3:] == (right, answers)
    for variant in ("plain", "control", "eca"):
        mine, theirs = weights(tmp_path / "one", variant), weights(tmp_path / "two", variant)
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            torch.testing.assert_close(theirs[name], value, rtol=1e-4, atol=1e-5)


def test_shares_put_together_hold_each_item_once(monkeypatch: pytest.MonkeyPatch) -> None:
    items = list(range(11))
    parts = [Processes(rank, 3).share(items) for rank in range(3)]
    assert parts[0] == [0, 3, 6, 9]
    monkeypatch.setattr(Processes, "every", lambda *_: parts)
    assert Processes(0, 3).interleaved(parts[0], 11) == items
