"""The configuration of a run in one line, letter by letter."""

from dataclasses import replace

import pytest

from attnbench.records.case import GRID, Case

WHOLE = {
    "host": "resnet101",
    "batch_size": 8,
    "image_size": (800, 1333),
    "dtype": "bfloat16",
    "channels_last": True,
    "mode": "training",
    "runtime": "compile+cuda-graph",
    "stages": (2, 4),
    "blocks": "last",
    "device": "cuda",
}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "resnet50, inference, batch 2, 32x32, float32, cpu"),
        (
            WHOLE,
            "resnet101, training, batch 8, 800x1333, bfloat16, channels last, compiled, "
            "CUDA graphs, stages 2 4, last blocks, cuda",
        ),
        (
            {"isolated": True, "threads": 4, "seed": 0},
            "modules alone at their sizes in resnet50, inference, batch 2, 32x32, float32, cpu",
        ),
    ],
)
def test_a_case_is_described_in_one_line(case: Case, settings: dict, line: str) -> None:
    assert replace(case, **settings).described == line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ""),
        ({"stages": (3, 4)}, "stages 3 4"),
        ({"blocks": "last"}, "last blocks"),
        ({"stages": (1,), "blocks": "last"}, "stages 1, last blocks"),
    ],
)
def test_where_the_module_is_placed_is_said_unless_it_is_everywhere(
    case: Case, settings: dict, words: str
) -> None:
    assert replace(case, **settings).placed == words


def test_a_grid_varies_these_options_the_first_slowest() -> None:
    assert GRID == ("mode", "dtype", "batch_size", "image_size", "runtime")
