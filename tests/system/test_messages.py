import copyreg
import pickle
from pathlib import Path

import pytest

from attnbench.counting import NotCountedError
from attnbench.errors import UserError
from attnbench.records.schema import Count, Memory
from attnbench.system import messages
from attnbench.system.messages import ChildDiedError, ForeignError


def arrived(error: BaseException) -> Exception:
    kind, value = messages.read(messages.error(error))
    assert kind == "error"
    assert isinstance(value, Exception)
    return value


@pytest.mark.parametrize(
    "value", [None, 1.5, {"a": (1, [2])}, Memory(peak_live_bytes=3), Path("a/b"), {1, 2}]
)
def test_plain_values_and_our_dataclasses_arrive(value):
    assert messages.read(messages.item(value)) == ("item", value)


def test_our_errors_arrive_whole():
    counts = {"macs": Count(operations=3)}
    back = arrived(NotCountedError(counts, {"thop": "x" * 1000}))
    assert isinstance(back, NotCountedError)
    assert (back.counts, str(back)) == (counts, "by thop: " + "x" * 1000)
    assert type(arrived(UserError("no such file"))) is UserError


def test_they_do_where_a_library_has_taken_over_how_errors_are_pickled(monkeypatch):
    """As ``distributed`` does, when it is imported, for all errors that there are."""
    monkeypatch.setitem(copyreg.dispatch_table, UserError, lambda error: (foreign, error.args))
    assert type(arrived(UserError("no such file"))) is UserError


def foreign(text):
    return ValueError(text)


def test_an_error_of_python_keeps_its_type_and_300_characters():
    back = arrived(ValueError("a\x1b[31m\n\u202eb" + "x" * 2**20))
    assert type(back) is ValueError
    assert str(back).isprintable()
    assert len(str(back)) == 300


class ClaimedError(Exception):
    """An error that says that it is the package's."""


ClaimedError.__module__, ClaimedError.__name__ = "attnbench.errors", "UserError"


def test_an_error_that_claims_to_be_ours_is_not_believed():
    assert not messages.is_ours(ClaimedError())
    assert messages.is_ours(UserError())
    assert len(str(arrived(ClaimedError("x" * 1000)))) == 300


class TouchError(Exception):
    """An error whose unpickling runs code."""

    def __reduce__(self):
        return Path.touch, (Path("touched"),)


class TextlessError(Exception):
    def __str__(self):
        raise ValueError("second")


class Nameless(type):
    @property
    def __name__(cls):
        raise ValueError("third")


class NamelessError(Exception, metaclass=Nameless):
    pass


@pytest.mark.parametrize(
    ("error", "name", "text"),
    [
        (TouchError("fire"), "TouchError", "fire"),
        (TextlessError(), "TextlessError", "(its text cannot be read: ValueError)"),
        (NamelessError("x"), "an exception whose class has no name", "x"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "odd"), "UnicodeDecodeError", "'utf-8' codec can"),
    ],
)
def test_a_foreign_error_arrives_as_its_name_and_text(tmp_path, monkeypatch, error, name, text):
    monkeypatch.chdir(tmp_path)
    back = arrived(error)
    assert isinstance(back, ForeignError)
    assert (type(back).__name__, str(back)[: len(text)]) == (name, text)
    assert list(tmp_path.iterdir()) == []


def test_the_stack_of_pytorchs_core_is_left_out():
    assert str(arrived(RuntimeError("no\nException raised from f at f.cpp:1"))) == "no"


@pytest.mark.parametrize(
    ("error", "text"), [(KeyboardInterrupt(), "KeyboardInterrupt"), (BaseException("x"), "Base")]
)
def test_what_is_no_exception_arrives_as_a_death(error, text):
    back = arrived(error)
    assert type(back) is ChildDiedError
    assert str(back).startswith(f"the worker process was ended by {text}")


class Foreign:
    pass


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Foreign(), "test_messages.Foreign"),
        (TouchError(), "Path.touch"),
        (eval, "builtins.eval"),
        (pickle.loads, "loads"),
        (messages.read, "attnbench.system.messages.read"),
    ],
)
def test_nothing_foreign_is_rebuilt_and_no_function_called(tmp_path, monkeypatch, value, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForeignError, match=f"sent a .*{named}, which is not read"):
        messages.read(messages.item(value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("message", [b"", b"no pickle", pickle.dumps(3), pickle.dumps(("item",))])
def test_a_damaged_message_is_an_error(message):
    with pytest.raises(ForeignError, match="what cannot be read"):
        messages.read(message)
