from dataclasses import replace

import pytest

from attnbench.records.run import Run
from attnbench.records.schema import Block, Count, Disturbance, End, Failure, Round
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun
from attnbench.report.tables.sentences.control import control


def test_what_would_do_is_said_once_where_it_was_too_noisy(run: Run) -> None:
    # The control is known to [0.97, 1.03]: ±3% where 1% was wanted takes nine times the rounds.
    times = {"plain": (0.1,) * 6, "control": (0.097, 0.103, 0.1, 0.1, 0.103, 0.097)}
    rounds = [
        Round(
            number=number,
            blocks=tuple(
                Block(variant=name, steps=1, seconds=each[number]) for name, each in times.items()
            ),
        )
        for number in range(6)
    ]
    plan = replace(run.plan, budget_s=100.0, target=0.01)
    facts = {**run.environment, "cores_allowed": 2}
    noisy = replace(
        run, plan=plan, rounds=rounds, environment=facts, moments=[{"load_average": 8.1}] * 6
    )
    fault = "the plain host against itself is known no better than ±3.0%"
    assert control(LoadedRun(noisy)) == (
        "Control (plain against plain): 1.000 [0.970, 1.030]. "
        f"Too noisy to judge: {fault}. "
        "Load was 8 on 2 cores: quiet the machine, or --threads 1, or --budget 900."
    )
    single = replace(noisy, case=replace(run.case, threads=1), moments=[])
    assert control(LoadedRun(single)).endswith(f"{fault}. Quiet the machine, or --budget 900.")
    # Nine times 500 s are more than an hour, which is no advice.
    long = replace(noisy, plan=replace(plan, budget_s=500.0))
    assert control(LoadedRun(long)).endswith("quiet the machine, or --threads 1.")
    few = control(LoadedRun(replace(noisy, rounds=rounds[:5])))
    assert few.endswith("fewer than 6 rounds. More rounds would do: --budget 600.")
    # Five rounds took 1.003 s, more than the budget: six times two whole seconds.
    slow = replace(noisy, plan=replace(plan, budget_s=0.5), rounds=rounds[:5])
    assert control(LoadedRun(slow)).endswith("More rounds would do: --budget 12.")


def of_control(run: Run, share: float, processes: int) -> Run:
    """Twelve rounds of which the control takes that share of the plain host's time in each."""
    rounds = [
        Round(
            number=number,
            process=number * processes // 12,
            blocks=(
                Block(variant="plain", steps=1, seconds=0.1),
                Block(variant="control", steps=1, seconds=0.1 * share),
            ),
        )
        for number in range(12)
    ]
    return replace(run, rounds=rounds)


def test_where_two_copies_differ_in_one_process_more_of_them_are_advised(run: Run) -> None:
    fault = "the plain host against itself is significantly different from 1"
    one = control(LoadedRun(of_control(run, 1.002, processes=1)))
    assert f"{fault}. " in one
    assert one.endswith("or --processes 6.")
    # Two have six rounds each, and two show nothing of what differs between them.
    assert "--processes" in control(LoadedRun(of_control(run, 1.002, processes=2)))
    assert "it holds" in control(LoadedRun(of_control(run, 1.0, processes=1)))


def with_disturbances(run: Run, *disturbances: Disturbance) -> Run:
    """The same, its rounds all alike but for what kept the first ones from their work."""
    blocks = tuple(Block(variant=name, steps=1, seconds=0.1) for name in ("plain", "control", "sa"))
    rounds = [
        Round(number=number, blocks=blocks, disturbance=each)
        for number, each in enumerate([*disturbances, *[None] * 6])
    ]
    return replace(run, rounds=rounds)


def test_rounds_that_were_disturbed_are_named(run: Run) -> None:
    asleep = Disturbance(elapsed_s=3.0, asleep_s=2.7)
    waiting = Disturbance(elapsed_s=1.0, waited_s=0.5, stolen_s=0.0)
    quiet = Disturbance(elapsed_s=1.0, asleep_s=0.0, waited_s=0.0, stolen_s=0.0)
    lines = remarks(LoadedRun(with_disturbances(run, asleep, waiting, quiet, waiting)))
    assert "Rounds flagged, none dropped: 1 asleep, 2 waiting for a core." in lines


def test_a_round_far_from_the_others_in_length_is_named(run: Run) -> None:
    # Plain's rounds 1 and 3 take a tenth more and less, where the others differ by 1 in 100.
    lines = remarks(LoadedRun(run))
    assert "Rounds flagged, none dropped: 2 far from the others in length." in lines


def test_nothing_is_said_of_rounds_that_were_left_alone(run: Run) -> None:
    lines = remarks(LoadedRun(with_disturbances(run, Disturbance(elapsed_s=1.0))))
    assert not any("flagged" in remark for remark in lines)
    assert not any("GPU" in remark for remark in lines)


def test_an_error_of_many_modules_is_said_once(run: Run) -> None:
    failure = Failure(step="latency", type="MemoryError", message="no\nroom")
    other = replace(failure, message="no bread")
    run.failures = {name: {"latency": failure} for name in ("sa", "mine")}
    run.failures["sk"] = {"latency": other}
    said = [remark for remark in remarks(LoadedRun(run)) if "failed at" in remark]
    assert said == [
        "SA, mine failed at latency: MemoryError: no room.",
        "SK failed at latency: MemoryError: no bread.",
    ]


CALM = {"gpu_throttle": "", "gpu_other_processes": 0, "gpu_clock_mhz": 1980}
NO_DRIVER = dict.fromkeys(CALM)


def said_of_the_gpu(run: Run, *moments: dict) -> list[str]:
    run.moments = list(moments)
    return [remark for remark in remarks(LoadedRun(run)) if "GPU" in remark]


def test_what_throttled_the_gpu_is_named_with_how_often(run: Run) -> None:
    hot, capped = CALM | {"gpu_throttle": "too hot"}, CALM | {"gpu_throttle": "power cap"}
    assert said_of_the_gpu(run, CALM, hot, capped, hot)[:-1] == [
        "The GPU was throttled after 2 rounds: too hot.",
        "The GPU was throttled after 1 round: power cap.",
    ]


def test_others_on_the_gpu_are_a_warning(run: Run) -> None:
    shared = CALM | {"gpu_other_processes": 3}
    assert said_of_the_gpu(run, shared, CALM, shared)[:-1] == [
        "WARNING: after 2 rounds other processes were on the GPU."
    ]


def test_the_gpus_clock_is_given_from_least_to_most(run: Run) -> None:
    slow = CALM | {"gpu_clock_mhz": 1410}
    assert said_of_the_gpu(run, CALM, slow, NO_DRIVER, CALM) == [
        "GPU clock after the rounds: 1410 to 1980 MHz."
    ]


def test_a_clock_that_stays_is_given_once(run: Run) -> None:
    assert said_of_the_gpu(run, CALM, CALM) == ["GPU clock after the rounds: 1980 MHz."]


def test_nothing_is_said_of_a_gpu_whose_driver_says_nothing(run: Run) -> None:
    assert said_of_the_gpu(run, NO_DRIVER, {}) == []


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (
            End(reason="failed", rounds=9, message="the process died"),
            "then it failed: the process died.",
        ),
        (End(reason="failed", rounds=9), "then it failed: the baseline did."),
        (End(reason="target", rounds=9), "every interval reached ±1.0%."),
        (End(reason="budget", rounds=9), "the budget of 1 min 0 s was spent."),
        (None, "the run is not finished."),
    ],
)
def test_the_first_remark_says_why_the_rounds_ended(run: Run, end: End | None, words: str) -> None:
    run.end = end
    assert remarks(LoadedRun(run))[0] == f"9 interleaved rounds in 5 s; {words}"


def test_a_message_of_several_lines_is_a_remark_of_one(run: Run) -> None:
    run.end = End(reason="failed", rounds=9, message="RuntimeError: out\n  of luck")
    assert remarks(LoadedRun(run))[0].endswith("then it failed: RuntimeError: out of luck.")


def test_counts_that_hold_for_one_input_alone_say_so(run: Run) -> None:
    assert not any("one forward" in remark for remark in remarks(LoadedRun(run)))
    depends = {
        rule: replace(count, computed="item():\ndepends on data")
        for rule, count in run.counts["sa"].items()
    }
    run.counts = run.counts | {"sa": depends}
    assert (
        "The counts of SA are those of one forward with the seed's input, on which its operators "
        "may depend: item(): depends on data."
    ) in remarks(LoadedRun(run))


def test_operators_that_no_table_knows_are_remarked_on(run: Run) -> None:
    base = Count(operations=1, not_counted={"aten.erfinv": 1})
    more = Count(operations=2, not_counted={"aten.erfinv": 3, "mine.gate": 1})
    marked = replace(run, counts={"plain": {"executed": base}, "sa": {"executed": more}})
    remark = (
        "SA is not fully counted, so its kernels and memory traffic are too low, and other counts "
        "may be (marked ≥): aten.erfinv x2, mine.gate x1."
    )
    assert remark in remarks(LoadedRun(marked))
    alike = replace(run, counts={"plain": {"executed": base}, "sa": {"executed": base}})
    assert not [line for line in remarks(LoadedRun(alike)) if "not fully counted" in line]


def test_modules_at_different_numbers_of_sites_are_told_apart(run: Run) -> None:
    def lines(**sites: int) -> list[str]:
        known = LoadedRun(replace(run, plan=replace(run.plan, sites=sites)))
        return [line for line in remarks(known) if "sites" in line]

    assert lines(sa=4, sk=16) == [
        "Modules stand at different numbers of sites of the host: SA at 4 sites, SK at 16 sites."
    ]
    assert lines(sa=16, sk=16) == lines() == []
