"""Count how often given weights are right on a folder of images: prepare, then compute."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.features
import torch
from torch import nn
from torch.utils.data import DataLoader

from attnbench.accuracy import executed, images
from attnbench.accuracy.checkpoints import (
    classes_of,
    load_authors_state_dict,
    read_weights,
    wrapper_of,
)
from attnbench.accuracy.options import EvaluationOptions, checked, require_place
from attnbench.devices import table as devices
from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.build import build
from attnbench.hosts.conditions import Conditions
from attnbench.plugins.resolve import parse
from attnbench.records import evaluation, store
from attnbench.records.device import in_a_path
from attnbench.records.evaluation import Calibration, Data, Evaluation, Weights
from attnbench.records.schema import Environment
from attnbench.records.variants import PLAIN
from attnbench.runtimes.int8 import images as runtime_images
from attnbench.runtimes.prepared import Settings
from attnbench.runtimes.table import TABLE, versions
from attnbench.system import environment, process_settings

MOST_WORKERS = 8
"""Default limit of processes that read images for a network on a GPU."""

Progress = Callable[[str, int], None]
"""Called with the current step and the number of images that it has done."""


@dataclass(frozen=True)
class Prepared:
    """A network with its weights, and the images: everything but the answers."""

    options: EvaluationOptions
    network: nn.Module
    weights: Weights
    folder: images.Folder
    source: str | None
    """The origin of a custom module's code."""
    device: str
    threads: int
    workers: int

    @property
    def described(self) -> str:
        """Network, weights and images, in one line."""
        others = self.folder.others
        ignored = f"; {others} files that are no images are ignored" if others else ""
        weights = " ".join(filter(None, (self.weights.name, self.weights.part)))
        return (
            f"{self.options.module or PLAIN} in {self.options.host} with {weights}; "
            f"{len(self.folder):,} images in {len(self.folder.classes):,} class folders{ignored}"
        )


def prepare(options: EvaluationOptions) -> Prepared:
    """Read the weights, build their network and find the images.

    Raises:
        UserError: an option out of range, weights that cannot be read or do not fit, a folder
            that does not hold the network's classes.
        SettingsError: a module or host that is unknown or does not fit.
    """
    options = checked(options)
    device = devices.chosen("cpu" if TABLE[options.runtime].exports else options.device)
    readers = min(MOST_WORKERS, torch.get_num_threads()) if device != "cpu" else 0
    workers = readers if options.workers is None else options.workers
    module = None if options.module is None else parse(options.module)
    if module is not None and module.is_custom:
        image = (1, 3, options.image_size, options.image_size)
        conditions = [Conditions(device)]
        check_module.in_subprocess(check_module.check, module, options.host, [image], conditions)
    attention = None if module is None else module.load()
    state_dict = read_weights(options.weights)
    try:
        chosen = {"key": options.key, "prefix": options.prefix}
        classes = classes_of(state_dict, **chosen)
        with redirect_stdout(sys.stderr):  # stdout is for results, not for a module's own prints
            size = (options.image_size, options.image_size)
            network = build(options.host, attention, size=size, classes=classes)
        load_authors_state_dict(network, state_dict, **chosen)
    except (UserError, RuntimeError) as error:  # torch's: sparse tensors, or meta ones
        raise UserError(f"{options.weights}: {error}") from error
    return Prepared(
        options=options,
        network=network.eval(),
        weights=Weights(
            name=options.weights.name,
            sha256=digest(options.weights),
            key=options.key or wrapper_of(state_dict),
            prefix=options.prefix,
        ),
        folder=images.Folder(options.data, classes),
        source=None if module is None else module.origin(),
        device=device,
        threads=options.threads or torch.get_num_threads(),
        workers=workers,
    )


def record_folder(prepared: Prepared, out: Path | None) -> AbstractContextManager[Path]:
    """Return the folder for the record, as of :func:`store.record_folder`.

    Raises:
        UserError: a folder of other files, or one that cannot be written to.
    """
    require_place(out)
    name = f"{in_a_path(prepared.device)}-{prepared.options.host}-accuracy"
    return store.record_folder(evaluation.FILE, out, name)


def evaluate(prepared: Prepared, progress: Progress) -> Evaluation:
    """Read every image once to check that it can be read, then compute the answers.

    Raises:
        UserError: an image that cannot be read, answers that are not finite numbers, or a network
            that the device cannot run.
    """
    options, folder = prepared.options, prepared.folder
    devices.select(prepared.device)
    process_settings.settle_arithmetic(prepared.threads)
    preprocessing = images.preprocessing(options.image_size)
    folder.transform = images.transform(preprocessing)
    data = _checked(prepared, progress)
    calibrated: Calibration | None = None
    batches: list[torch.Tensor] = []
    if options.calibrate is not None:
        calibrated, batches = runtime_images.batches(
            options.calibrate, folder.transform, options.batch_size
        )
    forward = _Forward(prepared, batches)
    top1, tied, top5 = _counted(prepared, forward, progress)
    return Evaluation(
        host=options.host,
        module=options.module,
        source=prepared.source,
        weights=prepared.weights,
        data=data,
        classes=folder.network_classes,
        images=len(folder),
        top1_right=top1,
        top1_tied=tied,
        top5_right=top5,
        preprocessing=preprocessing,
        dtype=options.dtype,  # type: ignore[arg-type]  # the option has been checked
        device=prepared.device,
        channels_last=options.channels_last,
        batch_size=options.batch_size,
        threads=prepared.threads,
        environment=facts(prepared.device) | forward.facts,
        runtime=options.runtime,  # type: ignore[arg-type]  # the option has been checked
        relative_error=forward.relative_error,
        calibration=calibrated,
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _checked(prepared: Prepared, progress: Progress) -> Data:
    digests: list[str] = []
    progress("reading", 0)
    with _batches(prepared, prepared.folder.samples, images.checked) as batches:
        for batch in batches:
            for digest, fault in batch:
                if fault:
                    raise UserError(fault)
                digests.append(digest)
            progress("reading", len(digests))
    return images.described(prepared.folder, digests)


class _Forward:
    """The network as it is asked for, from images in float32 on the CPU to logits in float32."""

    def __init__(self, prepared: Prepared, calibration: Sequence[torch.Tensor]) -> None:
        options = prepared.options
        self._prepared, self._calibration = prepared, calibration
        self._call: Callable[[torch.Tensor], torch.Tensor] | None = None
        self.relative_error: float | None = None
        self.facts: Environment = {}
        if TABLE[options.runtime].exports:
            self.facts = versions(options.runtime)
            return
        layout = torch.channels_last if options.channels_last else torch.contiguous_format
        kind: Any = {"device": prepared.device, "dtype": getattr(torch, options.dtype)}
        network = prepared.network.to(**kind, memory_format=layout)
        self._call = lambda images: network(images.to(**kind, memory_format=layout)).float()

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if self._call is None:  # a file is exported for the first batch, whose shape it has
            options = self._prepared.options
            settings = Settings(self._prepared.threads, options.dtype)
            batch = runtime_images.filled(images, options.batch_size)
            made = executed.execute(
                self._prepared.network, batch, options.runtime, settings, self._calibration
            )
            self._call, self.relative_error = made.call, made.relative_error
            self.facts |= made.facts
        return self._call(images)


def _counted(prepared: Prepared, forward: _Forward, progress: Progress) -> tuple[int, int, int]:
    """Return how many are right in the top 1, tied there, and right in the top 5."""
    options, device = prepared.options, prepared.device
    counts, done = (0, 0, 0), 0
    progress("evaluating", 0)
    with _batches(prepared, prepared.folder) as batches, torch.inference_mode():
        for batch, labels in batches:
            logits = forward(batch)
            if not logits.isfinite().all():
                raise UserError(
                    f"{prepared.weights.name} gives logits that are not finite numbers, in "
                    f"{options.dtype} on {device}"
                )
            of_batch = images.right(logits, labels.to(device))
            counts = tuple(map(sum, zip(counts, of_batch, strict=True)))  # type: ignore[assignment]
            done += len(labels)
            progress("evaluating", done)
    return counts


@contextmanager
def _batches(prepared: Prepared, data: Any, collate: Any = None) -> Iterator[Any]:
    """Read batches in the dataset's order; turn errors of torch into one line."""
    size, workers = prepared.options.batch_size, prepared.workers
    try:
        yield DataLoader(data, batch_size=size, num_workers=workers, collate_fn=collate)
    except (OSError, RuntimeError) as error:  # out of memory, a killed worker, a lost disk
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # The error of a worker comes with its traceback.
        reason = lines[-1] if "Traceback" in str(error) else lines[0]
        raise UserError(f"the evaluation failed: {reason}") from error


def facts(device: str) -> Environment:
    """Describe machine and software, and the image decoders, whose pixels differ by version."""
    facts = environment.describe(device)
    for name in process_settings.OF_TIMING:
        facts.pop(name, None)
    return facts | {
        "pillow": PIL.__version__,
        "libjpeg_turbo": PIL.features.version("libjpeg_turbo"),
        "libjpeg": PIL.features.version("jpg"),
    }
