"""What a runtime makes of one network that is in no run: figures without any timing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from attnbench import temporary
from attnbench.records.case import Case, Runtime
from attnbench.records.image_size import of
from attnbench.records.schema import Export
from attnbench.runtimes.artefact import Images, Subject, make

SEED = 0


def of_network(
    build: Callable[[], nn.Module], host: str, size: tuple[int, int], runtime: Runtime
) -> Export:
    """Export a network with a fixed seed's weights, for one image in float32, and describe it.

    Raises:
        NotExportedError: it cannot be exported.
        OtherAnswersError: the runtime computes something else.
    """
    case = Case(
        host=host,
        batch_size=1,
        image_size=of(*size),
        dtype="float32",
        channels_last=False,
        mode="inference",
        runtime=runtime,
        device="cpu",
        threads=1,
        seed=SEED,
    )
    torch.set_num_threads(case.threads)
    torch.manual_seed(SEED)
    network = build().eval()
    images = [torch.randn(case.input_shape) for _ in range(2)]
    with temporary.folder() as folder:
        # The name of the variant is that of a file that is alone here.
        return make(folder, Subject(case, "network", None), network, Images(images, ()))
