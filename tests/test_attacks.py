"""Short forms of the attacks in benchmarks/, which find what breaks the command line."""

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


def test_victims_and_survivors_are_found(tmp_path):
    done = attack_modules.command(tmp_path, "--version")
    assert (done.status, done.survivors) == (0, [])
