"""``attnbench evaluate --annotations``: the precision of a detector, shown and recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attnbench.accuracy.options import EvaluationOptions
from attnbench.cli import output
from attnbench.errors import UserError
from attnbench.records import precision, store
from attnbench.system import worker


def evaluate(options: EvaluationOptions, timeout: float | None, out: Path | None) -> int:
    """Evaluate a detector; ``options`` are checked."""
    if out and store.has_files(out) and not (precision.exist(out) or store.runs_in(out)):
        raise UserError(f"{out} holds other files, no run and no precisions; choose another --out")

    from attnbench.cli.answers.report import print_precisions, write
    from attnbench.detection.evaluate import evaluate as compute  # and torch
    from attnbench.detection.evaluate import prepare
    from attnbench.report.load import load

    prepared = worker.time_limit(timeout)(prepare)(options)
    console = output.console()
    try:
        with _place(out, f"{prepared.device}-{options.host}-precision") as folder:
            console.print(f"{prepared.described}; record in {folder}")
            with output.images_bar(len(prepared.images), console) as progress:
                result = compute(prepared, progress)
            precision.append(folder, result)
    except KeyboardInterrupt:
        output.complain("interrupted; nothing was written")
        return 130
    print_precisions([result], console)
    write(load(folder), folder, console)
    return 0


@contextmanager
def _place(out: Path | None, name: str) -> Iterator[Path]:
    """Make the folder for the record before anything is computed; a new one under ``reports/``.

    If the body raises, remove what was made here and is still empty.
    """
    folder = out or store.new_folder(name)
    made = [folder] if out is None else [p for p in (out, *out.parents) if not p.exists()]
    try:
        precision.begin(folder)
        yield folder
    except BaseException:
        file = folder / precision.FILE_NAME
        with suppress(OSError):
            if file.stat().st_size == 0:
                file.unlink()
            for path in made:
                path.rmdir()  # raises if it is not empty
        raise
