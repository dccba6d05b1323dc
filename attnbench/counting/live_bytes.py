"""The bytes that are alive while operators run, the same on every machine."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of every storage that operators create while the mode is active.

    What existed before (weights, input) is not counted. ``peak`` is the largest sum of bytes
    that were alive at once. It depends on shapes and dtypes alone, so it is the same on every
    machine and on the meta device; what a library takes inside an operator is not in it.

    Two things the meta device does otherwise than a real one, and this figure with it: a batch
    norm trained in half precision keeps its statistics in single precision there, and a
    convolution forgets channels_last, so that a reshape after it is a view where a real device
    copies: with channels_last the figure is too low for modules that reshape (SGE, SA, GC).
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.live += size
            weakref.finalize(storage, self._release, key, size)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = {
            tensor.untyped_storage()._cdata
            for tensor in tree_leaves((args, kwargs))
            if isinstance(tensor, Tensor)
        }
        out = func(*args, **(kwargs or {}))
        made = tree_leaves(out)
        if func is torch.ops.aten.native_batch_norm.default and not args[5]:
            made = made[:1]  # in evaluation only the meta device makes up statistics
        for tensor in made:
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in given:
                self._follow(tensor)
        self.peak = max(self.peak, self.live)
        return out
