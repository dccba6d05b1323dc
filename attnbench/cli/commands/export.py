"""``attnbench export``: keep the file that a runtime executes, with what is known of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from attnbench import formatting, temporary
from attnbench.cli import options, output
from attnbench.cli.options import OF_WEIGHTS, ImportRoot, Timeout, choice, option, stated
from attnbench.errors import UserError
from attnbench.files import require_folder
from attnbench.records.case import EXPORTED, RUNTIMES, UNTRIED, RunOptions
from attnbench.records.variants import PLAIN
from attnbench.runtimes.table import TABLE


def export(  # noqa: PLR0913, PLR0917  an option each
    runtime: Annotated[str, option("NAME", f"{', '.join(EXPORTED)}. {UNTRIED}")],
    out: Annotated[Path, option("FILE", "The file; FILE.json beside it says what is known of it.")],
    module: Annotated[
        str | None, option("SPEC", "A module, as --module of run.", "the plain host")
    ] = None,
    import_root: ImportRoot = None,
    host: Annotated[str | None, stated("host")] = None,
    batch_size: Annotated[int | None, option("N", "Images in one step.", "1")] = None,
    image_size: Annotated[
        str | None,
        option("N|HxW", "A square's side, or height x width.", "the host's own, such as 224"),
    ] = None,
    dtype: Annotated[str, option("NAME", ", ".join(OF_WEIGHTS))] = "float32",
    calibrate: Annotated[Path | None, stated("calibration")] = None,
    stages: Annotated[str | None, stated("stages")] = None,
    blocks: Annotated[str | None, stated("blocks")] = None,
    threads: Annotated[int | None, stated("threads")] = None,
    seed: Annotated[int | None, stated("seed")] = None,
    timeout: Timeout = None,
) -> int:
    """Export a network to the file that a runtime executes, and compare it with eager PyTorch.

    The file is ONNX, which ONNX Runtime and OpenVINO read, or TensorRT's engine. Exit status 1
    where the network cannot be exported, or the runtime computes something else: then there is no
    file.
    """
    from attnbench.measuring.options.check import check
    from attnbench.measuring.options.values import cleaned

    name = choice(runtime, "--runtime", EXPORTED)
    device = TABLE[name].devices[0]
    sizes = options.image_sizes(image_size, "--image-size")
    named = options.imported_from(None if module is None else [module], import_root)
    wanted = RunOptions(
        modules=None if named is None else tuple(named),
        host=host,
        device=device,
        batch_size=None if batch_size is None else (batch_size,),
        image_size=sizes,
        dtype=(choice(dtype, "--dtype", OF_WEIGHTS),),
        runtime=(name,),
        calibration=None if calibrate is None else str(calibrate),
        stages=options.stages(stages),
        blocks=blocks,
        threads=threads,
        seed=seed,
    )
    check(wanted, None)
    if sizes is not None and len(sizes) > 1:
        raise UserError("--image-size: a file has one size")
    _require_place(out)
    variant = PLAIN if module is None else (cleaned(wanted).modules or (PLAIN,))[0]

    from attnbench.files import write_whole
    from attnbench.measuring import planning  # and torch
    from attnbench.measuring.steps import apart
    from attnbench.system import environment, worker
    from attnbench.text import error_line

    with worker.time_limit(timeout), temporary.folder() as folder:
        known = planning.outline(wanted, None)
        if module is not None and variant in known.left_out:
            raise UserError(known.left_out[variant])
        run = known.runs[0]
        run.exports, run.images = folder, calibrate
        try:
            made = apart.export_apart(run, variant)
        except UserError:
            raise
        except Exception as error:
            output.complain(f"{variant} was not exported: {error_line(error)}")
            return 1
        write_whole(out, (run.exports / made.file).read_bytes())
    facts = {"case": asdict(run.case), "variant": variant, "sources": run.plan.sources}
    facts |= {"export": asdict(made), "environment": environment.describe(device)}
    write_whole(_beside(out), (output.json_text(facts) + "\n").encode())
    console = output.console()
    console.print(f"{variant} in {run.case.described}: {out}, {made.bytes:,} bytes")
    console.print(f"SHA-256 {made.sha256}")
    console.print(
        f"{RUNTIMES[name]} executes {sum(made.operators.values())} operators. Largest difference "
        f"to eager PyTorch: {formatting.error(made.relative_error)} of the largest output; "
        f"{formatting.error(made.bound)} is allowed."
    )
    return 0


def _beside(out: Path) -> Path:
    return out.with_name(f"{out.name}.json")


def _require_place(out: Path) -> None:
    if out.is_dir():
        raise UserError(f"--out {out} is a folder; name a file")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {out}: there is no folder {out.parent}")
    require_folder(out.parent)
