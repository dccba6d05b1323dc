"""Made-up events whose parts are added by hand, and one real network."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from attnbench.measuring.inside.profiler import PREFIX, STEP, STEPS, averaged, measure, steps_of
from attnbench.records.schema import BETWEEN_OPERATORS


@dataclass
class Event:
    """What is read of one of torch's."""

    name: str
    cpu_parent: Any = None
    self_cpu_time_total: float = 0.0
    self_device_time_total: float = 0.0


def seconds_of(events, *, on_device=False):
    return averaged(steps_of(events, "sa", on_device=on_device))


def step(conv_us, mul_us, python_us=0.0, copy_us=0.0, variant="sa"):
    """A step: a convolution of the host, a product in the attention of the first stage, a copy."""
    whole = Event(STEP + variant)
    block = Event(f"{PREFIX}layer1.0", whole)
    conv = Event("aten::conv2d", block)
    attention = Event(f"{PREFIX}layer1.0.attention", block, python_us)
    return [
        whole,
        block,
        conv,
        Event("aten::mkldnn_convolution", conv, conv_us, 10 * conv_us),
        attention,
        Event("aten::mul", attention, mul_us, 10 * mul_us),
        Event("aten::copy_", whole, copy_us),
    ]


def test_seconds_go_to_the_innermost_module_and_to_the_operator_itself():
    found = seconds_of(step(conv_us=50, mul_us=20, python_us=5, copy_us=1))
    assert found == {
        "layer1 host": {"aten::mkldnn_convolution": pytest.approx(50e-6)},
        "layer1 attention": {
            BETWEEN_OPERATORS: pytest.approx(5e-6),
            "aten::mul": pytest.approx(20e-6),
        },
        "network host": {"aten::copy_": pytest.approx(1e-6)},
    }


def test_a_devices_own_time_is_taken_where_there_is_one():
    found = seconds_of(step(conv_us=50, mul_us=20, python_us=5), on_device=True)
    assert found["layer1 host"] == {"aten::mkldnn_convolution": pytest.approx(500e-6)}
    assert found["layer1 attention"] == {"aten::mul": pytest.approx(200e-6)}  # no Python


def test_what_lies_in_no_step_does_not_count():
    warm_up = Event(f"{PREFIX}layer1.0")
    found = seconds_of([Event("aten::mul", warm_up, 99), Event("aten::add", None, 99), *step(1, 1)])
    assert sum(sum(row.values()) for row in found.values()) == pytest.approx(2e-6)


def test_steps_between_the_quartiles_are_averaged():
    # Of eight, two on each side do not count: (3 + 4 + 5 + 6) / 4 = 4.5 and a tenth of it.
    lengths = (900, 5, 1, 4, 6, 2, 3, 800)
    events = [event for length in lengths for event in step(10 * length, length)]
    found = seconds_of(events)
    assert found["layer1 host"]["aten::mkldnn_convolution"] == pytest.approx(45e-6)
    assert found["layer1 attention"]["aten::mul"] == pytest.approx(4.5e-6)


def test_steps_of_the_plain_host_between_them_are_told_apart():
    events = [*step(50, 20), *step(7, 0, variant="plain"), *step(60, 20)]
    assert [sum(spent.values()) for spent in steps_of(events, "sa")] == pytest.approx(
        [70e-6, 80e-6]
    )
    assert [sum(spent.values()) for spent in steps_of(events, "plain")] == pytest.approx([7e-6])


def test_a_real_networks_attention_is_seen_where_it_stands(case, capfd):
    small = replace(case, host="resnet18", image_size=64, batch_size=1, stages=(4,))
    profile = measure(small, "se")
    spent_s = [spent for row in profile.seconds.values() for spent in row.values()]
    assert profile.total_s == pytest.approx(sum(spent_s))
    owners = {part for part in profile.seconds if part.endswith(" attention")}
    assert (profile.steps, owners) == (STEPS, {"layer4 attention"})
    assert {"layer1 host", "layer4 host", "conv1 host", "fc host"} <= profile.seconds.keys()
    assert {"aten::addmm", "aten::sigmoid", "aten::mul"} <= profile.seconds[
        "layer4 attention"
    ].keys()
    assert "aten::sigmoid" not in {
        name for part, row in profile.seconds.items() if part.endswith(" host") for name in row
    }
    each = (profile.host_s, profile.attention_s, profile.plain_s)
    assert all(len(seconds) == STEPS and min(seconds) > 0 for seconds in each)
    assert max(profile.attention_s) < min(profile.host_s)
    assert capfd.readouterr().err == ""  # nor what the profiler's library says
