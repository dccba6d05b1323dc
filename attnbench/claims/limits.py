"""Hold the limits that a repository sets for its own module against the code.

    # module in host: metric <= limit, ...
    sa in resnet50: added params <= 708, added executed kernels <= 192
    sa in resnet50 on onnxruntime: added nodes <= 400, artefact bytes <= 110_000_000
    mine.py:Mine in resnet50: added params <= 1_000
    "my gates/mine.py:Mine,sizes=(3, 5)" in resnet50: added params <= 1_000

A module is one of the table or a custom one, named as in ``attnbench.plugins.resolve`` (files
relative to the file of limits), in quotes if the name has spaces or ``#``; loading it runs its
code. What is limited here is the same on every machine; ``latency_limit.py`` has what is not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from attnbench.claims import latency_limit
from attnbench.claims.latency_limit import LatencyLimit
from attnbench.claims.outcome import Outcome, refusal
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.plugins import host_reference
from attnbench.plugins.resolve import ModuleReference, parse
from attnbench.plugins.spec import is_in_file
from attnbench.records.case import EXPORTED, Runtime
from attnbench.records.image_size import Size, sides
from attnbench.records.schema import Export
from attnbench.records.variants import STAGES
from attnbench.runtimes.table import TABLE, require_installed
from attnbench.stats import reasons
from attnbench.system import worker
from attnbench.text import error_text, unknown

if TYPE_CHECKING:
    from attnbench.claims.check import NetworkCounts

METRICS: dict[str, tuple[str, str]] = {
    "params": ("learnable", "params"),
    "macs": ("macs", "operations"),
    "leaf operations": ("leaf", "operations"),
    "thop operations": ("thop", "operations"),
    "fvcore operations": ("fvcore", "operations"),
    "torch operations": ("torch", "operations"),
    "executed operations": ("executed", "operations"),
    "executed macs": ("executed", "macs"),
    "executed elementwise": ("executed", "elementwise"),
    "executed reductions": ("executed", "reductions"),
    "executed bytes read": ("executed", "bytes_read"),
    "executed bytes written": ("executed", "bytes_written"),
    "executed kernels": ("executed", "kernels"),
    "peak bytes": ("executed", "peak_live_bytes"),
}
"""Metric -> rule of counting and its quantity; with ``added`` in front, minus the plain host."""

RUNTIME_METRICS: dict[str, str] = {
    "nodes": "operators that a runtime executes, after its own optimisation",
    "artefact bytes": "bytes of the file that it executes",
}
"""What can be limited of a runtime, in float32; also with ``added``."""

UNITS = {
    "nodes": "operators",
    "artefact bytes": "bytes",
    "params": "parameters",
    "kernels": "kernels",
    **dict.fromkeys(("bytes_read", "bytes_written", "peak_live_bytes"), "bytes"),
    **dict.fromkeys(("operations", "macs", "elementwise", "reductions"), "operations"),
}
"""Quantity -> its unit."""

_LINE = re.compile(
    r'(?:"(?P<quoted>[^"]+)"|(?P<module>[^\s"]+))\s+in\s+(?P<host>\S+)'
    r"(?:\s+on\s+(?P<runtime>\S+))?:\s*(?P<limits>.+)"
)
_COMMENT = re.compile(r'^((?:"[^"]*"|[^"#])*)#.*$')
_LIMIT = re.compile(
    r"(?P<added>added )?(?P<metric>[a-z ]+?) *<= *(?P<most>[0-9]{1,3}(?:_?[0-9]{1,3}){0,5})"
)


@dataclass(frozen=True)
class Limit:
    """The most that a metric of a network may be; ``file`` and ``line`` say where it is written."""

    file: Path
    line: int
    module: str
    host: str
    metric: str
    added: bool
    most: int
    runtime: Runtime | None = None

    @property
    def where(self) -> str:
        """``limits.txt, line 3``."""
        return f"{self.file}, line {self.line}"

    @property
    def folder(self) -> Path:
        """The folder of the file, to which paths of modules are relative."""
        return self.file.parent

    @property
    def built_host(self) -> str:
        """The host, with the path of a file relative to the folder of this one."""
        return str(self.folder / self.host) if is_in_file(self.host) else self.host

    @property
    def subject(self) -> str:
        """``sa in resnet50: added params``."""
        on = f" on {self.runtime}" if self.runtime else ""
        return f"{self.module} in {self.host}{on}: {'added ' if self.added else ''}{self.metric}"


def read(path: Path) -> list[Limit | LatencyLimit]:
    """Read the limits of a file.

    Raises:
        UserError: no such file, no limit in it, or a malformed line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"cannot read {path}: {reason}") from error
    limits: list[Limit | LatencyLimit] = []
    for number, line in enumerate(lines, start=1):
        text = _COMMENT.sub(r"\1", line).strip()
        if text:
            limits += _parse(text, path, number)
    if not limits:
        raise UserError(f"{path} sets no limit")
    return limits


def _parse(text: str, file: Path, number: int) -> list[Limit | LatencyLimit]:
    where, line = f"{file}, line {number}", _LINE.fullmatch(text)
    if line is None:
        raise UserError(f"{where}: not of the form 'sa in resnet50: added params <= 708'")
    module, host = line["quoted"] or line["module"], line["host"]
    runtime = _runtime(line["runtime"], where)
    limits: list[Limit | LatencyLimit] = []
    for part in line["limits"].split(","):
        stated = " ".join(part.split())
        if latency_limit.is_latency(stated):
            if runtime:
                raise UserError(f"{where}: latency cannot be limited{_where('latency', runtime)}")
            limits.append(latency_limit.parse(stated, file, number, module, host))
            continue
        limit = _LIMIT.fullmatch(stated)
        if limit is None:
            raise UserError(
                f"{where}: '{stated}' is not of the form 'added params <= 708'; "
                f"{known_quantities()}"
            )
        metric, added = limit["metric"], limit["added"] is not None
        if metric not in (RUNTIME_METRICS if runtime else METRICS):
            raise UserError(f"{where}: '{metric}' cannot be limited{_where(metric, runtime)}")
        most = int(limit["most"])
        limits.append(Limit(file, number, module, host, metric, added, most, runtime))
    return limits


def _runtime(word: str | None, where: str) -> Runtime | None:
    if word is None:
        return None
    # TensorRT chooses by what it times: its figures differ from build to build.
    able = [name for name in EXPORTED if "cpu" in TABLE[name].devices]
    for name in able:
        if word.lower() == name:
            return name
    raise UserError(f"{where}: {unknown('runtime', word, able)}")


def _where(metric: str, runtime: str | None) -> str:
    if runtime:
        return f" on {runtime}; quantities there are {', '.join(RUNTIME_METRICS)}"
    if metric in RUNTIME_METRICS:
        return f" without a runtime: 'sa in resnet50 on {EXPORTED[0]}: added {metric} <= 400'"
    return f"; {known_quantities()}"


def known_quantities() -> str:
    """Return what can be limited, as the end of a message."""
    examples = ", ".join(f"'{example}'" for example in latency_limit.EXAMPLES.values())
    on_runtimes = ", ".join(RUNTIME_METRICS)
    return (
        f"quantities are {', '.join(METRICS)}, each with or without 'added'; and {examples}; and "
        f"on a runtime {on_runtimes}"
    )


@dataclass(frozen=True)
class Placement:
    """Where the modules of limits stand, and the size of the image that they are counted for."""

    stages: Collection[int] = STAGES
    blocks: Literal["all", "last"] = "all"
    size: Size | None = None
    """None for the host's default."""


def check(limits: Sequence[Limit], placement: Placement | None = None) -> list[Outcome]:
    """Hold every limit against the code, for one image.

    Each custom module is loaded, checked and counted in a child process, which it may end. Where
    one is refused, its limits do not hold, and those of the others are checked all the same.

    Raises:
        UserError: a line names an unknown module or host, or a file that is not there.
    """
    from attnbench.hosts import check_module

    where = placement or Placement()
    outcomes: dict[Limit, Outcome] = {}
    groups: dict[tuple[str, ...], tuple[ModuleReference, list[Limit]]] = {}
    for limit in limits:
        try:
            module = parse(limit.module, limit.folder)
            module.origin()
        except SettingsError as error:
            raise UserError(f"{limit.where}: {error}") from error
        foreign = module.is_custom or _is_foreign(limit)
        key: tuple[str, ...] = (limit.module, limit.host) if foreign else ("", "")
        if limit.runtime:
            require_installed(limit.runtime)
            key = (limit.module, limit.host, limit.runtime)
        groups.setdefault(key, (module, []))[1].append(limit)
    for module, group in groups.values():
        compare, place = (_on_runtime if group[0].runtime else _compared), group[0].where
        if module.is_custom:
            try:
                results = check_module.in_subprocess(compare, module, group, where)
            except UserError as error:
                results = [_refused(limit, group, str(error)) for limit in group]
        elif _is_foreign(group[0]):
            results = check_module.in_subprocess(compare, module, group, where, where=place)
        elif group[0].runtime:
            results = worker.call(compare, module, group, where)
        else:
            results = compare(module, group, where)
        outcomes |= zip(group, results, strict=True)
    return [outcomes[limit] for limit in limits]


def _refused(limit: Limit, group: Sequence[Limit], why: str) -> Outcome:
    """Return that a limit does not hold, as its module is refused."""
    for other in group:  # the error may begin with the line that was tried
        why = why.removeprefix(f"{other.where}: ")
    rule, quantity = METRICS.get(limit.metric, (limit.runtime or "", limit.metric))
    return Outcome(
        kind="limit",
        name=limit.where,
        subject=limit.subject,
        stated=limit.most,
        computed=None,
        unit=UNITS[quantity],
        stated_text=f"<= {limit.most:,}",
        computed_text="none",
        rule=rule,
        verdict=refusal(limit.module, why),
        code=reasons.REFUSED,
        expected="within",
        holds=False,
        file=str(limit.file),
        line=limit.line,
    )


def _is_foreign(limit: Limit) -> bool:
    """Return whether code of another party builds the host.

    Raises:
        UserError: the host is unknown.
    """
    try:
        return host_reference.is_custom(limit.built_host)
    except SettingsError as error:
        raise UserError(f"{limit.where}: {error}") from error


def _compared(
    module: ModuleReference, limits: Sequence[Limit], placement: Placement
) -> list[Outcome]:
    """Hold limits against the code; a custom module is first checked in their one host."""
    from attnbench.claims.check import NetworkCounts
    from attnbench.hosts import check_module
    from attnbench.hosts.build import default_size
    from attnbench.hosts.placement.choice import Choice

    if module.is_custom:
        host = limits[0].built_host
        image = default_size(host) if placement.size is None else sides(placement.size)
        choice = Choice(placement.stages, placement.blocks)
        check_module.check(module, host, [(1, 3, *image)], choice=choice)
    custom = {module.name: module.load()} if module.is_custom else {}
    counts = NetworkCounts(custom, placement.stages, placement.blocks)
    outcomes = []
    for limit in limits:
        start, (rule, quantity) = perf_counter(), METRICS[limit.metric]
        try:
            size, added = placement.size, limit.added
            network = limit.built_host, limit.module
            figure = counts.get(*network, rule, quantity, added=added, size=size)
        except SettingsError as error:
            raise UserError(f"{limit.where}: {error}") from error
        except Exception as error:
            if not module.is_custom:
                raise
            why = error_text(error)
            raise UserError(f"{limit.where}: {limit.module} cannot be counted: {why}") from error
        doubt = _doubt(counts, limit, size)
        within = figure <= limit.most and doubt is None
        verdict = doubt or ("within" if within else f"OVER by {figure - limit.most:,}")
        outcomes.append(
            Outcome(
                kind="limit",
                name=limit.where,
                subject=limit.subject,
                stated=limit.most,
                computed=figure,
                unit=UNITS[quantity],
                stated_text=f"<= {limit.most:,}",
                computed_text=f"{figure:,}",
                rule=rule,
                verdict=verdict,
                code=_code(doubt, within=within),
                expected="within",
                holds=within,
                file=str(limit.file),
                line=limit.line,
                seconds=perf_counter() - start,
            )
        )
    return outcomes


def _on_runtime(
    module: ModuleReference, limits: Sequence[Limit], placement: Placement
) -> list[Outcome]:
    """Hold limits of one network on one runtime against what it makes of the network."""
    from attnbench.hosts import check_module
    from attnbench.hosts.build import build, default_size
    from attnbench.hosts.placement.choice import Choice
    from attnbench.runtimes import figures
    from attnbench.runtimes.artefact import OtherAnswersError
    from attnbench.runtimes.onnx_file import NotExportedError

    start, host, runtime = perf_counter(), limits[0].built_host, limits[0].runtime
    assert runtime is not None
    image = default_size(host) if placement.size is None else sides(placement.size)
    where: dict[str, Any] = {
        "stages": placement.stages,
        "blocks": placement.blocks,
        "size": image,
    }
    try:
        row = module.load()
        if module.is_custom:
            choice = Choice(placement.stages, placement.blocks)
            check_module.check(module, host, [(1, 3, *image)], choice=choice)
        networks = [partial(build, host, row, **where)]
        networks += [partial(build, host)] if any(limit.added for limit in limits) else []
        made = [figures.of_network(each, host, image, runtime) for each in networks]
    except SettingsError as error:
        raise UserError(f"{limits[0].where}: {error}") from error
    except (NotExportedError, OtherAnswersError) as error:
        known, fault = [], f"not executed by {runtime}: {error}"
    else:
        known, fault = [_figures(export) for export in made], ""
    outcomes = []
    for limit in limits:
        figure: int | None = None
        if known:
            figure = known[0][limit.metric] - (known[1][limit.metric] if limit.added else 0)
        within = figure is not None and figure <= limit.most
        over = fault if figure is None else f"OVER by {figure - limit.most:,}"
        outcomes.append(
            Outcome(
                kind="limit",
                name=limit.where,
                subject=limit.subject,
                stated=limit.most,
                computed=figure,
                unit=UNITS[limit.metric],
                stated_text=f"<= {limit.most:,}",
                computed_text="none" if figure is None else f"{figure:,}",
                rule=runtime,
                verdict="within" if within else over,
                code=reasons.UNEXECUTED if figure is None else _code(None, within=within),
                expected="within",
                holds=within,
                file=str(limit.file),
                line=limit.line,
                seconds=(perf_counter() - start) / len(limits),
            )
        )
    return outcomes


def _code(doubt: str | None, *, within: bool) -> str:
    if doubt is not None:
        return reasons.UNCOUNTED
    return reasons.WITHIN if within else reasons.OVER


def _figures(export: Export) -> dict[str, int]:
    return {"nodes": sum(export.operators.values()), "artefact bytes": export.bytes}


def _doubt(counts: NetworkCounts, limit: Limit, size: Size | None) -> str | None:
    """Return why the figure may be too low, or another with another input; else None."""
    from attnbench.counting.gaps import missed

    rule, quantity = METRICS[limit.metric]
    if quantity == "params":  # counted without a forward
        return None
    rule = "macs" if quantity == "macs" else rule  # the same figure, held to products
    count = counts.count(limit.built_host, limit.module, rule, size)
    gaps: dict[str, int] = {}
    if quantity != "peak_live_bytes":  # the tensors of an unknown operator are followed too
        gaps = missed(rule, count.not_counted)
    if limit.added and gaps:
        gaps = Counter(gaps) - Counter(
            missed(rule, counts.count(limit.built_host, None, rule, size).not_counted)
        )
    if gaps:
        listed = ", ".join(f"{name} x{times}" for name, times in gaps.items())
        return f"not fully counted: {listed}"
    # fvcore computes with data, where the other rules see that the forward depends on them.
    without_data = (
        counts.count(limit.built_host, limit.module, "macs", size) if rule == "fvcore" else count
    )
    if without_data.computed:
        return "not the same for every input: its forward depends on data"
    return None
