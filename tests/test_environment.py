import json

import torch

from attnbench.environment import describe, moment
from attnbench.runs import MACHINE


def test_the_facts_are_flat_and_name_what_moves_a_number() -> None:
    facts = describe("cpu")
    assert all(isinstance(value, str | int | float | bool | None) for value in facts.values())
    assert facts["torch"] == torch.__version__
    for fact in ("cpu", "cores", "python", "platform", "time", "torchvision", "fvcore", "thop"):
        assert facts[fact], fact
    json.dumps(facts, allow_nan=False)


def test_what_tells_machines_apart_does_not_change_during_a_run() -> None:
    assert not set(moment()) & set(MACHINE)
    assert set(MACHINE) - {"gpu", "cuda", "cudnn"} <= set(describe("cpu"))
