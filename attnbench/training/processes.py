"""The processes that train one network together: one, or those that torchrun has started.

Each takes its share of every batch; only the first one writes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from attnbench.devices import table as devices
from attnbench.errors import UserError
from attnbench.records.device import kind_of, number_of

T = TypeVar("T")

LONGEST_WAIT = timedelta(hours=2)
"""For another process: the first one may count a folder's images, or write to a slow disk."""


@dataclass(frozen=True)
class Processes:
    """This process's number among all, and what they tell each other. Alone, nothing is sent."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"
    rank_here: int = 0
    """The number among those of the same machine."""
    count_here: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    @property
    def first_here(self) -> bool:
        """Whether this is the one that holds the locks of its machine's devices."""
        return self.rank_here == 0

    @property
    def devices_here(self) -> list[str]:
        """The devices of the processes on this machine."""
        if self.count == 1 or self.device == "cpu":
            return [self.device]
        return [f"{self.device}:{number}" for number in range(self.count_here)]

    def share(self, indices: Sequence[int]) -> list[int]:
        """Return this process's part of a batch, or of all test images."""
        return list(indices[self.rank :: self.count])

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network whose gradients are means over the processes.

        Batch norms see their own process's images, as in the published trainings; running
        statistics are the first process's.
        """
        if self.count == 1:
            return network
        # Of gradients whose strides are others than their bucket's: it costs a copy, no accuracy.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
        devices = [torch.cuda.current_device()] if kind_of(self.device) == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices)

    def same_buffers(self, network: nn.Module) -> None:
        """Give every process the first one's buffers: the statistics of batch norms."""
        if self.count > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, src=0)

    def greatest(self, value: int) -> int:
        """Return the greatest of a whole number of each process."""
        if self.count == 1:
            return value
        # On the CPU: a GPU would have to finish its work first.
        tensor = torch.tensor(value)
        distributed.all_reduce(tensor, op=distributed.ReduceOp.MAX)
        return int(tensor)

    def every(self, value: T) -> list[T]:
        """Return a value of each process, in their order."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def interleaved(self, items: list[T], length: int) -> list[T]:
        """Put the parts of :meth:`share` together again: each item once, in the first order."""
        parts = self.every(items)
        return [parts[number % self.count][number // self.count] for number in range(length)]

    def of_first(self, value: T) -> T:
        """Return the first process's value."""
        if self.count == 1:
            return value
        values: list[Any] = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]  # type: ignore[no-any-return]


def started() -> int:
    """Return how many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    """Return this process's number among those that torchrun has started."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun has started, if it has; each has a GPU of its own.

    Raises:
        UserError: several processes, and the number of one GPU.
    """
    if started() == 1:
        devices.select(device)
        yield Processes(device=device)
        return
    if number_of(device):
        raise UserError(
            f"under torchrun each process takes a GPU of its own: --device cuda, not {device}; "
            "CUDA_VISIBLE_DEVICES says which"
        )
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=LONGEST_WAIT)
    try:
        count = distributed.get_world_size()
        yield Processes(
            rank=distributed.get_rank(),
            count=count,
            device=device,
            rank_here=int(os.environ.get("LOCAL_RANK", "0")),
            count_here=int(os.environ.get("LOCAL_WORLD_SIZE", count)),
        )
    finally:
        distributed.destroy_process_group()
