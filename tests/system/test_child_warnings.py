import pytest

from attnbench.system import child_warnings, worker
from attnbench.system.child_warnings import MOST_HELD, OnceFilter

WARNING = b"/a/mine.py:3: FutureWarning: this will go\n  from torch import old\n"


@pytest.fixture(autouse=True)
def nothing_shown(monkeypatch):
    monkeypatch.setattr(child_warnings, "_shown", set())


def test_a_warning_of_every_child_is_shown_once():
    first, second = OnceFilter(), OnceFilter()
    assert first.passed(b"one\n" + WARNING + b"two\n") == b"one\n" + WARNING + b"two\n"
    assert second.passed(b"one\n" + WARNING + b"two\n") == b"one\ntwo\n"
    other = WARNING.replace(b":3:", b":4:")
    assert second.passed(other + WARNING) == other


def test_a_warning_in_parts_is_known_and_an_unfinished_line_is_not_lost():
    first, second = OnceFilter(), OnceFilter()
    assert first.passed(WARNING) == WARNING
    parts = [WARNING[:20], WARNING[20:50], WARNING[50:], b"last"]
    assert b"".join(map(second.passed, parts)) == b""
    assert second.rest() == b"last"
    assert second.rest() == b""


def test_a_line_without_an_end_is_not_held_for_ever():
    assert OnceFilter().passed(b"." * (MOST_HELD + 1)) == b"." * (MOST_HELD + 1)


def test_lines_that_only_repeat_are_shown_again():
    first = OnceFilter()
    assert first.passed(b"epoch\nepoch\n  x\n") == b"epoch\nepoch\n  x\n"


def test_two_children_that_warn_alike_say_it_once(capfd):
    for _ in range(2):
        worker.call(exec, "import warnings; warnings.warn('old', FutureWarning)")
    assert capfd.readouterr().err.count("FutureWarning: old") == 1
