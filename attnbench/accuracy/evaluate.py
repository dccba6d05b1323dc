"""How often given weights are right on a folder of images: prepared, then computed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import PIL.features
import torch
from torch import nn
from torch.utils.data import DataLoader

from attnbench.accuracy import images
from attnbench.accuracy.checkpoints import classes_of, load_authors_state_dict, read_weights
from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.build import HOSTS, TOTAL_STRIDE, build
from attnbench.modules import AttentionSpec, SettingsError
from attnbench.plugins import resolve
from attnbench.records import evaluation, store
from attnbench.records.case import LIMITS
from attnbench.records.evaluation import Data, Evaluation, Weights
from attnbench.records.schema import Environment
from attnbench.records.store import new_folder
from attnbench.records.variants import PLAIN
from attnbench.system import environment, process_settings

MOST_WORKERS = 8
"""Processes that read images where none were asked for and the network is on a GPU."""

Told = Callable[[str, int], None]
"""Is told what goes on and how many images are done."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The options of ``evaluate``; None where the user left one out."""

    weights: Path
    data: Path
    module: str | None = None
    host: str = "resnet50"
    device: str | None = None
    dtype: str = "float32"
    channels_last: bool = False
    batch_size: int = 32
    image_size: int = 224
    threads: int | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Prepared:
    """A network with its weights, and the images: everything but the answers."""

    network: nn.Module
    weights: Weights
    folder: images.Folder
    classes: int
    module: str | None
    source: str | None
    wanted: EvaluationOptions
    device: Literal["cpu", "cuda"]
    threads: int
    workers: int

    @property
    def described(self) -> str:
        """What is evaluated on what, in one line."""
        others = self.folder.others
        aside = f"; {others} files that are no images are left aside" if others else ""
        return (
            f"{self.module or PLAIN} in {self.wanted.host} with {self.weights.name}; "
            f"{len(self.folder):,} images in {len(self.folder.classes):,} class folders{aside}"
        )


def prepare(wanted: EvaluationOptions) -> Prepared:
    """Read the weights, build their network and find the images.

    Raises:
        UserError: an option that cannot be, weights that cannot be read or do not fit, a folder
            that does not hold the network's classes.
        SettingsError: a module or host that is not known or does not fit.
    """
    if wanted.host not in HOSTS:
        raise SettingsError(f"no classifier '{wanted.host}' is known; known: {', '.join(HOSTS)}")
    cuda = wanted.device == "cuda" or (wanted.device is None and torch.cuda.is_available())
    device: Literal["cpu", "cuda"] = "cuda" if cuda else "cpu"
    workers = wanted.workers
    if workers is None:
        workers = min(MOST_WORKERS, torch.get_num_threads()) if cuda else 0
    _check(wanted, device, workers)
    attention = None if wanted.module is None else _module(wanted.module, wanted)
    state_dict = read_weights(wanted.weights)
    try:
        classes = classes_of(state_dict)
        with redirect_stdout(sys.stderr):  # what the module's code prints is no answer
            network = build(wanted.host, attention, classes=classes)
        load_authors_state_dict(network, state_dict)
    except (UserError, RuntimeError) as error:  # torch's: sparse tensors, or such without values
        raise UserError(f"{wanted.weights}: {error}") from error
    return Prepared(
        network=network.eval(),
        weights=Weights(name=wanted.weights.name, sha256=_digest(wanted.weights)),
        folder=images.Folder(wanted.data, classes),
        classes=classes,
        module=wanted.module,
        source=resolve.origins(filter(None, [wanted.module])).get(wanted.module or PLAIN),
        wanted=wanted,
        device=device,
        threads=wanted.threads or torch.get_num_threads(),
        workers=workers,
    )


@contextmanager
def place(prepared: Prepared, out: Path | None) -> Iterator[Path]:
    """The folder for the record, tried before anything is computed; a new one under ``reports/``.

    Where the body raises, whatever was made here and is still empty is taken away again.

    Raises:
        UserError: a folder of other things, or one that cannot be written to.
    """
    if out is not None and _foreign(out):
        raise UserError(f"{out} holds other files, no run and no evaluations; choose another --out")
    folder = out or new_folder(f"{prepared.device}-{prepared.wanted.host}-accuracy")
    made = [folder] if out is None else [p for p in (out, *out.parents) if not p.exists()]
    try:
        evaluation.begin(folder)
        yield folder
    except BaseException:
        _take_back(folder / evaluation.FILE_NAME, made)
        raise


def _take_back(file: Path, folders: Sequence[Path]) -> None:
    with suppress(OSError):
        if file.stat().st_size == 0:
            file.unlink()
        for each in folders:
            each.rmdir()  # raises where somebody has put something there


def _foreign(folder: Path) -> bool:
    """Whether there are files, and neither evaluations nor runs."""
    try:
        empty = not folder.is_dir() or not any(folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error
    return not (empty or evaluation.exist(folder) or store.runs_in(folder))


def evaluate(prepared: Prepared, told: Told) -> Evaluation:
    """Read every image once to see that all can be read, then compute the answers.

    Raises:
        UserError: an image that cannot be read, answers that are not finite numbers, or a network
            that the device cannot run.
    """
    wanted, folder = prepared.wanted, prepared.folder
    process_settings.settle_arithmetic(prepared.threads)
    how = images.preprocessing(wanted.image_size)
    folder.transform = images.transform(how)
    data = _checked(prepared, told)
    top1, tied, top5 = _counted(prepared, told)
    return Evaluation(
        host=wanted.host,
        module=prepared.module,
        source=prepared.source,
        weights=prepared.weights,
        data=data,
        classes=prepared.classes,
        images=len(folder),
        top1_right=top1,
        top1_tied=tied,
        top5_right=top5,
        preprocessing=how,
        dtype=wanted.dtype,  # type: ignore[arg-type]  # the option has been checked
        device=prepared.device,
        channels_last=wanted.channels_last,
        batch_size=wanted.batch_size,
        threads=prepared.threads,
        environment=_facts(prepared.device),
    )


def _check(wanted: EvaluationOptions, device: str, workers: int) -> None:
    for option, value, limits in (
        ("batch_size", wanted.batch_size, LIMITS["batch_size"]),
        ("image_size", wanted.image_size, (TOTAL_STRIDE, LIMITS["image_size"][1])),
        ("threads", 1 if wanted.threads is None else wanted.threads, LIMITS["threads"]),
        ("workers", workers, (0, LIMITS["threads"][1])),
    ):
        least, most = limits
        if not least <= value <= most:
            raise UserError(f"{option} must be at least {least} and at most {most}, not {value}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is available to torch; use --device cpu")


def _module(name: str, wanted: EvaluationOptions) -> AttentionSpec:
    """The module of that name; one that nobody here has seen is tried first."""
    resolve.require_known(name)
    if resolve.is_custom(name):
        image = (1, 3, wanted.image_size, wanted.image_size)
        check_module.check_in_subprocess(name, wanted.host, [image])
    return resolve.lookup(name)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _checked(prepared: Prepared, told: Told) -> Data:
    digests: list[str] = []
    told("reading", 0)
    with _read(prepared, images.Checked(prepared.folder)) as batches:
        for found, faults in batches:
            for fault in filter(None, faults):
                raise UserError(fault)
            digests += found
            told("reading", len(digests))
    return images.described(prepared.folder, digests)


def _counted(prepared: Prepared, told: Told) -> tuple[int, int, int]:
    """Right in the top 1, tied there, right in the top 5."""
    wanted, device = prepared.wanted, prepared.device
    layout = torch.channels_last if wanted.channels_last else torch.contiguous_format
    kind: dict[str, Any] = {
        "device": device,
        "dtype": getattr(torch, wanted.dtype),
        "memory_format": layout,
    }
    counts, done = (0, 0, 0), 0
    told("evaluating", 0)
    with _read(prepared, prepared.folder) as batches, torch.inference_mode():
        network = prepared.network.to(**kind)
        for batch, labels in batches:
            logits = network(batch.to(**kind)).float()
            if not logits.isfinite().all():
                raise UserError(
                    f"{prepared.weights.name} gives answers that are not finite numbers, in "
                    f"{wanted.dtype} on {device}"
                )
            found = images.right(logits, labels.to(device))
            counts = tuple(map(sum, zip(counts, found, strict=True)))  # type: ignore[assignment]
            done += len(labels)
            told("evaluating", done)
    return counts


@contextmanager
def _read(prepared: Prepared, what: Any) -> Iterator[Any]:
    """Batches in the dataset's order; what torch cannot do with them is one line."""
    try:
        yield DataLoader(what, batch_size=prepared.wanted.batch_size, num_workers=prepared.workers)
    except (OSError, RuntimeError) as error:  # no memory, a worker that was killed, a lost disk
        lines = str(error).strip().splitlines() or [type(error).__name__]
        said = lines[-1] if "Traceback" in str(error) else lines[0]  # a worker's comes with its own
        raise UserError(f"the evaluation failed: {said}") from error


def _facts(device: str) -> Environment:
    """Machine and software, with what decodes images: their pixels are not the same by all."""
    known = environment.describe(device)
    decoders: Environment = {
        "pillow": PIL.__version__,
        "libjpeg_turbo": PIL.features.version("libjpeg_turbo"),
        "libjpeg": PIL.features.version("jpg"),
    }
    return {
        key: value for key, value in known.items() if key not in process_settings.OF_TIMING
    } | decoders
