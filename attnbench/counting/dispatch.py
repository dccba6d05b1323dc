"""Trace the operators that really run, below the modules and functions that call them."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.counting.as_without_mode import (
    APART,
    AS_REAL,
    COMPOSITE,
    is_composite,
    views_keep_their_base,
)
from attnbench.counting.gaps import may_multiply
from attnbench.counting.masks import as_computed, is_number
from attnbench.counting.operators.cost import Cost, Operator, cost, tensors_in
from attnbench.counting.rule import SparseError
from attnbench.counting.transformers import COMPUTED
from attnbench.counting.twin import is_scripted, mode_of

FREE = {
    "aten.empty",
    "aten.empty_like",
    "aten.empty_strided",
    "aten.new_empty",
    "aten.new_empty_strided",
    "aten._unsafe_view",
    "aten.unsafe_split",
    *("aten.as_strided_", "aten.squeeze_", "aten.unsqueeze_", "aten.transpose_", "aten.t_"),
    *("aten.detach_", "aten._efficientzerotensor"),
    *("prim.device", "profiler._record_function_enter_new", "profiler._record_function_exit"),
    "aten._local_scalar_dense",
}
"""Allocations, views that PyTorch does not mark as such, and questions: free under every rule."""

CONSTANT = "aten.lift_fresh"
"""Of a tensor that ``torch.tensor`` has just made of numbers, before the mode can see it."""

MASKED = {
    *("aten.convolution_backward", "aten.native_batch_norm_backward"),
    *("aten.native_group_norm_backward", "aten.native_layer_norm_backward"),
    "aten.grid_sampler_2d_backward",
}
"""Their last argument says which gradients are asked for."""

OWN_PRODUCT: dict[type[nn.Module], set[str]] = {
    nn.modules.conv._ConvNd: {"aten.convolution"},
    nn.Linear: {"aten.mm", "aten.addmm", "aten.bmm", "aten.mv", "aten.addmv"},
}
"""The one product of a call of a layer that every rule by module counts."""

SPARSE: dict[torch.layout, Callable[[Tensor], list[Tensor]]] = {
    torch.sparse_coo: lambda t: [t._indices(), t._values()],
    **dict.fromkeys(
        (torch.sparse_csr, torch.sparse_bsr),
        lambda t: [t.crow_indices(), t.col_indices(), t.values()],
    ),
    **dict.fromkeys(
        (torch.sparse_csc, torch.sparse_bsc),
        lambda t: [t.ccol_indices(), t.row_indices(), t.values()],
    ),
}
"""Layouts of tensors that hold some of their numbers, and the tensors of which they consist."""

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
"""Layers of many products, which thop counts as a whole."""

ModuleCost = Callable[..., int]
"""From a module, its first input and its output to a number of operations."""


class Covered:
    """A call of a module that a rule by module has counted: which operators that stands for."""

    def __init__(self, module: nn.Module) -> None:
        self._recurrent = isinstance(module, RECURRENT)
        kinds = (kind for kind in OWN_PRODUCT if isinstance(module, kind))
        self._own = OWN_PRODUCT.get(next(kinds, nn.Module), set())

    def holds(self, operator: str) -> bool:
        """Return whether an operator is in the module's count: a second product is not."""
        if self._recurrent or not may_multiply(operator):
            return True
        if operator not in self._own:
            return False
        self._own = set()
        return True


@cache
def operator_name(operator: OpOverload) -> str:
    """Return ``aten.add`` for every overload of it."""
    return str(operator.overloadpacket)


class Trace(TorchDispatchMode):
    """Record what runs while the mode is active: operators, their costs and the live bytes.

    Where ``counts`` is false it looks at live bytes alone, for which tensors may be sparse.

    Attributes:
        rows: by module path and operator, the cost of the operators that are in the table.
        peaks: with the same keys, the most bytes alive in the whole network at the end of one.
        not_counted: how often every other operator ran, without those that are free under every
            rule and those within a module that a rule by module has counted; but a second
            product within such a module (a subclass of Conv2d may convolve twice) is listed.
        live: bytes alive now of all storages that operators created in this mode. What existed
            before (weights, input) is not counted, nor what a library takes inside an operator.
        peak: the largest value of ``live``. It depends on shapes and dtypes alone, so it is the
            same on every machine and with fake tensors.
    """

    def __init__(self, table: Mapping[str, Operator] | None = None, *, counts: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counts = counts
        self.rows: dict[tuple[str, str], Cost] = {}
        self.peaks: dict[tuple[str, str], int] = {}
        self.not_counted: Counter[str] = Counter()
        self.live: int = 0
        self.peak: int = 0
        self._table = table or {}
        self._modules: list[tuple[str, Covered | None]] = [("", None)]
        """Those that run: the path, and what a rule has counted there."""

        self._storages: set[int] = set()

    def by(self, key: Callable[[str, str], str]) -> dict[str, Cost]:
        """Sum the costs over a key of module path and operator, in the order in which they ran."""
        sums: dict[str, Cost] = {}
        for (path, operator), row in self.rows.items():
            label = key(path, operator)
            sums[label] = sums.get(label, Cost()) + row
        return sums

    def peak_by(self, key: Callable[[str, str], str]) -> dict[str, int]:
        """Return the most bytes alive in the network over a key, as :meth:`by`."""
        peaks: dict[str, int] = {}
        for (path, operator), alive in self.peaks.items():
            label = key(path, operator)
            peaks[label] = max(peaks.get(label, 0), alive)
        return peaks

    @property
    def total(self) -> Cost:
        """The cost of everything that is in the table."""
        return sum(self.rows.values(), Cost())

    @contextmanager
    def follow(
        self, model: nn.Module, covers: Callable[[nn.Module], bool] = lambda _: False
    ) -> Iterator[None]:
        """Put operators down to the innermost module that runs them, while the context lasts.

        ``covers`` says which modules a rule has counted, with all that runs within them. Modules
        of ``torch.jit`` take no hooks, and those in layers that run as one operator get none: their
        operators are put down to the module around them.
        """
        handles = []
        unwatched = {part for layer in _as_one_operator(model) for part in layer.modules()}
        for path, module in model.named_modules():
            if is_scripted(module) or module in unwatched:
                continue

            def enter(module: nn.Module, _: Any, path: str = path) -> None:
                around = self._modules[-1][1]
                covered = Covered(module) if covers(module) else around
                self._modules.append((path, covered))

            def leave(*_: Any) -> None:
                self._modules.pop()

            handles += [
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(leave),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def within(self, path: str) -> Iterator[None]:
        """Put operators down to a path, while the context lasts."""
        self._modules.append((path, None))
        try:
            yield
        finally:
            self._modules.pop()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,  # the signature is PyTorch's
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out: Any
        name = operator_name(func)
        if torch.is_inference_mode_enabled() and is_composite(func):  # it arrives whole
            with self, nullcontext() if func.is_view else views_keep_their_base():
                out = APART[name](*args, **kwargs) if name in APART else None
                return func._op_dk(COMPOSITE, *args, **kwargs) if out is None else out
        if name in COMPUTED:  # of other operators, which arrive one by one
            with self:
                return COMPUTED[name](*args, **kwargs)
        given = tensors_in(args, kwargs)
        before = [] if name == CONSTANT else given
        inputs = {tensor.untyped_storage()._cdata for tensor in _dense(before)}
        out = func(*args, **kwargs)
        if self._counts and any(tensor.layout in SPARSE for tensor in (*given, *tensors_in(out))):
            raise SparseError
        if name in AS_REAL and any(isinstance(t, FakeTensor) for t in tensors_in(out)):
            out = AS_REAL[name](out, *args)
        made = out
        if name in MASKED:  # fake tensors also make the gradients that are not asked for
            made = [gradient for gradient, asked in zip(out, args[-1], strict=True) if asked]
        if is_number(name, out):
            return out
        for tensor in _dense(tensors_in(made)):
            self._keep(tensor, inputs)
        self.peak = max(self.peak, self.live)
        if func.is_view or name in FREE:
            return out
        name, args = as_computed(name, args, kwargs)
        path, covered = self._modules[-1]
        self.peaks[path, name] = max(self.peaks.get((path, name), 0), self.live)
        if name in self._table:
            row = cost(self._table[name], made, args, kwargs)
            self.rows[path, name] = self.rows.get((path, name), Cost()) + row
        elif covered is None or not covered.holds(name):
            self.not_counted[name] += 1
        return out

    def _keep(self, tensor: Tensor, inputs: set[int]) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in inputs and key not in self._storages:
            self._storages.add(key)
            self.live += size
            weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._storages.discard(key)
        self.live -= size


def _as_one_operator(model: nn.Module) -> Iterator[nn.Module]:
    """Yield layers that run as one operator in inference, unless a hook stands in them."""
    for layer in model.modules():
        if (
            isinstance(layer, nn.TransformerEncoderLayer)
            and not layer.training
            and not any(part._forward_hooks or part._forward_pre_hooks for part in layer.modules())
        ):
            yield layer


def _dense(tensors: list[Tensor]) -> list[Tensor]:
    """Return the tensors, in the place of a sparse one those that it consists of."""
    return [
        part for t in tensors for part in ([t] if t.layout not in SPARSE else SPARSE[t.layout](t))
    ]


def trace(
    network: nn.Module,
    images: Tensor,
    table: Mapping[str, Operator] | None = None,
    covers: Callable[[nn.Module], bool] = lambda _: False,
) -> Trace:
    """Trace one forward of a twin (:mod:`attnbench.counting.twin`), which keeps no hook."""
    recorded = Trace(table)
    with torch.inference_mode(), mode_of(images), recorded.follow(network, covers), recorded:
        network(images)
    return recorded


def trace_modules(
    network: nn.Module, images: Tensor, cost_of: Callable[[nn.Module], ModuleCost | None]
) -> tuple[list[tuple[nn.Module, int]], dict[str, int]]:
    """Cost every call of a module that a rule by module knows.

    ``cost_of`` gives a module's formula, or None. The network, a twin, keeps the hooks.

    Returns:
        The module and the cost of each call, and the operators that ran outside such modules.
    """
    calls: list[tuple[nn.Module, int]] = []

    def add(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> None:
        first = (*args, *kwargs.values())[0]  # the input, by position or by name
        calls.append((module, cost_of(module)(module, first, out)))  # type: ignore[misc]

    for module in network.modules():
        if cost_of(module):
            module.register_forward_hook(add, with_kwargs=True)
    recorded = trace(network, images, covers=lambda module: cost_of(module) is not None)
    return calls, dict(recorded.not_counted)
