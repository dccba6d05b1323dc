"""Short forms of the attacks in benchmarks/, which find what breaks the command line."""

from collections import Counter

import attack_arguments
import attack_modules


def test_random_arguments_end_with_a_status_and_a_line(tmp_path):
    results = attack_arguments.batch(seed=1, first=0, count=40, folder=tmp_path / "there")
    assert [fault for _, faults in results for fault in faults] == []
    assert {"accepted", "status 2"} <= {ended for ended, _ in results}


def test_the_hostile_modules_can_be_compiled_and_say_how_they_end():
    endings = {"refused", "failed", "stopped", "measured"}
    for name, parts in attack_modules.modules().items():
        compile(attack_modules.code(parts), name, "exec")
        assert set(parts["ends"].split()) <= endings, name
        assert parts.keys() <= {"top", "init", "forward", "body", "after", "meta", "ends"}, name
    assert len(attack_modules.modules()) >= 100


def test_modules_that_may_not_be_refused_are_measured_without_being_listed():
    names = ["abort", "later-forward-never-returns", "fork", "recursion", "returns-its-input"]
    may_be = [attack_modules.may_be_refused(name) for name in names]
    assert may_be == [True, False, True, True, False]  # by the table
    of_two = attack_modules.batches_of(names, 2)
    assert of_two == [[names[0], names[2]], [names[1]], [names[3]], [names[4]]]
    assert attack_modules.batches_of(names, 1) == [[name] for name in names]


def test_victims_and_survivors_are_found(tmp_path):
    done = attack_modules.command(tmp_path, "--version")
    assert (done.status, done.survivors) == (0, [])


def test_a_fault_that_is_gone_when_tried_alone_is_counted_apart():
    def result(name, *faults):
        return attack_modules.Result(name, "refused", Counter(dict.fromkeys(faults, 1)))

    results = [result("a"), result("b", "hang"), result("c", "victims")]
    again = attack_modules.repeated(results, lambda _: [result("b"), result("c", "victims")])
    table = attack_modules.table(again)
    assert (table["modules"], table["hang"], table["victims"]) == (3, 0, 1)
    assert table["not repeated"] == 1
    assert attack_modules.repeated(results[:1], lambda _: 1 / 0) == results[:1]


def test_a_path_that_is_hard_to_use_is_refused_in_a_line_by_every_command(tmp_path):
    """Every seventh of two thousand lists: ``benchmarks/attack_arguments.py --each`` tries all."""
    names = [words[0] for words in attack_arguments.each(attack_arguments.parameters())]
    assert {"run", "report", "sweep", "train"} < {*names}
    some = len(names) // 7
    results = attack_arguments.batch(
        seed=None, first=3, count=some, folder=tmp_path / "there", step=7
    )
    assert [fault for _, faults in results for fault in faults] == []
    assert len(results) == some > 250
