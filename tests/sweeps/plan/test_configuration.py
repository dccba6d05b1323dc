from dataclasses import replace

import pytest

from attnbench.sweeps.plan import configuration
from attnbench.sweeps.plan.configuration import KEYS, Configuration, single


def of(**values) -> Configuration:
    return Configuration(single({"modules": ("se",), "host": "resnet18", **values}))


BASE = of()


@pytest.mark.parametrize(
    "other",
    [
        of(host="resnet34"),
        of(modules=("se", "sa")),
        of(batch_size=2),
        of(budget_s=5.0),
        of(threads=1),
        of(device="cuda"),
        of(seed=1),
        replace(BASE, on={"gpu": "H100"}),
        replace(BASE, sources={"mine.py:Mine": "sha256 1"}),
        replace(BASE, files={"helpers.py": "1"}),
    ],
)
def test_the_digest_is_of_all_that_is_measured(other) -> None:
    assert other.digest != BASE.digest
    assert other.name != BASE.name


def test_the_digest_is_not_of_how_the_same_is_stated() -> None:
    assert of(batch_size=1, image_size=224, dtype="FP32", mode="Inference").digest == BASE.digest
    # A timeout changes no figure, and a repetition has the digest of the others.
    assert of(timeout_s=5.0).digest == BASE.digest
    assert replace(BASE, repetition=2).digest == BASE.digest
    assert replace(BASE, place="sweep.toml:9").name == BASE.name
    # And it stays the same between versions, as folders have it in their names.
    assert BASE.name == f"resnet18-inference-float32-b1-224-{BASE.digest[:12]}"


def test_a_configuration_is_described_with_what_is_stated() -> None:
    assert BASE.described == "resnet18, inference, batch 1, 224x224, float32"
    known = replace(of(device="cpu", threads=2, seed=7), repetition=3)
    assert known.described == f"{BASE.described}, cpu, threads 2, seed 7, repetition 3"
    assert BASE.wanted == "any device"


def test_a_request_states_the_device_of_the_slot() -> None:
    request = of(image_size=(64, 96)).request("cuda")
    assert request["options"] == {
        "modules": ("se",),
        "host": "resnet18",
        "device": "cuda",
        "image_size": ((64, 96),),
    }


def test_an_isolated_configuration_has_the_variants_of_such_a_run() -> None:
    assert of(isolated=True).plan.variants[-1] == "se layer4"


def test_keys_are_the_flags_of_run() -> None:
    assert {
        "batch-size": "batch_size",
        "runtime": "runtime",
        "budget": "budget_s",
    }.items() <= KEYS.items()
    assert "every" not in KEYS


def test_an_option_of_a_later_version_at_its_default_changes_no_digest(monkeypatch) -> None:
    before = BASE.digest
    later = replace(configuration.OPTIONS["blocks"], since=99)
    monkeypatch.setitem(configuration.OPTIONS, "blocks", later)
    without = of().digest
    assert without != before  # here it was written
    assert of(blocks="all").digest == without
    assert of(blocks="last").digest != without


def test_what_an_earlier_version_has_measured_keeps_its_name() -> None:
    """The digest as it was before ``--energy`` and ``--calibrate``, on 2026-11-26."""
    assert BASE.digest[:12] == "8b6ce6598ee6"


def test_the_plan_holds_what_takes_time() -> None:
    assert of(energy=6).plan.energy_rounds == 6
    assert of(budget_s=100.0).plan.processes == 6
    assert of(budget_s=10.0).plan.processes == 1
