"""The runs of folders as sides of a comparison. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.device import kind_of
from attnbench.records.run import Run
from attnbench.records.run import read as read_run
from attnbench.stats.replicates import (
    Replicates,
    began,
    configuration,
    differences,
    originals,
    other_code,
)
from attnbench.text import has_words, printable

_NO_MODEL = re.compile(r"@.*|version.*|x86_64|i[3-6]86|amd64|arm\w*|aarch64", re.IGNORECASE)
"""The digits in a CPU's name that are no model number: a frequency, an architecture."""


def read(folder: Path, on: str | None = None) -> tuple[list[Replicates], list[str]]:
    """Read the runs in a folder, or the folder's own, grouped by configuration.

    ``on`` chooses those of machines with such words in the name of their GPU or CPU.

    Isolated runs among them have no overhead, and those whose control fails tell nothing beside
    others. They are left out; the sentences returned say so.

    Raises:
        UserError: no runs in a host or on such a machine, or one configuration on two machines or
            with two versions of a module's code.
    """
    paths = store.runs_in(folder) or [folder]
    runs = {path: read_run(path) for path in paths}
    if on is not None:
        chosen = {path: run for path, run in runs.items() if has_words(processor(run), on)}
        if not chosen:
            known = ", ".join(dict.fromkeys(map(processor, runs.values())))
            raise UserError(f"no run in {folder} is on '{printable(on, 80)}'; there are {known}")
        runs = chosen
    isolated = [path.name for path, run in runs.items() if run.case.isolated]
    copies_of = originals({path: run for path, run in runs.items() if not run.case.isolated})
    networks = [runs[path] for path in copies_of]
    copies = [path.name for same in copies_of.values() for path in same]
    if not networks:
        raise UserError(f"{folder} holds modules alone; only runs in a host have an overhead")
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in networks:
        groups.setdefault(configuration(run.case), []).append(run)
    for first, *others in groups.values():
        for other in others:
            if mixed := differences(first, other, ("one run", "another")):
                raise UserError(f"{folder} holds runs of two machines: {'; '.join(mixed)}")
            if changed := other_code(first, other):
                named = ", ".join(map(printable, changed))
                raise UserError(f"{folder} holds runs of two versions of the code of {named}")
    remarks = [
        f"{printable(name)} in {folder} is left out: its modules ran alone, without a host"
        for name in isolated
    ]
    remarks += [
        f"{printable(name)} in {folder} is left out: it is a copy of another run there"
        for name in copies
    ]
    sides = [Replicates.of(group) for group in groups.values()]
    for side in sides:
        first, *others = side.runs
        remarks += dict.fromkeys(
            doubt for other in others if (doubt := machine_doubt(first, other)) is not None
        )
        remarks += [left_out(run, fault) for run, fault in side.left_out]
    return sides, remarks


def processor(run: Run) -> str:
    """Return the name of a run's GPU, or of its CPU."""
    facts = run.environment
    return printable(str(facts.get("gpu") or facts.get("cpu") or run.case.device))


def left_out(run: Run, fault: str) -> str:
    """Return the sentence about a run whose control failed, where that of another held."""
    return f"the run that began at {began(run)} is left out: its control failed: {fault}"


def machine_doubt(one: Run, other: Run) -> str | None:
    """Return why two runs without differences may be of two machines all the same, or None.

    A family's name, ``AMD EPYC``, is that of many models; virtual machines often show no more.
    """
    ours, theirs = one.environment, other.environment
    if kind_of(one.case.device) != "cpu":
        uuids = {ours.get("gpu_uuid"), theirs.get("gpu_uuid")}
        if None not in uuids:
            two = "these are two GPUs of one model: their gpu_uuid differ"
            return two if len(uuids) > 1 else None
    cpu = ours.get("cpu")
    if cpu != theirs.get("cpu") or None not in {ours.get("cpu_id"), theirs.get("cpu_id")}:
        return None
    if re.search(r"\d", _NO_MODEL.sub("", str(cpu))):
        return None
    return (
        "cannot tell whether it is the same machine: the records name only the CPU's family, "
        f"{printable(str(cpu))}"
    )
