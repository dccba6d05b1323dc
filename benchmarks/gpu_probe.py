"""What the clock of a GPU measures, beside other ways to time the same steps.

``python benchmarks/gpu_probe.py 1,8,32 --out FOLDER/probe.md``: a table, in milliseconds a step.
*host* is issuing alone; *latency* the suite's block on an idle device; *device* its block behind a
spin; *graph* a captured step, replayed; *kernels* the sum of all kernels in torch.profiler, with
their number. Latency is the greater of host and device. Device is what the GPU takes with all
launches waiting: the kernels and the gaps between them; a graph has shorter gaps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median


def arguments() -> argparse.Namespace:
    """Read the command line, which needs no torch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("batches", nargs="?", default="1,8,32", help="batch sizes, with commas")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, help="file for the table")
    return parser.parse_args()


if __name__ == "__main__":
    OPTIONS = arguments()

import torch  # noqa: E402  after the options

from attnbench.devices import device_time  # noqa: E402
from attnbench.devices.device_time import NotAheadError  # noqa: E402
from attnbench.devices.recovery import recover  # noqa: E402
from attnbench.devices.table import clock_for, fault, kind_of  # noqa: E402
from attnbench.errors import UserError  # noqa: E402
from attnbench.files import write_whole  # noqa: E402
from attnbench.measuring import timing, workload  # noqa: E402
from attnbench.measuring.timing import Rounds, Step  # noqa: E402
from attnbench.records.schema import Block, Case  # noqa: E402
from attnbench.system import environment, machine_lock, process_settings  # noqa: E402

BLOCKS = 15
PROFILED = 5
VARIANTS = ("plain", "se", "sa")
SETTINGS = (("float32", False), ("bfloat16", True))
"""Dtype, and whether channels are last."""

HEADINGS = (
    "setting",
    "network",
    "host",
    "latency",
    "device",
    "steps",
    "graph",
    "kernels",
    "number",
)


@dataclass(frozen=True)
class Row:
    """Milliseconds a step by each way; None where it is not known."""

    host: float | None
    latency: float
    device: float | None
    steps: int | None
    graph: float | None
    kernels: float | None
    number: int | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        values = (self.host, self.latency, self.device, self.steps)
        return tuple(map(_cell, (*values, self.graph, self.kernels, self.number)))


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def probe(
    step: Step,
    clock: timing.Clock,
    profile: Callable[[Step], tuple[float, int] | None],
    capture: Callable[[], Step] | None,
) -> Row:
    """Time a step by each way; ``profile`` returns the seconds and number of its kernels."""
    steps = timing.warm_up(step, clock)
    profiled = profile(step)
    launches = profiled[1] if profiled else None
    try:
        ahead = {"it": device_time.calibrate(step, clock, launches, steps)}
    except NotAheadError:
        ahead = {}
    blocks = list(_blocks(Rounds({"it": step}, {"it": steps}, clock, 0, ahead=ahead)))
    graph = None
    if capture:
        captured = capture()
        replays = Rounds({"it": captured}, {"it": timing.warm_up(captured, clock)}, clock, 0)
        graph = _ms([block.seconds / block.steps for block in _blocks(replays)])
    of_device = [b.device.seconds / b.device.steps for b in blocks if b.device]
    issued = [block.issued_s / block.steps for block in blocks if block.issued_s is not None]
    return Row(
        host=_ms(issued),
        latency=1e3 * median(block.seconds / block.steps for block in blocks),
        device=_ms(of_device),
        steps=ahead["it"].steps if of_device else None,
        graph=graph,
        kernels=1e3 * profiled[0] if profiled else None,
        number=launches,
    )


def _blocks(rounds: Rounds) -> Iterator[Block]:
    for _, timed in zip(range(BLOCKS), rounds, strict=False):
        yield from timed.blocks
    for error in rounds.failures.values():
        raise error


def _ms(seconds: list[float]) -> float | None:
    return 1e3 * median(seconds) if seconds else None


def kernels(step: Step) -> tuple[float, int] | None:
    """Return the seconds and the number of the kernels of one step, as the profiler has them."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as seen:
        for _ in range(PROFILED):
            step()
        torch.cuda.synchronize()
    on_device = [e for e in seen.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    if not on_device:
        return None
    return sum(e.device_time for e in on_device) / 1e6 / PROFILED, len(on_device) // PROFILED


def table(rows: list[tuple[str, str, Row]], where: str) -> str:
    """Return the rows as Markdown."""
    lines = [f"{where}; ms a step.", "", f"| {' | '.join(HEADINGS)} |", "|:--|:--|" + "--:|" * 7]
    lines += [f"| {' | '.join((setting, name, *row.cells))} |" for setting, name, row in rows]
    return "\n".join([*lines, ""])


def cases(device: str, batches: Sequence[int]) -> Iterator[tuple[str, Case]]:
    """Yield each setting as text and as the case of its eager network."""
    for dtype, last in SETTINGS:
        for batch in batches:
            case = Case(
                host="resnet50", batch_size=batch, image_size=224, dtype=dtype, channels_last=last,
                mode="inference", device=device, threads=torch.get_num_threads(), seed=0,
            )  # fmt: skip
            yield f"{dtype}{', channels last' if last else ''}, batch {batch}", case


def main(options: argparse.Namespace) -> None:
    """Print the table, and write it where a file is named."""
    if kind_of(options.device).name != "cuda":
        raise UserError(f"--device {options.device}: only CUDA has all that is compared here")
    if (why := fault(options.device)) is not None:
        raise UserError(why)
    with machine_lock.alone(*environment.lock_names([options.device])):
        _probe_all(options)


def _probe_all(options: argparse.Namespace) -> None:
    where = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    batches, rows, text = [int(batch) for batch in options.batches.split(",")], [], ""
    for setting, case in cases(options.device, batches):
        process_settings.settle(case)
        for variant in VARIANTS:
            captured = partial(workload.step, replace(case, runtime="cuda-graph"), variant)
            step = workload.step(case, variant)
            row = probe(step, clock_for(case.device), kernels, captured)
            rows.append((setting, variant, row))
            print(" ".join((setting, variant, *row.cells)), flush=True)
            del step
            recover(case.device)
            text = table(rows, where)
            if options.out:  # after each row: what is interrupted leaves what it has
                write_whole(options.out, text.encode())
    print(text)


if __name__ == "__main__":
    try:
        main(OPTIONS)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
