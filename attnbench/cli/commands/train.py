"""``attnbench train``: whether modules help, on the user's own data, at equal training."""

from __future__ import annotations

import os
import shlex
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attnbench.cli import options, output
from attnbench.cli.interrupts import INTERRUPTS
from attnbench.cli.options import (
    CustomModules,
    ImportRoot,
    NoWait,
    ShareUntimed,
    Timeout,
    option,
    stated,
)
from attnbench.cli.training_progress import TrainingProgress
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.records.trainings.schema import AMP
from attnbench.system import worker

if TYPE_CHECKING:
    from attnbench.records.trainings.recipe import Recipe
    from attnbench.training.options import TrainOptions


def train(  # noqa: PLR0913, PLR0917  one parameter an option
    data: Annotated[
        str,
        option(
            "DIR",
            "A folder with train/ and val/, in each a folder of images a class; the word digits: "
            "1,797 handwritten digits that scikit-learn ships; for detectors a folder with COCO's "
            "files, or that of the images of --annotations.",
        ),
    ],
    annotations: Annotated[
        Path | None, option("FILE", "COCO-format annotations of the images to train on.")
    ] = None,
    val_data: Annotated[Path | None, option("DIR", "The images to test a detector on.")] = None,
    val_annotations: Annotated[
        Path | None, option("FILE", "COCO-format annotations of the images to test on.")
    ] = None,
    modules: Annotated[
        str | None,
        option("NAME,...", "Modules of the suite, with commas.", "all seven; none with --module"),
    ] = None,
    module: CustomModules = None,
    import_root: ImportRoot = None,
    host: Annotated[
        str | None,
        option(
            "NAME",
            "Any classifier that run takes, or a fasterrcnn_, maskrcnn_ or retinanet_ detector.",
            "resnet50",
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        option(
            "[MODULE=]FILE",
            "Pretrained weights of a detector's backbone: of the plain host, or of that with the "
            "module. May be repeated.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        option(
            "NAME",
            "How to train: as published, or for small data; see docs/training.md.",
            "short; short-detector",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        option(
            "FIELD=VALUE",
            "Another value of a field of the recipe, such as epochs=20. May be repeated.",
            None,
            "--set",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        option("N", "Trainings of each network; more may be asked for later.", "3"),
    ] = None,
    seed: Annotated[int | None, option("N", "The first seed; the others follow it.", "0")] = None,
    last: Annotated[
        int | None,
        option("K", "The figure is the mean over the last K epochs, never the best one.", "1"),
    ] = None,
    capacity_control: Annotated[
        bool | None,
        option(
            None,
            "Train also the plain host, widened until it is as slow as the slowest module.",
            "off",
            "--capacity-control",
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        option(
            "N",
            "Side of the images, in pixels; of a detector's the shorter one.",
            "that of the host; 32 for digits",
        ),
    ] = None,
    stages: Annotated[str | None, stated("stages")] = None,
    blocks: Annotated[str | None, stated("blocks")] = None,
    at: Annotated[str | None, stated("at")] = None,
    replace: Annotated[str | None, stated("replace")] = None,
    device: options.DeviceName = "auto",
    amp: Annotated[
        str | None,
        option("NAME", f"Mixed precision by autocast: {', '.join(AMP)}.", "float32: none"),
    ] = None,
    channels_last: Annotated[bool | None, stated("channels_last")] = None,
    threads: Annotated[int | None, stated("threads")] = None,
    workers: Annotated[
        int | None, option("N", "Processes that read images.", "0; up to 8 on CUDA")
    ] = None,
    deterministic: Annotated[
        bool | None,
        option(
            None,
            "Deterministic algorithms alone: on one machine the same weights bit for bit.",
            "off",
            "--deterministic",
        ),
    ] = None,
    save_minutes: Annotated[
        float | None,
        option("MINUTES", "Most time between two checkpoints within an epoch.", "10"),
    ] = None,
    timeout: Timeout = None,
    no_wait: NoWait = False,
    share: ShareUntimed = False,
    out: Annotated[
        Path | None,
        option(
            "DIR",
            "Folder of the trainings; may be that of a run. Unfinished ones in it are resumed.",
            "a new one under reports/",
        ),
    ] = None,
) -> int:
    """Train the plain host and each module under one recipe, paired by seed, with a control.

    Under torchrun the processes share each batch.
    """
    from attnbench.training.options import TrainOptions, checked

    module = options.imported_from(module, import_root)
    stated_options = TrainOptions(
        data=data,
        annotations=annotations,
        val_data=val_data,
        val_annotations=val_annotations,
        backbones=tuple(backbone or ()),
        modules=options.modules(modules, module),
        host=host,
        recipe=recipe,
        changes=tuple(set_ or ()),
        seeds=seeds,
        seed=seed,
        last=last,
        image_size=image_size,
        stages=options.stages(stages),
        blocks=blocks,
        at=at,
        replace=replace,
        device=options.device(device),
        amp=None if amp is None else options.choice(amp, "--amp", AMP),
        channels_last=channels_last,
        threads=threads,
        workers=workers,
        deterministic=deterministic,
        capacity_control=capacity_control,
        save_minutes=save_minutes,
        if_busy=options.if_busy(no_wait=no_wait, share=share),
    )
    quiet = int(os.environ.get("RANK", "0")) > 0  # the first process of torchrun tells
    try:
        filled, chosen = checked(stated_options, out)
    except (UserError, SettingsError):
        if quiet:
            return 2
        raise
    if out is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("several processes need --out, the folder that the first one writes to")
    with worker.time_limit(timeout):
        return _train(filled, chosen, out, options.named(modules, module), quiet=quiet)


def _train(
    filled: TrainOptions, recipe: Recipe, out: Path | None, named: Set[str], *, quiet: bool
) -> int:
    """Train, showing what happens; modules that the user has named must not be left out."""
    from attnbench.cli.answers.report import print_trainings, write
    from attnbench.report.load import load
    from attnbench.training import runner  # and torch
    from attnbench.training.setup.turn import NotHereError

    console = output.console()
    listener = TrainingProgress(console, quiet=quiet)
    try:
        with INTERRUPTS.deferred() as listener.stop, listener:
            trained = runner.run(filled, recipe, out, listener)
    except KeyboardInterrupt:
        if quiet:
            return 130
        if listener.folder is None:
            raise  # nothing has begun that could be resumed
        output.complain(f"interrupted; resume with: {_again(filled, listener.folder)}")
        return 130
    except NotHereError:
        return 2
    if quiet:
        return 0
    loaded = load(trained.folder)
    print_trainings(loaded, console)
    write(loaded, trained.folder, console)
    failures = list(listener.failures(trained.trainings))
    output.complain(*failures)
    refused = trained.trainings.training.left_out.keys() & named
    return 1 if failures or refused else 0


def _again(options: TrainOptions, folder: Path) -> str:
    """Return the command that goes on: what the folder does not say, and the folder."""
    words = [*_started_by(), "attnbench", "train", "--data", options.data]
    for flag, path in (
        ("--annotations", options.annotations),
        ("--val-data", options.val_data),
        ("--val-annotations", options.val_annotations),
    ):
        words += [] if path is None else [flag, str(path)]
    for file in options.backbones:
        words += ["--backbone", file]
    words += ["--share"] if options.if_busy == "share" else []
    return shlex.join([*words, "--out", str(folder)])


def _started_by() -> list[str]:
    """Return the words of torchrun before those of the command, where it has started this process.

    Of one machine; of several each needs its own, and the command's are the same.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return []
    processes = os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"])
    nodes = int(os.environ["WORLD_SIZE"]) // int(processes)
    more = [] if nodes == 1 else ["--nnodes", str(nodes), "..."]
    return ["torchrun", "--nproc-per-node", processes, *more, "-m"]
