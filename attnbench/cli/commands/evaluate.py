"""``attnbench evaluate``: accuracy of given weights on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from attnbench.cli import options, output
from attnbench.cli.options import DTYPES, Device, Timeout, option, stated
from attnbench.records.case import OPTIONS
from attnbench.system import worker


def evaluate(  # noqa: PLR0913, PLR0917  an option each
    weights: Annotated[Path, option("FILE", "Checkpoint; code in it is never run.")],
    data: Annotated[Path, option("DIR", "A folder of images for each class.")],
    module: Annotated[
        str | None,
        option("NAME", "A name, or a SPEC (see run): its code is run.", "none: the plain host"),
    ] = None,
    host: Annotated[
        str, option(None, "A ResNet or ResNeXt of torchvision, sknet50 or sknet101.")
    ] = "resnet50",
    key: Annotated[
        str | None, option("NAME", "Of the weights in FILE, such as state_dict_ema.", "known ones")
    ] = None,
    prefix: Annotated[
        str | None, option("TEXT", "Only names that begin so, without it.", "known ones")
    ] = None,
    device: Annotated[Device, option(None, OPTIONS["device"].help)] = Device.AUTO,
    batch_size: Annotated[int, option("N", "Images in one step.")] = 32,
    image_size: Annotated[
        int, option("N", "Side of the centre crop, after resizing in proportion.")
    ] = 224,
    dtype: Annotated[str, option("NAME", ", ".join(DTYPES))] = "float32",
    runtime: Annotated[str, option("NAME", "eager, onnxruntime, openvino")] = "eager",
    calibrate: Annotated[
        Path | None, option("DIR", "Images that --dtype int8 takes its ranges from.")
    ] = None,
    channels_last: Annotated[bool, stated("channels_last")] = False,
    threads: Annotated[int | None, stated("threads")] = None,
    workers: Annotated[
        int | None, option(None, "Processes that read images.", "0; up to 8 on CUDA")
    ] = None,
    timeout: Timeout = None,
    out: Annotated[
        Path | None,
        option("DIR", "Folder for the record; may be that of a run.", "a new one under reports/"),
    ] = None,
) -> int:
    """Measure top-1 and top-5 of given weights on a folder of images, beside published ones."""
    from attnbench.accuracy.options import EvaluationOptions, checked, require_place

    stated_options = checked(
        EvaluationOptions(
            weights=weights,
            data=data,
            module=module,
            host=host,
            key=key,
            prefix=prefix,
            device=None if device is Device.AUTO else device.value,
            dtype=options.choice(dtype, "--dtype", DTYPES),
            runtime=runtime,
            calibrate=calibrate,
            channels_last=channels_last,
            batch_size=batch_size,
            image_size=image_size,
            threads=threads,
            workers=workers,
        )
    )
    require_place(out)

    from attnbench.accuracy.evaluate import evaluate as count_answers  # and torch
    from attnbench.accuracy.evaluate import prepare, record_folder
    from attnbench.cli.commands.report import print_tables, write
    from attnbench.records import evaluation
    from attnbench.report.load import load
    from attnbench.report.tables import accuracy

    prepared = worker.time_limit(timeout)(prepare)(stated_options)
    console = output.console()
    try:
        with record_folder(prepared, out) as folder:
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
