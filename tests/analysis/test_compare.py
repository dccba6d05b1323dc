import shutil
from dataclasses import replace

import pytest
from helpers.changes import ends, the_only
from helpers.stored_runs import ENVIRONMENT

from attnbench.analysis.compare import compare
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.schema import Plan, Record
from attnbench.records.variants import alone

LIMIT = 0.03


def isolated(folder, case):
    plan = Plan(variants=alone(("sa",)), budget_s=10.0, target=0.01)
    record = Record(case=replace(case, isolated=True), results=plan, environment=ENVIRONMENT)
    store.append(folder, record)


def remarks(comparison):
    (pair,) = comparison.pairs
    return pair.remarks


def test_a_run_against_itself_changes_nothing(stored):
    folder = stored("run", sa=[1.19, 1.2, 1.21] * 2, se=1.1)
    comparison = compare(folder, folder, 0.0)
    sa, se = comparison.changes
    assert sa.change.median == 1
    assert sa.change.low < 1 < sa.change.high
    assert ends(se.change) == pytest.approx((1, 1, 1))  # its rounds are all alike
    assert [change.verdict for change in (sa, se)] == ["no significant difference"] * 2
    assert not sa.fails
    assert not se.fails
    assert remarks(comparison) == ()


def test_a_slowdown_of_one_module_fails_beyond_the_limit_and_not_within_it(stored):
    old = stored("old", sa=1.2, se=1.1)
    new = stored("new", sa=1.26, se=1.1)  # 1.26 / 1.2 = 1.05
    sa, se = compare(old, new, LIMIT).changes
    assert (sa.module, se.module) == ("sa", "se")
    assert ends(sa.old) == pytest.approx((1.2, 1.2, 1.2))
    assert ends(sa.new) == pytest.approx((1.26, 1.26, 1.26))
    assert ends(sa.change) == pytest.approx((1.05, 1.05, 1.05))
    assert sa.fails
    assert sa.verdict == "slower by more than 3%"
    assert not se.fails

    sa, se = compare(old, new, 0.10).changes
    assert not sa.fails
    assert sa.verdict == "slower"


def test_a_module_that_became_faster_does_not_fail(stored):
    change = the_only(compare(stored("old", sa=1.26), stored("new", sa=1.2), 0.0).changes)
    assert change.change.median == pytest.approx(1.2 / 1.26)
    assert (change.verdict, change.fails) == ("faster", False)


def test_a_slowdown_whose_interval_reaches_below_the_limit_does_not_fail(stored):
    # Of six rounds the interval is from the least to the greatest: here from +2% to +8%.
    old = stored("old", sa=1.0)
    new = stored("new", sa=[1.05, 1.02, 1.05, 1.05, 1.08, 1.05])
    change = the_only(compare(old, new, LIMIT).changes)
    assert ends(change.change) == pytest.approx((1.05, 1.02, 1.08))
    assert (change.verdict, change.fails) == ("slower", False)
    assert the_only(compare(old, new, 0.01).changes).fails


def test_a_change_of_speed_of_the_whole_host_is_none(stored):
    old, new = stored("old", plain_s=0.1, sa=1.2), stored("new", plain_s=0.25, sa=1.2)
    comparison = compare(old, new, 0.001)
    change = the_only(comparison.changes)
    assert ends(change.change) == pytest.approx((1, 1, 1))
    assert not change.fails
    # A batch of two: 0.1 s are 50 ms an image.
    assert [side.median for side in comparison.pairs[0].plain_s] == pytest.approx([0.05, 0.125])
    assert remarks(comparison)[0].startswith(
        "the plain host itself went from 50.00 to 125.00 ms/image: "
    )


@pytest.mark.parametrize(
    ("new_s", "warned"), [(0.111, True), (0.109, False), (0.091, False), (0.089, True)]
)
def test_a_plain_host_that_moved_by_more_than_a_tenth_is_warned_of(stored, new_s, warned):
    old, new = stored("old", plain_s=0.1, sa=1.2), stored("new", plain_s=new_s, sa=1.2)
    assert bool(remarks(compare(old, new, LIMIT))) == warned


FAMILY = (
    "AMD EPYC",
    "AMD EPYC Processor (with IBPB)",
    "Intel(R) Xeon(R) Processor",
    "Intel(R) Xeon(R) CPU @ 2.20GHz",
    "QEMU Virtual CPU version 2.5+",
    "x86_64",
)
MODEL = ("AMD EPYC 7B13", "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "Apple M1")


@pytest.mark.parametrize("cpu", [*FAMILY, *MODEL])
def test_the_name_of_a_family_of_processors_is_no_machine(stored, cpu):
    old, new = (
        stored(name, sa=1.2, facts={"cpu": cpu, "cpu_id": known})
        for name, known in (("old", None), ("new", "model 1"))  # older records have none
    )
    said = (
        f"cannot tell whether it is the same machine: the records name only the CPU's family, {cpu}"
    )
    assert remarks(compare(old, new, LIMIT)) == ((said,) if cpu in FAMILY else ())
    assert remarks(compare(new, new, LIMIT)) == ()  # the model is known, if not its name


def test_two_models_of_one_family_are_two_machines(stored):
    old, new = (
        stored(name, sa=1.2, facts={"cpu": "AMD EPYC", "cpu_id": name}) for name in ("a", "b")
    )
    with pytest.raises(UserError, match="cpu_id is a in the old and b in the new"):
        compare(old, new, LIMIT)


def test_two_gpus_of_one_model_are_said_to_be_two(stored):
    a, b, unknown = (
        stored(str(uuid), sa=1.2, facts={"gpu_uuid": uuid}, settings={"device": "cuda"})
        for uuid in ("GPU-a", "GPU-b", None)
    )
    said = ("these are two GPUs of one model: their gpu_uuid differ",)
    assert remarks(compare(a, b, LIMIT)) == said
    assert remarks(compare(a, unknown, LIMIT)) == ()


def test_a_module_that_the_new_runs_could_not_time_leaves_the_answer_open(stored):
    old = stored("old", sa=1.2, se=1.1)
    (fault,) = compare(old, stored("new", sa=[], se=1.1), LIMIT).open_faults
    assert fault == (
        "sa (resnet50, inference, batch 2, 32x32, float32, cpu) was timed in the old runs, and "
        "could not be timed in the new ones"
    )
    assert compare(old, stored("unasked", se=1.1), LIMIT).open_faults == []


def test_a_configuration_without_a_verdict_leaves_the_answer_open(stored, tmp_path):
    for name, control in (("old", 1.0), ("new", 1.05)):
        stored(f"{name}/a", sa=1.2, settings={"batch_size": 1}, control=control)
        stored(f"{name}/b", sa=1.2, settings={"batch_size": 8})
    (fault,) = compare(tmp_path / "old", tmp_path / "new", LIMIT).open_faults
    assert "batch 1," in fault


OTHER = {
    "cpu": ({"facts": {"cpu": "B"}}, "cpu is A in the old and B in the new"),
    "torch": ({"facts": {"torch": "2.7"}}, "torch is 2.6 in the old and 2.7 in the new"),
    "a fact only of the new": (
        {"facts": {"gpu": "H"}},
        "gpu is None in the old and H in the new",
    ),
    "batch size": (
        {"settings": {"batch_size": 8}},
        "batch_size is 2 in the old and 8 in the new",
    ),
    "threads": ({"settings": {"threads": 4}}, "threads is 1 in the old and 4 in the new"),
    "compiled": (
        {"settings": {"runtime": "compile"}},
        "runtime is eager in the old and compile in the new",
    ),
}


@pytest.mark.parametrize(("other", "difference"), OTHER.values(), ids=OTHER)
def test_another_machine_or_setting_is_refused_unless_forced(stored, other, difference):
    old, new = stored("old", sa=1.2, se=1.1), stored("new", sa=1.26, se=1.1, **other)
    with pytest.raises(UserError, match=f"cannot be compared: {difference}. --force compares"):
        compare(old, new, LIMIT)
    forced = compare(old, new, LIMIT, force=True)
    assert remarks(forced) == (difference,)
    assert [change.fails for change in forced.changes] == [True, False]  # 1.26 / 1.2 = 1.05


def test_all_differences_are_named(stored):
    old = stored("old", sa=1.2)
    new = stored("new", sa=1.2, facts={"cpu": "B", "torch": "2.7"}, settings={"mode": "training"})
    with pytest.raises(UserError) as refused:
        compare(old, new, LIMIT)
    for key in ("mode is inference", "cpu is A", "torch is 2.6"):
        assert key in str(refused.value)


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"seed": 99}},
        {"facts": {"attnbench": "9.9"}},
        {"facts": {"time": "13:00", "load_average": 7.0}},
    ],
)
def test_seed_version_and_the_moment_may_differ(stored, other):
    comparison = compare(stored("old", sa=1.2), stored("new", sa=1.2, **other), 0.0)
    assert remarks(comparison) == ()
    assert not the_only(comparison.changes).fails


@pytest.mark.parametrize(
    ("control", "copies", "fault"),
    [
        # The copies are 1 and 1.01: half of a module's samples are to each, and their median lies
        # half-way between, at the ratio to sqrt(1.01).
        (1.01, 1.01**0.5, "the plain host against itself is significantly different from 1"),
        # A copy that lacks rounds is left out.
        ([1.0] * 5, 1.0, "fewer than 6 rounds"),
        # To the first copy six samples are 9, to the other three are 10 and three 8.2: median 9.
        ([0.9, 1.1] * 3, 1.0, "the plain host against itself is known no better than ±10.0%"),
    ],
)
@pytest.mark.parametrize("which", ["old", "new"])
def test_a_failed_control_gives_no_verdict_and_never_fails(stored, which, control, copies, fault):
    controls = {"old": 1.0, "new": 1.0} | {which: control}
    old = stored("old", sa=1.0, control=controls["old"])
    new = stored("new", sa=9.0, control=controls["new"])
    comparison = compare(old, new, LIMIT)
    change = the_only(comparison.changes)
    assert change.change.median == pytest.approx(9.0 * copies if which == "old" else 9.0 / copies)
    assert (change.verdict, change.fails, change.judged) == ("none", False, False)
    said = f"the control of the {which} failed: {fault}"
    assert remarks(comparison) == (said,)
    (open_fault,) = comparison.open_faults
    assert open_fault.startswith("no module has a verdict (resnet50, ")
    assert open_fault.endswith(f": {said}")


def test_both_controls_can_fail_beside_a_difference_of_machines(stored):
    old = stored("old", sa=1.0, control=1.01)
    new = stored("new", sa=9.0, control=1.01, facts={"cpu": "B"})
    comparison = compare(old, new, LIMIT, force=True)
    (fault,) = comparison.open_faults  # which says why there is no verdict, and nothing else
    assert "the control of the old failed" in fault
    assert "the control of the new failed" in fault
    assert "cpu is " not in fault
    assert [remark.split(" is ")[0] for remark in remarks(comparison)] == [
        "cpu",
        "the control of the old failed: the plain host against itself",
        "the control of the new failed: the plain host against itself",
    ]
    assert not the_only(comparison.changes).fails


def test_runs_without_a_module_in_common_are_bad_input(stored):
    old, new = stored("old", sa=1.2), stored("new", se=1.2)
    with pytest.raises(UserError, match="no module in common"):
        compare(old, new, LIMIT)


def test_a_folder_without_a_run_is_bad_input(stored, tmp_path):
    run, empty = stored("run", sa=1.2), tmp_path / "empty"
    empty.mkdir()
    for old, new in ((run, empty), (empty, run), (run, tmp_path / "missing")):
        with pytest.raises(UserError, match="cannot read"):
            compare(old, new, LIMIT)


def test_the_runs_of_a_grid_are_paired_by_their_configuration(grid_of):
    old = grid_of("old", {1: 1.1, 8: 1.2})
    new = grid_of("new", {8: 1.26, 1: 1.1})
    changes = compare(old, new, LIMIT).changes
    assert {change.configuration.split(", ")[2]: change.fails for change in changes} == {
        "batch 8": True,
        "batch 1": False,
    }


def test_the_runs_of_a_grid_are_paired_whatever_their_seeds(stored, tmp_path):
    for name, seed in (("old", 1), ("new", 2)):
        for batch_size in (1, 8):
            settings = {"batch_size": batch_size, "seed": seed}
            stored(f"{name}/{batch_size}", sa=1.2, settings=settings)
    assert len(compare(tmp_path / "old", tmp_path / "new", LIMIT).changes) == 2


@pytest.mark.parametrize(
    ("old_sizes", "new_sizes", "counts"),
    [
        ((1, 8), (1, 32), "of 2 and 2 configurations only 1 in both"),
        ((1, 8), (1,), "of 2 and 1 configurations only 1 in both"),
        ((1,), (1, 8), "of 1 and 2 configurations only 1 in both"),
    ],
)
def test_grids_of_other_configurations_are_refused_unless_forced(
    grid_of, old_sizes, new_sizes, counts
):
    old = grid_of("old", dict.fromkeys(old_sizes, 1.2))
    new = grid_of("new", dict.fromkeys(new_sizes, 1.26))
    with pytest.raises(UserError, match=f"{counts}; --force compares those"):
        compare(old, new, LIMIT)
    comparison = compare(old, new, LIMIT, force=True)
    forced = the_only(comparison.changes)
    assert "batch 1," in forced.configuration
    assert forced.fails
    assert remarks(comparison) == ()


def test_grids_without_a_configuration_in_common_are_bad_input_even_if_forced(grid_of):
    old, new = grid_of("old", {1: 1.2, 2: 1.2}), grid_of("new", {4: 1.2, 8: 1.2})
    with pytest.raises(UserError, match="in common"):
        compare(old, new, LIMIT, force=True)


def test_grids_of_other_machines_are_refused(grid_of):
    old = grid_of("old", {1: 1.2, 8: 1.2})
    new = grid_of("new", {1: 1.2, 8: 1.2}, facts={"cpu": "B"})
    with pytest.raises(UserError, match="cpu is A in the old and B in the new"):
        compare(old, new, LIMIT)


@pytest.mark.parametrize("force", [False, True])
def test_modules_alone_are_refused(stored, tmp_path, case, force):
    folder, run = tmp_path / "alone", stored("run", sa=1.2)
    isolated(folder, case)
    for old, new in ((folder, run), (run, folder)):
        with pytest.raises(UserError, match=f"{folder} holds modules alone"):
            compare(old, new, LIMIT, force=force)


def test_modules_alone_among_other_runs_are_left_out_with_a_remark(stored, case):
    new = stored("new/a", sa=1.2).parent
    isolated(new / "alone", case)
    comparison = compare(stored("old", sa=1.2), new, LIMIT)
    assert the_only(comparison.changes).judged
    assert remarks(comparison) == (
        f"alone in {new} is left out: its modules ran alone, without a host",
    )


@pytest.mark.usefixtures("scattered_runs")
def test_a_change_that_two_runs_of_one_thing_could_show_does_not_fail(stored):
    change = the_only(compare(stored("old", sa=1.2), stored("new", sa=1.24), 0.0).changes)
    assert (change.verdict, change.fails) == ("no significant difference", False)


@pytest.mark.usefixtures("scattered_runs")
def test_runs_that_scatter_more_than_is_assumed_widen_the_change(repeated_runs):
    calm, wild = (
        the_only(compare(folder, folder, LIMIT).changes)
        for folder in (
            repeated_runs("calm", [1.2, 1.2, 1.2], ["1", "2", "3"]),
            repeated_runs("wild", [1.0, 1.2, 1.44], ["1", "2", "3"]),
        )
    )
    assert wild.between > 5 * calm.between


def test_runs_of_one_side_that_were_all_made_first_are_said_to_be_so(repeated_runs):
    old = repeated_runs("old", [1.2, 1.2], ["10", "11"])
    new = repeated_runs("new", [1.2, 1.2], ["12", "13"])
    said = ("all runs of one side were made before those of the other",)
    for one, other in ((old, new), (new, old)):
        assert remarks(compare(one, other, LIMIT)) == said
    assert remarks(compare(old, repeated_runs("among", [1.2], ["10:30"]), LIMIT)) == ()


def test_the_runs_of_one_side_are_judged_by_the_mean_of_their_controls(stored, tmp_path):
    for name in ("old", "new"):
        stored(f"{name}/a", sa=1.2, control=1.02)
        stored(f"{name}/b", sa=1.2, control=1 / 1.02)
    assert remarks(compare(tmp_path / "old", tmp_path / "new", LIMIT)) == ()
    for minute, name in enumerate(("c", "d"), start=1):
        stored(f"new/{name}", sa=1.2, control=1.02, facts={"time": f"12:0{minute}"})
    comparison = compare(tmp_path / "old", tmp_path / "new", LIMIT)
    fault = "the plain host against itself is significantly different from 1"
    assert remarks(comparison) == (f"the control of the new failed: {fault}",)
    assert the_only(comparison.changes).verdict == "none"


@pytest.mark.parametrize("force", [False, True])
def test_two_machines_in_one_folder_are_refused(stored, tmp_path, force):
    for name, cpu in (("a", "A"), ("b", "B")):
        stored(f"old/{name}", sa=1.2, facts={"cpu": cpu})
    new = stored("new", sa=1.2)
    with pytest.raises(UserError, match="two machines: cpu is A in one run and B in another"):
        compare(tmp_path / "old", new, LIMIT, force=force)


def test_two_configurations_that_force_cannot_tell_apart_are_refused(stored, tmp_path):
    for name in ("old", "new"):
        stored(f"{name}/a", sa=1.2)
        stored(f"{name}/b", sa=1.2, settings={"threads": 9})
    assert len(compare(tmp_path / "old", tmp_path / "new", LIMIT).changes) == 2
    with pytest.raises(UserError, match="two configurations of one mode, dtype"):
        compare(tmp_path / "old", tmp_path / "new", LIMIT, force=True)


def test_a_copy_of_a_run_is_no_second_measurement(stored, tmp_path):
    old, new = stored("old/run", sa=[1.19, 1.2, 1.21] * 2), stored("new/run", sa=1.2)
    alone = compare(tmp_path / "old", tmp_path / "new", LIMIT)
    shutil.copytree(old, tmp_path / "old" / "copy")
    shutil.copytree(new, tmp_path / "new" / "copy")
    again = compare(tmp_path / "old", tmp_path / "new", LIMIT)
    assert again.changes == alone.changes
    assert remarks(again) == tuple(
        f"run in {tmp_path / side} is left out: it is a copy of another run there"
        for side in ("old", "new")
    )


def test_other_code_of_one_name_is_said(stored):
    """A change is then that of the code: of a custom module, or of a custom host."""
    a, b = stored("a", sa=1.2), stored("b", sa=1.2)
    path = b / store.FILE_NAME
    digest = "sha256 " + "0" * 64
    text = path.read_text()
    assert '"sources":{}' in text
    path.write_text(text.replace('"sources":{}', f'"sources":{{"sa":"{digest}"}}', 1))
    assert remarks(compare(a, b, LIMIT)) == (
        f"the code of sa is other code in the new: {digest}, was none",
    )
    assert remarks(compare(b, b, LIMIT)) == ()
