"""What installed packages count: fvcore, thop and PyTorch's own counter."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from attnbench.counting.dispatch import trace
from attnbench.counting.operators.cost import Operator
from attnbench.counting.rule import Count, Input, NoHooksError, OtherPackageError, Rule
from attnbench.counting.twin import copy_with, has_data, in_mode, is_scripted, twin

if sys.version_info >= (3, 12):
    import setuptools  # noqa: F401  brings distutils back, which thop imports
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about torch.jit and distutils, which are their choices
    import thop
    from fvcore.nn import FlopCountAnalysis, parameter_count
    from thop.profile import register_hooks, zero_ops


def _require_hooks(model: nn.Module) -> None:
    if any(map(is_scripted, model.modules())):
        raise NoHooksError


def fvcore_analysis(model: nn.Module, given: Input, *, training: bool = False) -> FlopCountAnalysis:
    """Run fvcore's analysis of a copy once, in single precision.

    fvcore traces the network by torch.jit, which takes no fake tensors, so this counter alone
    computes: where there are no data on zeros, because fresh memory may hold denormal numbers,
    which are slow.
    """
    _require_hooks(model)
    images = given if isinstance(given, Tensor) else torch.empty(given, device="meta")
    convert = _in_single_precision if has_data(images) else _zeros
    network = in_mode(copy_with(model, convert), training=training)
    analysis = FlopCountAnalysis(network, convert(images))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        analysis.total()
    return analysis


def _in_single_precision(tensor: Tensor) -> Tensor:
    single = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", single, copy=True)


def _zeros(tensor: Tensor) -> Tensor:
    single = torch.float32 if tensor.is_floating_point() else tensor.dtype
    strided = torch.empty_strided(tensor.shape, tensor.stride(), dtype=single, device="cpu")
    return strided.zero_()  # not as zeros_like: of a fake tensor that would be fake


def _uncounted(analysis: FlopCountAnalysis) -> dict[str, int]:
    """Return fvcore's own list, which leaves out operators that it ignores (ReLU, cat)."""
    return {name: int(times) for name, times in analysis.unsupported_ops().items()}


def count_fvcore(model: nn.Module, given: Input) -> Count:
    """Count by ``FlopCountAnalysis`` in evaluation mode; one fused multiply-add counts one."""
    analysis = fvcore_analysis(model, given)
    return Count(
        params=parameter_count(model)[""],
        operations=int(analysis.total()),
        not_counted=_uncounted(analysis),
    )


FVCORE = Rule(
    name="fvcore",
    definition=(
        "What fvcore.nn.FlopCountAnalysis returns in eval mode: one for a multiply-add. What it "
        "lists as not counted is its own list, which passes over ReLU, cat and others."
    ),
    source="the fvcore package (facebookresearch/fvcore), the version in the environment",
    count=count_fvcore,
)


def count_fvcore_training(model: nn.Module, given: Input) -> Count:
    """Count in training mode: half of what two inputs count.

    SK has a batch norm over a single position, which cannot train on a single image.
    """
    shape = given.shape if isinstance(given, Tensor) else given
    analysis = fvcore_analysis(model, (2 * shape[0], *shape[1:]), training=True)
    return Count(operations=int(analysis.total()) // 2, not_counted=_uncounted(analysis))


FVCORE_TRAINING = Rule(
    name="fvcore, training",
    definition="The same in training mode, where batch norms take their statistics too.",
    source="the fvcore package, as above",
    count=count_fvcore_training,
)


def count_fvcore_by_mean(model: nn.Module, given: Input) -> Count:
    """Leave the average pooling modules out of fvcore's figure, as if they were calls of mean()."""
    analysis = fvcore_analysis(model, given)
    pooled = analysis.by_operator().get("adaptive_avg_pool2d", 0)
    return Count(operations=int(analysis.total() - pooled), not_counted=_uncounted(analysis))


FVCORE_BY_MEAN = Rule(
    name="fvcore, mean()",
    definition="fvcore, less average pooling modules: what it gives where mean() stands for them.",
    source="timm spells its pooling with mean(), which fvcore does not count",
    count=count_fvcore_by_mean,
)


def _known_to_thop(module: nn.Module) -> bool:
    return register_hooks.get(type(module), zero_ops) is not zero_ops


REPLACES_THOP = "ultralytics-thop"
"""A package that writes other files over those of thop, under the same name; pip does not mind."""


def _require_thop() -> None:
    """Refuse to count by a package that stands in thop's place, and counts otherwise.

    Raises:
        OtherPackageError: it does.
    """
    with suppress(PackageNotFoundError):
        other = version(REPLACES_THOP)
        raise OtherPackageError(
            f"{REPLACES_THOP} {other} is installed over thop and counts otherwise; "
            f"pip uninstall {REPLACES_THOP}, then pip install --force-reinstall --no-deps thop"
        )


def count_thop(model: nn.Module, given: Input) -> Count:
    """Count by ``thop.profile`` on a twin, because it leaves buffers behind in the network.

    Raises:
        OtherPackageError: another package has taken thop's place.
    """
    _require_thop()
    _require_hooks(model)
    not_counted = dict(trace(*twin(model, given), covers=_known_to_thop).not_counted)
    network, images = twin(model, given)
    # Not in the mode of fake tensors: thop's own sums are real.
    operations, params = thop.profile(network, inputs=(images,), verbose=False)
    return Count(params=int(params), operations=int(operations), not_counted=not_counted)


THOP = Rule(
    name="thop",
    definition="What thop.profile returns: by leaf module of a type it knows, in eval mode.",
    source="the thop package (Lyken17/pytorch-OpCounter), the version in the environment",
    count=count_thop,
)


def count_torch(model: nn.Module, given: Input) -> Count:
    """Count by ``FlopCounterMode`` over one forward.

    Its hooks ask for the gradient of every learnable input of a module, such as the tokens of an
    attention or the weight of a parametrised layer; in inference there is none, and they raise.
    """
    known = {str(packet): Operator() for packet in flop_registry}
    network, images = twin(model, given)
    with FlopCounterMode(display=False) as counter:
        recorded = trace(network.requires_grad_(False), images, known)
    return Count(operations=counter.get_total_flops(), not_counted=dict(recorded.not_counted))


TORCH = Rule(
    name="torch",
    definition="torch.utils.flop_counter: 2 a multiply-accumulate of products and convolutions.",
    source="PyTorch, the version in the environment",
    count=count_torch,
)
