"""Hold limits against what a runtime makes of a network: its operators, the bytes of its file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

from attnbench.claims.limits.file import Limit
from attnbench.claims.limits.placed import Placement, host_of, judged, outcome, require_sound
from attnbench.claims.outcome import Outcome
from attnbench.errors import UserError
from attnbench.hosts.build import build
from attnbench.modules import SettingsError
from attnbench.plugins.resolve import ModuleReference
from attnbench.records.schema import Export
from attnbench.runtimes import figures
from attnbench.runtimes.artefact import OtherAnswersError
from attnbench.runtimes.onnx_file import NotExportedError
from attnbench.stats.verdicts import reasons


def compared(
    module: ModuleReference, limits: Sequence[Limit], placement: Placement
) -> list[Outcome]:
    """Hold limits of one network on one runtime against what it makes of the network.

    Raises:
        UserError: a host or module that cannot be.
    """
    start, host, runtime = perf_counter(), host_of(limits[0]), limits[0].runtime
    assert runtime is not None
    fault, known = "", list[dict[str, int]]()
    try:
        image = placement.image(host)
        row = module.load()
        require_sound(module, limits, placement)
        where: dict[str, Any] = {"stages": placement.stages, "blocks": placement.blocks}
        networks = [partial(build, host, row, size=image, **where)]
        networks += [partial(build, host)] if any(limit.added for limit in limits) else []
        known = [_figures(figures.of_network(each, host, image, runtime)) for each in networks]
    except SettingsError as error:
        raise UserError(f"{limits[0].where}: {error}") from error
    except (NotExportedError, OtherAnswersError) as error:
        fault = f"not executed by {runtime}: {error}"
    seconds = (perf_counter() - start) / len(limits)
    if fault:
        code = reasons.UNEXECUTED
        return [outcome(each, None, fault, code, seconds) for each in limits]
    outcomes = []
    for limit in limits:
        figure = known[0][limit.metric] - (known[1][limit.metric] if limit.added else 0)
        outcomes.append(outcome(limit, figure, *judged(limit, figure), seconds))
    return outcomes


def _figures(export: Export) -> dict[str, int]:
    return {"nodes": sum(export.operators.values()), "artefact bytes": export.bytes}
