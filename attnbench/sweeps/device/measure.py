"""``python -m attnbench.sweeps.device.measure``: the fresh process that measures one configuration.

It reads a request from standard input, one line of JSON, and ends when that closes: with whoever
has started it, however that ends. It answers on standard output, a line of JSON whenever something
is new: ``{"waiting": "process 3 (...)"}`` while another process has the device, ``{"records":
true}`` where the file has grown, and last ``{"left_out": {...}}`` or ``{"error": "..."}``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from pydantic import TypeAdapter

from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.plugins import resolve
from attnbench.records.case import RunOptions
from attnbench.sweeps.device import exclusive
from attnbench.system import child


def main() -> None:
    """Measure what standard input asks for."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a module prints is no answer

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    request = json.loads(sys.stdin.buffer.readline())
    child.end_with_parent(Connection(os.dup(0), writable=False))
    try:
        exclusive.take(request["device"], lambda: answer(waiting="another process of a sweep"))
        _require_same_code(request["sources"])
        left_out = _measured(request, answer)
    except (UserError, SettingsError) as error:
        answer(error=str(error))
        raise SystemExit(2) from None
    answer(left_out=dict(left_out))


def _require_same_code(planned: Mapping[str, str]) -> None:
    """Refuse modules whose code here is not that with which the sweep was planned.

    Raises:
        UserError: of one it is not.
    """
    here = resolve.origins([resolve.parse(name) for name in planned])
    for name, origin in planned.items():
        if here.get(name) != origin:
            raise UserError(
                f"{name} is {here.get(name)} on this machine and {origin} where the sweep was "
                "planned; install the same version"
            )


def _measured(request: Mapping[str, Any], answer: Callable[..., None]) -> Mapping[str, str]:
    from attnbench.measuring.events import Waiting
    from attnbench.measuring.runner import run  # and torch, when the device is this process's

    said: set[str] = set()

    def changed(_: object, event: object) -> None:
        holder = event.holder if isinstance(event, Waiting) else None
        if holder is None:
            answer(records=True)
        elif holder not in said:
            said.add(holder)
            answer(waiting=holder)

    options = TypeAdapter(RunOptions).validate_python(request["options"])
    return run(options, request["out"], changed).left_out


if __name__ == "__main__":
    main()
