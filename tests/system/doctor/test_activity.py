"""What is read before and after the watched seconds, on a clock that the test moves."""

import os

from attnbench.system.doctor.activity import Machine, watch

TICKS = os.sysconf("SC_CLK_TCK")


def stat(user, system, name="(a b) c"):
    return f"7 ({name}) S " + " ".join(["0"] * 10) + f" {user} {system} 0 0"


def test_the_seconds_and_what_others_used_are_differences(tmp_path):
    process = tmp_path / "proc" / "7" / "stat"
    process.parent.mkdir(parents=True)
    process.write_text(stat(100, 50))
    (tmp_path / "proc" / "stat").write_text("cpu 1 2 3 4 5 6 7 100 0 0\n")
    times = iter([0.0, 0.0, 1.0, 1.0, 2.5, 2.5, 2.5])

    def clock():
        now = next(times)
        if now == 2.5:
            process.write_text(stat(100 + 2 * TICKS, 50 + TICKS))
            (tmp_path / "proc" / "stat").write_text(f"cpu 1 2 3 4 5 6 7 {100 + TICKS} 0 0\n")
        return now

    activity = watch(Machine(root=tmp_path, clock=clock, cores=2), seconds=2.0)
    assert activity.block_s == (1.0, 1.5)  # 0 to 1, 1 to 2.5
    assert activity.seconds == 2.5
    assert activity.stolen_s == 1.0
    assert activity.others == {"(a b) c": 3.0}  # 2 of user and 1 of system time


def test_this_process_is_no_other(tmp_path):
    own = tmp_path / "proc" / str(os.getpid()) / "stat"
    own.parent.mkdir(parents=True)
    own.write_text(stat(1, 1))
    times = iter([0.0, 0.0, 9.0, 9.0, 9.0])
    activity = watch(Machine(root=tmp_path, clock=lambda: next(times), cores=1), seconds=2.0)
    assert activity.others == {}
    assert activity.stolen_s is None
