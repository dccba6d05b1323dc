"""The counts of a run's networks and modules, of custom code in a child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attnbench.counting import NotCountedError, count_all, training
from attnbench.counting.rule import Count
from attnbench.counting.twin import fake_mode
from attnbench.measuring import isolated, memory, workload
from attnbench.measuring.guard import is_custom, watched
from attnbench.measuring.workload import image_for, network
from attnbench.plugins import host_reference
from attnbench.records.schema import Case, Counts
from attnbench.system import worker
from attnbench.text import error_line

CountNetwork = Callable[[Case, str], dict[str, Count]]


def count_network(case: Case, variant: str) -> dict[str, Count]:
    """Count a network of a case by every rule, for one image and without weights.

    Where that fails, it is built with the seed's weights and counted with data. In training what
    is counted is one step, for the case's batch.
    """
    if case.mode == "training":
        return _count_step(case, variant)
    image = image_for(case, (1, *case.input_shape[1:]), "meta")
    try:
        return count_all(network(case, variant, "meta"), image)
    except NotCountedError:
        return count_all(network(case, variant, "cpu"), image, seed=case.seed)


def _count_step(case: Case, variant: str) -> dict[str, Count]:
    try:
        return training.count_step(memory.fake_step(case, variant).parts, fake_mode())
    except Exception as error:
        counts = training.count_step(workload.step(case, variant).parts)
        reason = error_line(error)
        return {rule: replace(count, computed=reason) for rule, count in counts.items()}


def count_apart(case: Case, variant: str) -> dict[str, Count]:
    """Do the same in a child process where the module is custom: its code may end the process."""
    if not (is_custom(variant, isolated=False) or host_reference.is_custom(case.host)):
        return count_network(case, variant)
    return worker.call(_count_watched, case, variant)


def _count_watched(case: Case, variant: str) -> dict[str, Count]:
    with watched(variant):
        return count_network(case, variant)


def _alone(case: Case, variant: str) -> Counts:
    """Count a module alone or a ceiling, custom modules in a child process."""
    if not (is_custom(variant, isolated=True) or host_reference.is_custom(case.host)):
        return isolated.count(case, variant)
    return worker.call(_alone_watched, case, variant)


def _alone_watched(case: Case, variant: str) -> Counts:
    with watched(variant, isolated=True):
        return isolated.count(case, variant)


def counts(case: Case, variant: str, count: CountNetwork) -> Counts:
    """Count what the case runs of a variant; in training its forward by itself as well.

    Raises:
        NotCountedError: some rules failed; it holds what the others counted.
    """
    if case.isolated:
        return _alone(case, variant)
    # A grid's configurations share the counts of what only memory and time depend on.
    same: dict[str, Any] = {"threads": 1, "device": "cpu", "runtime": "eager"}
    same |= {"dtype": "float32", "calibration": ""} if case.exported else {}
    forward = replace(case, batch_size=1, mode="inference", **same)
    if case.mode == "inference":
        return Counts(rules=count(forward, variant))
    known: dict[str, Count] = {}
    failed: dict[str, str] = {}
    for counted in (forward, replace(case, **same)):
        try:
            known |= count(counted, variant)
        except NotCountedError as error:
            known |= error.counts
            failed |= error.failed
        except Exception as error:
            failed[f"{counted.mode} step"] = error_line(error)
    if failed:
        raise NotCountedError(known, failed)
    return Counts(rules=known)
