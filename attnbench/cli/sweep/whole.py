"""The report of a whole sweep: tables by machine, and one page without the plots of each run."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def report(folder: Path, console: Console) -> None:
    """Print the tables of what is finished, and write the files of the whole.

    Raises:
        UserError: records that cannot be read, or a folder that cannot be written to.
    """
    from attnbench.cli.answers.report import print_tables
    from attnbench.report.load import load
    from attnbench.report.machines.tables import tables
    from attnbench.report.tables.grid import grid, turned
    from attnbench.report.tables.run import tables as at_a_glance
    from attnbench.report.write import write_joint

    loaded = load(folder)
    together = {name: known for name, known in loaded.pooled.items() if not known.run.case.isolated}
    if len(together) == 1:
        (known,) = together.values()
        print_tables(at_a_glance(known)[:1], (), console)
    elif together:
        print_tables(tables(together) or [turned(grid(together))], (), console)
    none_of_each = dict.fromkeys(loaded.named, ())
    write_joint(loaded.named, folder, loaded.evaluations, none_of_each, loaded.pooled)
    console.print(
        f"Tables, plots and report.html of the whole are in {folder}; attnbench report {folder} "
        "adds those of each run"
    )
