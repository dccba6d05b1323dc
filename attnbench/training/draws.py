"""Everything random of a training, derived from its seed: equal for all variants of a seed.

Nothing is drawn from a generator that lives on: weights, the order of each epoch, each image's
augmentation and each step have generators of their own. So a training that is resumed, read by any
number of processes, or whose module draws numbers, sees the same as any other of its seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch

from attnbench.records.variants import CONTROL

Purpose = int | str


def own_seed(variant: str, seed: int) -> int:
    """Return the seed that a variant draws from: the control has another than all others."""
    return mixed(seed, CONTROL) if variant == CONTROL else seed


def mixed(*parts: Purpose) -> int:
    """Return a seed for torch from a seed and what it is for; others for any other parts."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1


def order(seed: int, epoch: int, images: int) -> list[int]:
    """Return the images of an epoch in their order."""
    generator = torch.Generator().manual_seed(mixed(seed, "order", epoch))
    return torch.randperm(images, generator=generator).tolist()  # type: ignore[no-any-return]


@contextmanager
def drawing(*parts: Purpose) -> Iterator[None]:
    """Seed the CPU's generator for the body; afterwards it is as it was before."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(mixed(*parts))
    try:
        yield
    finally:
        torch.set_rng_state(before)
