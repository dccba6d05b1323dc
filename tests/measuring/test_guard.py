import gc
import re
from copy import deepcopy
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from helpers import processes
from helpers.evils import EVILS, HARMLESS
from helpers.runs import TICK_S, WARM_UP_CALLS, rounds_in, undisturbed
from torch import nn

from attnbench.counting.dispatch import Trace
from attnbench.measuring.guard import Guard, watched
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.measuring.timing import Step
from attnbench.plugins.resolve import parse
from attnbench.plugins.watch.integrity import InterferenceError
from attnbench.records.schema import Record
from attnbench.records.variants import CONTROL, PLAIN, alone
from attnbench.system import worker

pytestmark = pytest.mark.usefixtures("small_host")


@pytest.fixture
def run_of(new_run, tmp_path):
    """Return a function that plans a run of custom modules, and their names."""

    def make(*texts, **changes):
        names = []
        for number, text in enumerate(texts):
            path = tmp_path / f"mine{number}.py"
            path.write_text(text)
            names.append(f"{path}:Gate")
        run = new_run(budget_s=5 * (2 + len(names)) * TICK_S, **changes)
        sources = {name: parse(name).origin() for name in names}
        run.plan = replace(run.plan, variants=(PLAIN, CONTROL, *names), sources=sources)
        return run, names

    return make


@pytest.fixture
def undo(monkeypatch):
    """Pytest's monkeypatch, which also calls what is left to it as ``callback``."""
    callbacks = []
    monkeypatch.callback = lambda function, *args: callbacks.append(partial(function, *args))
    yield monkeypatch
    for callback in reversed(callbacks):
        callback()
    monkeypatch.undo()


@pytest.fixture
def does(machine, monkeypatch):
    """Make a variant's step do something when it is called for the given time."""

    def arrange(variant, call, action):
        build = warm_up.step

        def doing(case, name):
            ready, calls = build(case, name), count(1)

            def step():
                if next(calls) == call:
                    action()
                return ready()

            return Step({"step": step})

        monkeypatch.setattr(
            warm_up, "step", lambda case, name: (doing if name == variant else build)(case, name)
        )
        return machine

    return arrange


def timed(run, machine):
    """Return the run with the records of its rounds."""
    run = deepcopy(run)
    for event in latency.measure(run, machine, undisturbed):
        if isinstance(event, Record):
            run.add(event)
    return run


NTH = WARM_UP_CALLS + 3
"""The call of a step that is in the third round."""


@pytest.mark.parametrize("case_of", EVILS.values(), ids=EVILS)
def test_a_module_that_changes_what_is_timed_ends_the_run_with_its_name(
    run_of, does, undo, case_of
):
    evil, what = case_of
    run, (name, _) = run_of("# first\n", "# second\n")
    run = timed(run, does(name, NTH, lambda: evil(undo)))
    assert run.end.reason == "failed"
    assert run.end.message.startswith(f"{name} ")
    assert re.search(what, run.end.message)
    assert "\n" not in run.end.message
    # Warm-up found nothing; of three rounds two are whole, and what was measured in them stays.
    assert run.end.rounds == len(run.rounds) == 2


@pytest.mark.parametrize("action", HARMLESS.values(), ids=HARMLESS)
def test_what_changes_nothing_that_was_used_is_let_through(run_of, does, undo, action):
    run, (name,) = run_of("# first\n")
    run = timed(run, does(name, NTH, lambda: action(undo)))
    assert run.end.message is None


def test_a_change_in_the_warm_up_ends_the_run_without_a_round(run_of, does, undo):
    run, (name, _) = run_of("# first\n", "# second\n")
    evil, what = EVILS["functional"]
    run = timed(run, does(name, 1, lambda: evil(undo)))
    assert re.search(f"^{name} changes {what}", run.end.message)
    assert run.end.rounds == 0


def test_garbage_collection_that_a_module_turns_off_is_found_in_its_warm_up(run_of, does, undo):
    run, (name,) = run_of("# first\n")
    undo.callback(gc.enable)
    run = timed(run, does(name, 2, gc.disable))
    assert run.end.message == f"{name} changes Python's garbage collection from True to False"


def test_a_change_found_where_no_custom_code_ran_names_all_that_is_custom(run_of, does, undo):
    run, names = run_of("# first\n", "# second\n")
    evil, _ = EVILS["functional"]
    run = timed(run, does(PLAIN, NTH, lambda: evil(undo)))
    assert run.end.message.startswith(
        f"{names[0]} or {names[1]} changes torch.nn.functional.conv2d"
    )


def test_isolated_pieces_of_custom_modules_are_custom(new_run, run_of):
    _, (name,) = run_of("# first\n")
    variants = alone((name, "sa"))
    guard = Guard(new_run(variants=variants, isolated=True))
    assert guard.custom == [f"{name} layer{stage}" for stage in (1, 2, 3, 4)]


LATER = """
import torch
from torch import nn
from torch.nn import functional

class Gate(nn.Module):
    calls = 0

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        Gate.calls += 1
        if Gate.calls == {call}:
            plain = functional.conv2d
            functional.conv2d = lambda *args, **kwargs: plain(*args, **kwargs) + 0
        return x * self.weight
"""


def test_a_file_that_patches_torch_later_ends_a_real_run(run_of):
    # Each forward of the small host calls the module four times: one for the statistics of its
    # batch norms, those of the warm-up, the first round; this is the second.
    run, (name,) = run_of(LATER.format(call=4 * (1 + WARM_UP_CALLS + 1) + 2))
    records = worker.call(processes.timed_records, run)
    assert [each.number for each in rounds_in(records)] == [0]
    assert records[-1].results.message == (
        f"{name} changes torch.nn.functional.conv2d (now in mine0.py, line 17)"
    )


@pytest.mark.parametrize("isolated", [False, True])
def test_counting_and_memory_of_a_custom_module_are_watched(monkeypatch, isolated):
    name = "mine.py:Gate" + (" layer1" if isolated else "")
    expected = pytest.raises(InterferenceError, match=rf"{name} changes .*Trace.__init__ \(")
    with expected, watched(name, isolated=isolated):
        monkeypatch.setattr(Trace, "__init__", lambda *_: None)
    monkeypatch.undo()
    with watched("sa"):  # what is ours is not
        monkeypatch.setattr(Trace, "__init__", lambda *_: None)


def test_a_module_that_reaches_into_another_network_is_named(run_of):
    run, (name, _) = run_of("# first\n", "# second\n")
    plain = nn.Sequential(nn.Conv2d(3, 4, 3))
    guard = Guard(run)
    guard.built(PLAIN, plain)
    guard.begin(name)
    guard.built(name, nn.Sequential())  # its own may change as it likes
    guard.inspect(name)
    plain[0].forward = lambda x: x
    guard.inspect(PLAIN)  # looked at after custom blocks alone
    with pytest.raises(InterferenceError, match=rf"{name} changes 0.forward of plain$"):
        guard.inspect(name)
