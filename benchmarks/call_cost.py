"""Time the call of a module by a hook and by a forward: ``python benchmarks/call_cost.py``.

What calls a module that is put behind a part of a network must cost as little as its call in the
network's own code would. In one network, at the same addresses, an identity at every site is
called in turn not at all (twice, as a control), by a hook and by the part's replaced forward, as
attnbench does. Printed are the microseconds that a site adds to a step: medians over ROUNDS rounds
in random order, each against the mean of the two without a call.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from statistics import fmean, median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that --help answers at once
    from torch import nn

    from attnbench.hosts.placement.insert import Through

NONE = ("no call", "no call again")


def added_us(rounds: Sequence[dict[str, float]], way: str, sites: int) -> float:
    """Return the median microseconds that a way adds for each site, from seconds of steps."""
    return (
        median(known[way] - fmean(known[none] for none in NONE) for known in rounds) * 1e6 / sites
    )


@contextmanager
def called(way: str, sites: Sequence[tuple[nn.Module, Through]]) -> Iterator[None]:
    """Call the modules at the sites in this way."""
    from attnbench.hosts.placement.insert import After

    handles = []
    for part, through in sites:
        del part.forward
        if way == "hook":
            handles.append(part.register_forward_hook(After(through.attention, through.axis)))
        elif way == "forward":
            part.forward = through
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for part, through in sites:
            part.forward = through


def seconds(step: Callable[[], object], steps: int) -> float:
    """Return the seconds of one step, after one that is not timed."""
    step()
    start = perf_counter()
    for _ in range(steps):
        step()
    return (perf_counter() - start) / steps


def main() -> None:
    """Time the ways in turn and print what each adds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rounds", type=int, nargs="?", default=300, help="300")
    parser.add_argument("--host", default="mobilenet_v2", help="mobilenet_v2")
    parser.add_argument("--image-size", type=int, default=32, help="of a side; 32")
    parser.add_argument("--threads", type=int, default=1, help="1")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("one round is the fewest")
    import torch
    from torch import nn

    from attnbench.hosts.build import build
    from attnbench.modules import AttentionSpec, Site
    from attnbench.system import machine_lock

    torch.set_num_threads(arguments.threads)
    identity = AttentionSpec("id", "Identity", "", Site.AFTER_BN3, lambda _: nn.Identity())
    network = build(arguments.host, identity).eval()
    known = [(part, vars(part)["forward"]) for part in network.modules() if "forward" in vars(part)]
    if not known:
        parser.error(f"{arguments.host} calls its modules itself")
    image = torch.randn(1, 3, arguments.image_size, arguments.image_size)
    ways, random, rounds = [*NONE, "hook", "forward"], Random(0), []
    with machine_lock.alone(), torch.inference_mode():
        for _ in range(arguments.rounds):
            random.shuffle(ways)
            times = {}
            for way in ways:
                with called(way, known):
                    times[way] = seconds(lambda: network(image), steps=2)
            rounds.append(times)
    step_ms = median(times[NONE[0]] for times in rounds) * 1e3
    print(f"{arguments.host}, {len(known)} sites, {step_ms:.2f} ms a step without a call")
    for way in (NONE[0], "hook", "forward"):
        print(f"{way:8} {added_us(rounds, way, len(known)):+6.1f} µs a site")


if __name__ == "__main__":
    main()
