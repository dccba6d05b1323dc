"""What measuring yields: what is about to be done, and the records of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attnbench.records.run import Run
from attnbench.records.schema import Environment, FailedStep, Failure, Record, Results
from attnbench.system import environment, messages
from attnbench.text import MOST_OF_ERROR, error_name, error_text

MOST_TEXT = 3000
"""Characters of an error of the suite's own, which may quote one of each rule of counting."""


@dataclass(frozen=True)
class Planned:
    """The folder of a run whose plan is stored, and why modules were left out of all runs."""

    folder: Path
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Waiting:
    """The next repetition is not due yet, or another process has the device."""

    left_s: float = 0.0
    holder: str | None = None
    """Which process that is, and what it does."""


HELD = "waiting for other programs, round"
"""The kind of what begins where a round is held back because others use its cores."""


BESIDE = "beside another, round"
"""The kind of what begins where rounds are flagged, as another process measures or trains."""


APART = "timing each runtime by itself"
"""The kind of what begins where runs that shared their rounds no longer can."""


@dataclass(frozen=True)
class Beginning:
    """The kind of step that begins, and its variant, or None for all of them."""

    kind: str
    variant: str | None
    why: str = ""
    """The reason, of what begins where something else has failed."""


Event = Beginning | Record


def record(
    run: Run,
    variant: str | None,
    *,
    results: Results | None = None,
    error: Failure | None = None,
    facts: Environment | None = None,
) -> Record:
    """Make a record of the run, with the facts of this moment, or earlier ones in ``facts``."""
    return Record(
        case=run.case,
        variant=variant,
        results=results,
        environment=run.environment | environment.moment(run.environment) | (facts or {}),
        error=error,
    )


def failure(kind: FailedStep, error: Exception) -> Failure:
    """Return the error as data, whose text is on one line: a foreign one's 300 characters."""
    ours = messages.is_ours(error)
    text = error_text(error, MOST_TEXT if ours else MOST_OF_ERROR)
    name = error_name(error)
    return Failure(step=kind, type=name, message=text or f"{name}()")


def without_frames(error: Exception) -> Exception:
    """Return the error without its causes and its traceback, whose frames hold tensors.

    Whatever a foreign class has under these names, which could raise.
    """
    for name in ("__cause__", "__context__"):
        vars(BaseException)[name].__set__(error, None)
    return BaseException.with_traceback(error, None)
