"""``attnbench evaluate``: accuracy of given weights on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attnbench.cli import options, output
from attnbench.cli.options import OF_WEIGHTS, NoWait, ShareUntimed, Timeout, option, stated
from attnbench.records.evaluation import PUBLISHED_SIZE
from attnbench.system import machine_lock, worker


def evaluate(  # noqa: PLR0913, PLR0917  an option each
    weights: Annotated[Path, option("FILE", "Checkpoint; code in it is never run.")],
    data: Annotated[
        Path, option("DIR", "A folder of images for each class; of a detector, of its images.")
    ],
    annotations: Annotated[
        Path | None,
        option("FILE", "With a detector: the images' boxes and masks in COCO's format."),
    ] = None,
    module: Annotated[
        str | None,
        option(
            "NAME", "A name, or a SPEC as --module of run, whose code is run.", "the plain host"
        ),
    ] = None,
    import_root: options.ImportRoot = None,
    host: Annotated[
        str,
        option(
            "NAME",
            "A ResNet or ResNeXt of torchvision, sknet50 or sknet101; with --annotations a "
            "fasterrcnn_, maskrcnn_ or retinanet_ host.",
        ),
    ] = "resnet50",
    key: Annotated[
        str | None,
        option("NAME", "The name of the weights in FILE, such as state_dict_ema.", "usual ones"),
    ] = None,
    prefix: Annotated[
        str | None,
        option("TEXT", "Take only the names that begin with TEXT, and remove it.", "usual ones"),
    ] = None,
    device: options.DeviceName = "auto",
    batch_size: Annotated[int, option("N", "Images in one step.")] = 32,
    image_size: Annotated[
        int | None,
        option(
            "N",
            "Side of the centre crop, after resizing in proportion; of a detector's images the "
            "shorter side.",
            "224; 800 for detectors",
        ),
    ] = None,
    dtype: Annotated[str, option("NAME", ", ".join(OF_WEIGHTS))] = "float32",
    runtime: Annotated[str, option("NAME", "eager, onnxruntime, openvino")] = "eager",
    calibrate: Annotated[
        Path | None, option("DIR", "Images that --dtype int8 takes its ranges from.")
    ] = None,
    channels_last: Annotated[bool, stated("channels_last")] = False,
    threads: Annotated[int | None, stated("threads")] = None,
    workers: Annotated[
        int | None, option("N", "Processes that read images.", "0; up to 8 on CUDA")
    ] = None,
    timeout: Timeout = None,
    no_wait: NoWait = False,
    share: ShareUntimed = False,
    out: Annotated[
        Path | None,
        option("DIR", "Folder for the record; may be that of a run.", "a new one under reports/"),
    ] = None,
) -> int:
    """Measure top-1 and top-5 of given weights on a folder of images, beside published ones.

    With --annotations: the average precision of a detector's boxes and masks.
    """
    from attnbench.accuracy.options import EvaluationOptions, checked, require_place
    from attnbench.cli import detection
    from attnbench.detection import options as detection_options

    if_busy = options.if_busy(no_wait=no_wait, share=share) or "wait"
    detects = annotations is not None
    named = options.imported_from(None if module is None else [module], import_root)
    usual_size = detection_options.SHORTER if detects else PUBLISHED_SIZE
    check = detection_options.checked if detects else checked
    stated_options = check(
        EvaluationOptions(
            weights=weights,
            data=data,
            module=None if named is None else named[0],
            host=host,
            key=key,
            prefix=prefix,
            device=options.device(device),
            dtype=options.choice(dtype, "--dtype", OF_WEIGHTS),
            runtime=runtime,
            calibrate=calibrate,
            channels_last=channels_last,
            batch_size=batch_size,
            image_size=usual_size if image_size is None else image_size,
            threads=threads,
            workers=workers,
            annotations=annotations,
        )
    )
    if detects:
        return detection.evaluate(stated_options, timeout, out, if_busy)
    require_place(out)

    from attnbench.accuracy.evaluate import evaluate as count_answers  # and torch
    from attnbench.accuracy.evaluate import prepare, record_folder
    from attnbench.cli.answers.report import print_tables, write
    from attnbench.records import evaluation
    from attnbench.report.load import load
    from attnbench.report.tables import accuracy
    from attnbench.system import environment

    prepared = worker.time_limit(timeout)(prepare)(stated_options)
    console = output.console()
    try:
        names = environment.lock_names_apart([prepared.device])
        with (
            machine_lock.alone(*names, work="evaluates", if_busy=if_busy),
            record_folder(prepared, out) as folder,
        ):
            console.print(f"{prepared.described}; record in {folder}")
            with output.images_bar(len(prepared.folder), console) as progress:
                result = count_answers(prepared, progress)
            evaluation.append(folder, result)
    except KeyboardInterrupt:
        output.complain("interrupted; nothing was written")
        return 130
    print_tables(accuracy.tables([result]), accuracy.notes([result]), console)
    write(load(folder), folder, console)
    return 0
