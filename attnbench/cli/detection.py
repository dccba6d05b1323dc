"""``attnbench evaluate --annotations``: the precision of a detector, shown and recorded."""

from __future__ import annotations

from pathlib import Path

from attnbench.accuracy.options import EvaluationOptions
from attnbench.cli import output
from attnbench.errors import UserError
from attnbench.files import require_folder
from attnbench.records import precision, store
from attnbench.records.device import in_a_path
from attnbench.system import machine_lock, worker
from attnbench.system.machine_lock import IfBusy


def evaluate(
    options: EvaluationOptions, timeout: float | None, out: Path | None, if_busy: IfBusy = "wait"
) -> int:
    """Evaluate a detector; ``options`` are checked."""
    if out and store.has_files(out) and not (precision.exist(out) or store.runs_in(out)):
        raise UserError(f"{out} holds other files, no run and no precisions; choose another --out")
    require_folder(out or Path("reports"))

    from attnbench.cli.answers.report import print_precisions, write
    from attnbench.detection.evaluate import evaluate as compute  # and torch
    from attnbench.detection.evaluate import prepare
    from attnbench.report.load import load
    from attnbench.system import environment

    prepared = worker.time_limit(timeout)(prepare)(options)
    console = output.console()
    name = f"{in_a_path(prepared.device)}-{options.host}-precision"
    try:
        names = environment.lock_names_apart([prepared.device])
        with (
            machine_lock.alone(*names, work="evaluates", if_busy=if_busy),
            store.record_folder(precision.FILE, out, name) as folder,
        ):
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
