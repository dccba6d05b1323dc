from dataclasses import replace

import pytest

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.run import MACHINE, gather, read
from attnbench.records.schema import (
    Block,
    Compiled,
    Count,
    Counts,
    End,
    Failure,
    Memory,
    Plan,
    Profile,
    Record,
    Round,
)
from attnbench.records.variants import alone
from attnbench.system import environment

ENVIRONMENT = {"cpu": "A", "cores": 2, "torch": "2.6", "time": "12:00", "load_average": 0.1}
PLAN = Plan(variants=("plain", "control", "sa", "se"), budget_s=10.0, target=0.01)
COUNTS = Counts(rules={"leaf": Count(operations=7)})
MEMORY = Memory(peak_live_bytes=8)
PROFILE = Profile(
    steps=2,
    seconds={"layer1 attention": {"aten::mul": 0.25}},
    host_s=(0.0, 0.0),
    attention_s=(0.25, 0.25),
    plain_s=(0.5, 0.5),
)


@pytest.fixture
def record(case):
    def make(results=None, variant=None, **changes):
        values = {"case": case, "results": results, "variant": variant, "environment": ENVIRONMENT}
        return Record(**values | changes)

    return make


def round_of(number, seconds):
    blocks = (
        Block(variant="plain", steps=2, seconds=seconds),
        Block(variant="sa", steps=1, seconds=2 * seconds),
        Block(variant="control", steps=2, seconds=seconds),
        Block(variant="se", steps=2, seconds=seconds),
    )
    return Round(number=number, blocks=blocks)


def failure(step):
    return Failure(step=step, type="RuntimeError", message="killed")


def test_a_run_holds_the_results_of_its_records(record, case):
    run = gather(
        [
            record(PLAN),
            record(COUNTS, "plain"),
            record(MEMORY, "plain"),
            record(round_of(0, 0.5)),
            record(round_of(1, 0.25)),
            record(End(reason="budget", rounds=2)),
        ],
        "file",
    )
    assert (run.case, run.plan, run.environment) == (case, PLAN, ENVIRONMENT)
    assert run.counts == {"plain": COUNTS.rules}
    assert run.memory == {"plain": MEMORY}
    assert run.rounds == [round_of(0, 0.5), round_of(1, 0.25)]
    assert run.end == End(reason="budget", rounds=2)


def test_what_compiling_took_and_the_facts_of_each_round_are_kept(record, case):
    compiled, hot = replace(case, runtime="compile"), ENVIRONMENT | {"gpu_temperature_c": 80}
    run = gather(
        [
            record(PLAN, case=compiled),
            record(Compiled(seconds=9.0), "sa", case=compiled),
            record(round_of(0, 0.5), case=compiled),
            record(round_of(1, 0.5), case=compiled, environment=hot),
        ],
        "file",
    )
    assert run.compiled == {"sa": Compiled(seconds=9.0)}
    assert run.moments == [ENVIRONMENT, hot]


def test_an_isolated_run_has_no_networks_and_counts_all_but_the_control(record, case):
    plan = Plan(variants=alone(("sa", "se")), budget_s=1.0, target=0.01)
    run = gather([record(plan, case=replace(case, isolated=True))], "file")
    assert run.networks == ()
    assert run.modules == ("sa", "se")
    assert run.counted == ("copy", *plan.variants[2:])
    assert (plan.baseline, plan.control) == ("copy", "copy again")


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        (None, "counts of 'sa layer1' without its input's shape"),
        ((2**31, 2**22, 1, 1), "2147483648 images of 'sa layer1', and the run's batch is 2"),
    ],
)
def test_a_module_alone_has_counts_at_an_input_of_the_batch(record, case, shape, fault):
    alone_case = replace(case, isolated=True, batch_size=2)
    plan = Plan(variants=alone(("sa",)), budget_s=1.0, target=0.01)
    records = [record(plan, case=alone_case)]
    fits = replace(COUNTS, shape=(2, 256, 8, 8))
    assert gather([*records, record(fits, "sa layer1", case=alone_case)], "file").shapes
    records.append(record(replace(COUNTS, shape=shape), "sa layer1", case=alone_case))
    with pytest.raises(UserError, match=rf"file, line 2: results\.shape: {fault}"):
        gather(records, "file")


def test_a_network_has_no_shape_of_its_own(record):
    network = replace(COUNTS, shape=(1, 3, 224, 224))
    with pytest.raises(UserError, match=r"results\.shape: 'sa' is a network"):
        gather([record(PLAN), record(network, "sa")], "file")


def test_a_run_is_read_from_its_folder(record, tmp_path):
    store.append(tmp_path, record(PLAN))
    store.append(tmp_path, record(COUNTS, "plain"))
    assert read(tmp_path).counts == {"plain": COUNTS.rules}
    with pytest.raises(UserError, match="cannot read"):
        read(tmp_path / "missing")


def test_the_control_is_a_variant_and_not_another_network(record):
    run = gather([record(PLAN)], "file")
    assert run.networks == ("plain", "sa", "se")
    assert run.modules == ("sa", "se")


def test_the_time_of_a_run_is_that_of_all_blocks(record):
    run = gather([record(PLAN), record(round_of(0, 0.5)), record(round_of(1, 0.25))], "file")
    assert run.timed_s == 3.75  # (0.5 + 1.0 + 0.5 + 0.5) + half of that
    assert gather([record(PLAN)], "file").timed_s == 0


def test_a_step_is_done_when_it_has_a_result_or_has_failed(record):
    run = gather(
        [
            record(PLAN),
            record(COUNTS, "sa"),
            record(variant="sa", error=failure("memory")),
            record(variant="se", error=failure("counts")),
        ],
        "file",
    )
    assert run.has("sa", "counts")
    assert run.has("sa", "memory")
    assert run.has("se", "counts")
    assert not run.has("se", "memory")
    assert not run.has("plain", "counts")
    assert run.failed("sa", "memory")
    assert not run.failed("sa", "counts")
    assert not run.failed("se", "latency")


def test_a_variant_can_fail_at_several_steps(record):
    records = [record(variant="sa", error=failure(step)) for step in ("counts", "latency")]
    run = gather([record(PLAN), *records], "file")
    assert run.failures == {"sa": {"counts": failure("counts"), "latency": failure("latency")}}


@pytest.mark.parametrize(
    ("field", "other"),
    [("batch_size", 4), ("dtype", "bfloat16"), ("channels_last", True), ("seed", 0)],
)
def test_a_line_of_another_configuration_is_refused_with_its_number(record, case, field, other):
    records = [record(PLAN), record(COUNTS, "sa"), record(COUNTS, "se")]
    records[2] = replace(records[2], case=replace(case, **{field: other}))
    with pytest.raises(UserError) as raised:
        gather(records, "file")
    before = getattr(case, field)
    assert str(raised.value) == (
        f"file, line 3: another configuration: {field} is {other} here and {before} before"
    )


@pytest.mark.parametrize("fact", MACHINE)
def test_a_line_of_another_machine_is_refused_with_its_number(record, fact):
    before = ENVIRONMENT.get(fact)
    with pytest.raises(UserError) as raised:
        gather([record(PLAN), record(COUNTS, "sa", environment=ENVIRONMENT | {fact: "B"})], "file")
    assert str(raised.value) == (
        f"file, line 2: another machine: {fact} is B here and {before} before"
    )


def test_a_fact_that_one_machine_lacks_makes_it_another(record):
    lacking = {key: value for key, value in ENVIRONMENT.items() if key != "torch"}
    with pytest.raises(UserError, match=r"torch is None here and 2\.6 before"):
        gather([record(PLAN), record(COUNTS, "sa", environment=lacking)], "file")


def test_time_and_load_may_change_within_a_run(record):
    later = ENVIRONMENT | {"time": "13:00", "load_average": 1.5}
    assert gather([record(PLAN), record(COUNTS, "sa", environment=later)], "file").has(
        "sa", "counts"
    )


def test_this_machine_is_recognised_from_stored_facts(record, tmp_path):
    here = environment.describe("cpu")
    store.append(tmp_path, record(PLAN, environment=here))
    run = gather(store.read(tmp_path), "file")
    run.add(record(COUNTS, "sa", environment=environment.describe("cpu")))
    assert run.has("sa", "counts")


def test_a_run_begins_with_its_plan(record):
    with pytest.raises(UserError, match=r"^file, line 1: a run begins with its plan$"):
        gather([record(COUNTS, "sa"), record(PLAN)], "file")


def test_a_failure_does_not_begin_a_run(record):
    with pytest.raises(UserError, match=r"^file, line 1: a run begins with its plan$"):
        gather([record(variant="sa", error=failure("counts"))], "file")


def test_no_records_are_no_run():
    with pytest.raises(UserError, match=r"^file: no records$"):
        gather([], "file")


def test_a_record_after_the_end_is_refused(record):
    end = End(reason="budget", rounds=1)
    lines = [record(PLAN), record(round_of(0, 0.5)), record(end), record(round_of(1, 0.25))]
    with pytest.raises(UserError, match="line 4: a line after the end"):
        gather(lines, "file")


def test_a_variant_that_is_not_planned_is_refused(record):
    with pytest.raises(UserError, match="line 2: variant 'xyz' is not in the run's plan"):
        gather([record(PLAN), record(Counts(rules={}), variant="xyz")], "file")


def test_counts_twice_are_refused(record):
    counts = record(Counts(rules={}), variant="plain")
    with pytest.raises(UserError, match="line 3: counts of 'plain' again"):
        gather([record(PLAN), counts, counts], "file")


@pytest.mark.parametrize(
    "variants",
    [(), ("se", "plain"), ("plain", "control", "se", "se"), ("plain", "copy again", "se")],
)
def test_a_plan_without_its_baseline_or_with_a_name_twice_is_refused(variants):
    with pytest.raises(ValueError, match="names the baseline, its control"):
        replace(PLAN, variants=variants)


def test_a_profile_is_known_by_its_network(record):
    run = gather([record(PLAN), record(PROFILE, "sa")], "file")
    assert run.profile == {"sa": PROFILE}
    assert run.has("sa", "profile")
    failed = gather([record(PLAN), record(variant="se", error=failure("profile"))], "file")
    assert failed.has("se", "profile")
    assert not failed.failed("se", "latency")


@pytest.mark.parametrize(
    "settings",
    [{"mode": "training"}, {"runtime": "compile"}, {"runtime": "onnxruntime"}, {"device": "mps"}],
)
def test_a_profile_of_what_cannot_be_profiled_is_refused(record, case, settings):
    case = replace(case, **settings)
    lines = [record(PLAN, case=case), record(PROFILE, "sa", case=case)]
    with pytest.raises(UserError, match="line 2: no such run has profile of 'sa'"):
        gather(lines, "file")


def test_a_profile_of_the_control_or_a_second_one_is_refused(record):
    with pytest.raises(UserError, match="line 2: no such run has profile of 'control'"):
        gather([record(PLAN), record(PROFILE, "control")], "file")
    with pytest.raises(UserError, match="line 3: profile of 'sa' again"):
        gather([record(PLAN), record(PROFILE, "sa"), record(PROFILE, "sa")], "file")


@pytest.mark.parametrize("seconds", [{}, {"layer1 host": {"aten::mul": 0.0}}])
def test_a_profile_without_time_is_refused(seconds):
    with pytest.raises(ValueError, match="above 0 for an operator at least"):
        replace(PROFILE, seconds=seconds)


@pytest.mark.parametrize(
    "seconds", [{"host_s": (1.0,)}, {"attention_s": ()}, {"plain_s": (1.0, 1.0, 1.0)}]
)
def test_a_profile_has_a_figure_for_each_step(seconds):
    with pytest.raises(ValueError, match="have a figure for each step"):
        replace(PROFILE, **seconds)
    assert replace(PROFILE, plain_s=()).plain_s == ()  # of the plain host itself


def test_a_profile_whose_lost_second_shows_in_its_total_is_refused():
    seconds = {
        "layer1 attention": {"aten::mul": 0.1, "aten::add": 1e-9},
        "layer1 host": {"aten::conv2d": 0.2},
    }
    whole = replace(PROFILE, seconds=seconds, total_s=0.1 + 1e-9 + 0.2)
    for part, row in seconds.items():
        for operator in row:
            left = {name: spent for name, spent in row.items() if name != operator}
            with pytest.raises(ValueError, match="seconds of a profile add up to 0"):
                replace(whole, seconds=seconds | {part: left})
        with pytest.raises(ValueError, match="not to total_s"):
            replace(whole, seconds={name: row for name, row in seconds.items() if name != part})
    # Of older records there is none.
    assert replace(whole, total_s=None, seconds={"layer1 host": {"aten::mul": 0.1}})


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_a_target_that_so_few_rounds_cannot_have_reached_is_refused(rounds):
    """Six values are the fewest whose smallest and largest hold the median 19 times in 20."""
    assert 2 * 0.5**5 > 0.05 > 2 * 0.5**6
    with pytest.raises(ValueError, match="fewer than 6 have no interval"):
        End(reason="target", rounds=rounds)
    assert End(reason="target", rounds=6)
    assert End(reason="budget", rounds=rounds)


@pytest.mark.parametrize("spent", [-1e-9, float("nan"), 1e9])
def test_seconds_that_no_operator_can_take_are_refused(spent):
    with pytest.raises(ValueError, match="aten::mul"):
        replace(PROFILE, seconds={"layer1 host": {"aten::mul": spent}})


def test_a_second_plan_is_refused(record):
    other = replace(PLAN, variants=("plain", "control", "eca"))
    with pytest.raises(UserError, match="line 2"):
        gather([record(PLAN), record(other)], "file")


def test_a_round_number_that_is_stored_already_is_refused(record):
    with pytest.raises(UserError, match=r"line 3: results\.number: round 0 again"):
        gather([record(PLAN), record(round_of(0, 0.5)), record(round_of(0, 0.25))], "file")


@pytest.mark.parametrize("numbers", [(1,), (0, 2), (0, 1, 3)])
def test_a_round_that_is_missing_is_named(record, numbers):
    rounds = [record(round_of(number, 0.5)) for number in numbers]
    line, gap = len(rounds) + 1, len(rounds) - 1
    with pytest.raises(UserError) as raised:
        gather([record(PLAN), *rounds], "file")
    assert str(raised.value) == (
        f"file, line {line}: results.number: round {numbers[-1]}, where round {gap} is missing"
    )


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_an_end_of_another_number_of_rounds_is_refused(record, rounds):
    lines = [record(PLAN), record(round_of(0, 0.5)), record(round_of(1, 0.5))]
    message = f"line 4: results.rounds: the end names {rounds} rounds, and the run has 2"
    with pytest.raises(UserError, match=message):
        gather([*lines, record(End(reason="budget", rounds=rounds))], "file")


def blocks_of(*variants):
    return tuple(Block(variant=variant, steps=1, seconds=0.5) for variant in variants)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (blocks_of("plain", "control", "sa"), "variant 'se' is missing"),
        (blocks_of(), "variant 'plain' is missing"),
        (blocks_of(*PLAN.variants, "eca"), "variant 'eca' is not in the run's plan"),
        (blocks_of(*PLAN.variants, "sa"), "variant 'sa' ran twice"),
        (blocks_of(*PLAN.variants, "\x1b[2J"), r"variant '\\x1b\[2J' is not"),
    ],
)
def test_a_round_has_every_variant_of_the_plan_once(record, blocks, message):
    with pytest.raises(UserError, match=f"line 2: results.blocks of round 0: {message}"):
        gather([record(PLAN), record(Round(number=0, blocks=blocks))], "file")


def test_a_round_lacks_what_had_failed_and_nothing_else(record):
    lines = [
        record(PLAN),
        record(round_of(0, 0.5)),
        record(variant="se", error=failure("latency")),
        record(Round(number=1, blocks=blocks_of("plain", "control", "sa"))),
    ]
    assert len(gather(lines, "file").rounds) == 2
    with pytest.raises(UserError, match=r"line 5: .*blocks of round 2: variant 'se' had f"):
        gather([*lines, record(round_of(2, 0.5))], "file")


def gathered(record, *rounds):
    return gather([record(PLAN), *map(record, rounds)], "file")


def test_processes_follow_each_other(record):
    rounds = [
        replace(round_of(number, 0.5), process=process) for number, process in enumerate([0, 0, 1])
    ]
    assert [each.process for each in gathered(record, *rounds).rounds] == [0, 0, 1]
    assert round_of(0, 0.5).process == 0  # of records that do not state it
    for process, before in ((0, 2), (3, 2)):
        message = (
            f"line 5: results.process: round 3 ran in process {process}, and the .* are {before}"
        )
        with pytest.raises(UserError, match=message):
            gathered(record, *rounds, replace(round_of(3, 0.5), process=process))
    with pytest.raises(UserError, match=r"line 2: results\.process: round 0 ran in process 1"):
        gathered(record, replace(round_of(0, 0.5), process=1))


def test_a_round_lacks_what_it_says_sits_out(record):
    resting = Round(number=0, blocks=blocks_of("plain", "control", "sa"), sits_out=("se",))
    assert gathered(record, resting, round_of(1, 0.5)).rounds[0].sits_out == ("se",)


@pytest.mark.parametrize(
    ("ran", "resting", "message"),
    [
        (("plain", "sa", "se"), ("control",), "sits_out of round 0: variant 'control' cannot"),
        (("control", "sa", "se"), ("plain",), "sits_out of round 0: variant 'plain' cannot"),
        (PLAN.variants, ("se",), "sits_out of round 0: variant 'se' ran in it"),
        (PLAN.variants, ("eca",), "sits_out of round 0: variant 'eca' cannot"),
        (("plain", "control", "sa"), ("se", "se"), "sits_out of round 0: a variant is named twice"),
        (("plain", "control"), ("se",), "blocks of round 0: variant 'sa' is missing"),
    ],
)
def test_only_modules_that_could_run_sit_out(record, ran, resting, message):
    with pytest.raises(UserError, match=f"line 2: results.{message}"):
        gathered(record, Round(number=0, blocks=blocks_of(*ran), sits_out=resting))


def test_the_witness_of_a_round_is_the_baseline(record):
    seen, other = blocks_of("plain", "sa")
    assert gathered(record, replace(round_of(0, 0.5), witness=seen)).rounds[0].witness == seen
    with pytest.raises(UserError, match=r"results\.witness of round 0: variant 'sa' is not the"):
        gathered(record, replace(round_of(0, 0.5), witness=other))


def test_a_result_or_an_error_twice_is_refused(record, case):
    compiled = replace(case, runtime="compile")
    for line, what in (
        (record(MEMORY, "sa"), "memory of 'sa' again"),
        (record(Compiled(seconds=1.0), "sa", case=compiled), "compiled of 'sa' again"),
        (record(variant="sa", error=failure("memory")), "the error of 'sa' at memory again"),
    ):
        with pytest.raises(UserError, match=f"line 3: {what}"):
            gather([record(PLAN, case=line.case), line, line], "file")


@pytest.mark.parametrize(
    ("results", "variant"),
    [(COUNTS, "control"), (MEMORY, "control"), (Compiled(seconds=1.0), "sa")],
)
def test_results_that_no_such_run_has_are_refused(record, results, variant):
    with pytest.raises(UserError, match=f"line 2: no such run has {results.kind} of '{variant}'"):
        gather([record(PLAN), record(results, variant)], "file")


def test_steps_have_the_same_parts_in_every_round(record):
    def split(*variants):
        blocks = blocks_of(*PLAN.variants)
        parts = {"forward": 0.2, "backward": 0.3}
        return tuple(replace(b, parts=parts) if b.variant in variants else b for b in blocks)

    whole = record(Round(number=0, blocks=split(*PLAN.variants)))
    assert len(gather([record(PLAN), whole], "file").rounds) == 1
    for blocks in (split("sa"), split()):
        lines = [record(PLAN), whole, record(Round(number=1, blocks=blocks))]
        with pytest.raises(UserError, match="round 1: steps have other parts than before"):
            gather(lines, "file")


def test_a_run_that_failed_and_was_resumed_is_read_whatever_came_between(record):
    dead = record(End(reason="failed", rounds=1, message="its process was killed"))
    lines = [
        record(PLAN),
        record(round_of(0, 0.5)),
        dead,
        record(COUNTS, "sa"),
        dead,
        record(round_of(1, 0.5)),
        record(End(reason="budget", rounds=2)),
    ]
    run = gather(lines, "file")
    assert run.finished
    assert len(run.rounds) == 2


def test_a_run_that_failed_can_be_resumed(record):
    dead = End(reason="failed", rounds=1, message="its process was killed")
    run = gather([record(PLAN), record(round_of(0, 0.5)), record(dead)], "file")
    assert (run.end, run.finished) == (dead, False)
    run.add(record(round_of(1, 0.5)))
    assert run.end is None
    run.add(record(End(reason="budget", rounds=2)))
    assert run.finished
