from dataclasses import replace

import pytest

from attnbench.records.run import Run
from attnbench.records.schema import Block, Count, Profile, Round
from attnbench.records.variants import COPY, PRODUCT
from attnbench.report.tables.inside import shares
from attnbench.report.tables.inside.kinds import (
    CONVOLUTIONS,
    ELEMENTWISE,
    KINDS,
    MOVES,
    NORMALISATION,
    ORDER,
    REST,
    kind_of,
)
from attnbench.report.tables.run import LoadedRun, tables


def cost(read, written, macs):
    return {"kernels": 1, "bytes_read": read, "bytes_written": written, "macs": macs}


@pytest.fixture
def profiled(run: Run) -> Run:
    """A plain step of 100 ms; with SA one of 125 ms, of which the attention takes 20.

    Of the plain steps beside it one was twice as long, and so was SA's.
    """
    plain = {"conv1 host": {"aten::mkldnn_convolution": 0.1}}
    sa = {
        "layer1 host": {"aten::mkldnn_convolution": 0.105},
        "layer1 attention": {"aten::mul": 0.008, "aten::sigmoid": 0.002, "aten::cat": 0.004},
        "layer2 attention": {
            "aten::mul": 0.001,
            "aten::native_group_norm": 0.003,
            "between operators": 0.002,
        },
    }
    profile = {
        "plain": Profile(steps=7, seconds=plain, host_s=(0.1,) * 7, attention_s=(0.0,) * 7),
        "sa": Profile(
            steps=7,
            seconds=sa,
            host_s=(0.210, *(0.105,) * 6),
            attention_s=(0.040, *(0.020,) * 6),
            plain_s=(0.200, *(0.100,) * 6),
        ),
    }
    parts = {
        "layer1 host": cost(600, 300, 9_999),
        "layer1 attention": cost(40, 30, 1),
        "layer2 attention": cost(20, 10, 0),
    }
    counts = dict(run.counts["sa"]) | {"executed": Count(operations=1, parts=parts)}
    case = replace(run.case, batch_size=1)
    return replace(run, case=case, profile=profile, counts=run.counts | {"sa": counts})


def test_attention_stands_against_its_host(profiled):
    sa = shares.frame(profiled).set_index("variant").loc["sa"]
    assert sa["profiled_s"] == pytest.approx(0.125)
    assert sa["attention_s"] == pytest.approx(0.020)
    shares_of_it = [sa[f"attention_share{end}"] for end in ("", "_low", "_high")]
    assert shares_of_it == pytest.approx([0.2] * 3)  # 20 / 100, and 40 / 200
    assert sa["host_ratio"] == pytest.approx(1.05)  # 105 / 100
    assert sa["macs_share"] == pytest.approx(1e-4)  # 1 / 10,000
    assert sa["moved_share"] == pytest.approx(0.1)  # 100 / 1,000
    assert sa["stages"] == "layer1 14.00, layer2 6.00"
    assert sa["operators"] == "mul 9.00, cat 4.00, native_group_norm 3.00"


def test_rates_are_of_the_counts_of_the_same_parts(profiled):
    sa = shares.frame(profiled).set_index("variant").loc["sa"]
    assert sa["attention_bytes_per_s"] == pytest.approx(100 / 0.020)
    assert sa["host_bytes_per_s"] == pytest.approx(900 / 0.105)
    assert sa["attention_macs_per_s"] == pytest.approx(1 / 0.020)
    assert sa["host_macs_per_s"] == pytest.approx(9_999 / 0.105)


def test_bytes_a_second_are_of_one_image_alone(profiled):
    batch = replace(profiled, case=replace(profiled.case, batch_size=4))
    sa = shares.frame(batch).set_index("variant").loc["sa"]
    assert sa[["attention_bytes_per_s", "host_bytes_per_s"]].isna().all()
    assert sa["host_macs_per_s"] == pytest.approx(4 * 9_999 / 0.105)


def isolated(run, **changes):
    """A copy of 1,000 bytes in a microsecond, a product of 500 in two."""
    blocks = tuple(
        Block(variant=name, steps=1, seconds=seconds)
        for name, seconds in ((COPY, 1e-6), (PRODUCT, 2e-6))
    )
    counts = {
        COPY: {"executed": Count(operations=1, details=cost(500, 500, 0))},
        PRODUCT: {"executed": Count(operations=1, details=cost(1, 1, 500))},
    }
    case = replace(run.case, isolated=True, **changes)
    rounds = [Round(number=0, blocks=blocks)]
    return Run(case, run.plan, run.environment, counts=counts, rounds=rounds)


def test_ceilings_are_those_of_an_isolated_run_of_the_same_machine(profiled):
    best = shares.frame(profiled, [profiled, isolated(profiled)]).iloc[0]
    assert best["copy_bytes_per_s"] == pytest.approx(1e9)
    assert best["product_macs_per_s"] == pytest.approx(0.25e9)


def test_ceilings_of_another_machine_or_dtype_do_not_stand_beside(profiled):
    other = isolated(profiled)
    other.environment = other.environment | {"cpu": "another"}
    for unlike in (other, isolated(profiled, dtype="bfloat16"), isolated(profiled, threads=7)):
        found = shares.frame(profiled, [unlike])
        assert found[["copy_bytes_per_s", "product_macs_per_s"]].isna().all(axis=None)


def test_a_profile_without_counts_has_no_rates(profiled):
    alone = replace(profiled, counts={}, profile={"sa": profiled.profile["sa"]})
    (row,) = shares.frame(alone).to_dict("records")
    assert row["attention_share"] == pytest.approx(0.2)
    assert shares.frame(alone)[["macs_share", *shares.RATES]].isna().all(axis=None)


def test_tables_say_that_a_profiler_slows_what_it_watches(profiled):
    found = tables(LoadedRun(profiled))[-3:]
    assert "a profiler slows what it watches: read shares, not latencies" in found[0].caption
    assert [row[0] for row in found[0].rows] == ["plain", "SA"]
    assert found[0].rows[1][1:] == (
        *("125.00", "20.00", "20.0 [20.0, 20.0]%", "+5.0% [+5.0, +5.0]", "0.010%", "10.0%"),
    )
    assert found[1].rows == (
        ("SA", "layer1 14.00, layer2 6.00", "mul 9.00, cat 4.00, native_group_norm 3.00"),
    )
    whole = shares.table(profiled)
    assert whole is not None
    assert whole.caption == found[0].caption
    assert "most time in (ms)" in whole.headings


def test_a_run_without_profiles_has_none_of_it(run):
    assert shares.tables(run) == []
    assert shares.table(run) is None
    assert shares.kinds(run).empty


def test_seconds_by_kind_are_shares_of_the_plain_step(profiled):
    (sa,) = shares.kinds(profiled).to_dict("records")
    assert sa["variant"] == "sa"
    assert sa[ELEMENTWISE] == pytest.approx(0.11)  # 8 + 2 + 1 of 100
    assert sa[NORMALISATION] == pytest.approx(0.03)
    assert sa[MOVES] == pytest.approx(0.04)
    assert sa[REST] == pytest.approx(0.02)
    assert sa["host_ratio"] == pytest.approx(1.05)
    assert sum(sa[kind] for kind in ORDER) == pytest.approx(0.20)


def test_every_operator_has_one_kind_and_unknown_ones_the_rest():
    every = [operator for operators in KINDS.values() for operator in operators]
    assert len(every) == len(set(every))
    assert {*KINDS, REST} == set(ORDER)
    assert kind_of("aten::add_") == kind_of("aten::mul") == ELEMENTWISE
    assert kind_of("aten::mkldnn_convolution") == CONVOLUTIONS
    assert kind_of("aten::view") == kind_of("mine::add") == kind_of("between operators") == REST
