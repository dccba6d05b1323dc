"""Read a file of the limits that a repository sets for its own modules. No torch.

    # module in host: metric <= limit, ...
    sa in resnet50: added params <= 708, added executed kernels <= 192
    sa in resnet50 on onnxruntime: added nodes <= 400, artefact bytes <= 110_000_000
    mine.py:Mine in resnet50: added params <= 1_000
    "my gates/mine.py:Mine,sizes=(3, 5)" in resnet50: added params <= 1_000

A module is one of the table or a custom one, named as in ``attnbench.plugins.resolve`` (files
relative to the file of limits), in quotes if the name has spaces or ``#``; loading it runs its
code. What is limited here is the same on every machine; ``latency.py`` has what is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from attnbench.claims.limits import latency
from attnbench.claims.limits.latency import LatencyLimit
from attnbench.errors import UserError
from attnbench.files import read_named
from attnbench.records.case import EXPORTED, Runtime
from attnbench.runtimes.table import TABLE
from attnbench.text import unknown

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
        lines = read_named(path).decode("utf-8").splitlines()
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
        if latency.is_latency(stated):
            if runtime:
                raise UserError(f"{where}: latency cannot be limited{_where('latency', runtime)}")
            limits.append(latency.parse(stated, file, number, module, host))
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
    examples = ", ".join(f"'{example}'" for example in latency.EXAMPLES.values())
    on_runtimes = ", ".join(RUNTIME_METRICS)
    return (
        f"quantities are {', '.join(METRICS)}, each with or without 'added'; and {examples}; and "
        f"on a runtime {on_runtimes}"
    )
