import pytest

from attnbench.records.schema import Block, DeviceTime, Round
from attnbench.stats.quantities.device_time import device_rounds
from attnbench.stats.quantities.single_steps import percentile, seconds_of_steps


def test_percentiles_are_those_of_the_nearest_rank():
    samples = [float(number) for number in range(200, 0, -1)]  # 200 to 1
    assert [percentile(samples, share) for share in (50, 90, 99)] == [100.0, 180.0, 198.0]


@pytest.mark.parametrize(("share", "least"), [(50, 2), (90, 10), (99, 100)])
def test_of_few_steps_there_is_none_which_would_be_the_largest(share, least):
    assert percentile([1.0] * (least - 1), share) is None
    assert percentile([*range(1, least + 1)], share) == least * share // 100


def block(steps, seconds, **more):
    return Block(variant="se", steps=steps, seconds=seconds, **more)


def test_single_steps_are_those_that_blocks_state_or_are():
    own = DeviceTime(steps=2, seconds=0.3, spin_s=0.1, each_s=(0.1, 0.2))
    rounds = [
        Round(number=0, blocks=(block(2, 3.0, each_s=(1.0, 2.0), device=own),)),
        Round(number=1, blocks=(block(1, 4.0),)),
        Round(number=2, blocks=(block(2, 9.0),)),  # of an older record
    ]
    assert seconds_of_steps(rounds, "se") == [1.0, 2.0, 4.0]
    assert seconds_of_steps(rounds, "sa") == []
    assert seconds_of_steps(device_rounds(rounds), "se") == [0.1, 0.2]


@pytest.mark.parametrize(
    "make", [lambda **of: block(**of), lambda **of: DeviceTime(spin_s=1.0, **of)]
)
def test_there_is_a_figure_for_each_step(make):
    with pytest.raises(ValueError, match=r"each_s has a figure for each of 3 steps, not 2"):
        make(steps=3, seconds=1.0, each_s=(0.5, 0.5))
