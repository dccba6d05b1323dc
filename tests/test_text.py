import pytest

from attnbench.text import (
    error_line,
    error_text,
    has_words,
    markdown_text,
    no_command,
    printable,
    shortened,
    spreadsheet,
    unknown,
    visible,
)


def test_text_on_one_line_is_as_long_as_allowed():
    assert printable("nine nine", 9) == "nine nine"
    assert printable("nine nine nine", 9) == "nine nin…"
    assert printable(" two\nlines\t\r\n ") == "two lines"


def test_a_long_message_keeps_its_ends():
    assert shortened("cannot read x: no such file", 27) == "cannot read x: no such file"
    assert shortened("cannot read xxxxx: no such file", 27) == "cannot read x… no such file"
    assert len(shortened("a" * 6_000)) == 900


ESCAPED = {
    "\0": r"\x00",
    "\a": r"\x07",
    "\x1b[2J": r"\x1b[2J",
    "\x7f": r"\x7f",
    "\x9b31m": r"\x9b31m",  # the one-byte form of an escape sequence
    "\x1c": r"\x1c",  # splitlines() would break here
    "\x85": r"\x85",
    "\u2028\u2029": r"\u2028\u2029",
    "\u061c": r"\u061c",
    "\u200b\u200c\u200d": r"\u200b\u200c\u200d",
    "\u200e\u200f": r"\u200e\u200f",
    "\u202a\u202b\u202c\u202d\u202e": r"\u202a\u202b\u202c\u202d\u202e",
    "\u2066\u2067\u2068\u2069": r"\u2066\u2067\u2068\u2069",
    "\ufeff\u00ad\u3164\ufe0f": r"\ufeff\xad\u3164\ufe0f",
    "\U000e0041": r"\U000e0041",  # tags, which can hide a whole sentence
    "\ud800": r"\ud800",
    "\uffff": r"\uffff",
}


@pytest.mark.parametrize(("text", "shown"), ESCAPED.items(), ids=ESCAPED.values())
def test_what_cannot_be_seen_is_escaped(text, shown):
    assert printable(f"a{text}b") == visible(f"a{text}b") == f"a{shown}b"
    assert text not in markdown_text(f"a{text}b")
    assert spreadsheet(f"a{text}b") == f"a{shown}b"


@pytest.mark.parametrize("text", ["SA ± 1.2 [95%]", "注意 Ä μ", r"C:\new", "a_b", "👩", "مرحبا"])
def test_what_can_be_seen_is_left_alone(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", r"\x3a:error::x"),
        ("one\n \t::set-output name=a::b", "one\n \t" + r"\x3a:set-output name=a::b"),
        ("a ##[error]x", r"a #\x23[error]x"),  # anywhere in a line
        ("std::vector", "std::vector"),
        ("# [a] :x:", "# [a] :x:"),
    ],
)
def test_no_line_is_a_command_of_a_log(text, shown):
    assert no_command(text) == shown


@pytest.mark.parametrize("sign", "=+-@\t\r\uff1d\uff0b\uff0d\uff20")
def test_text_of_a_spreadsheet_is_no_formula(sign):
    assert spreadsheet(f"{sign}1+cmd|' /C calc'!A0").startswith("'")
    assert not spreadsheet(f"a{sign}1").startswith("'")
    assert not spreadsheet("1+1").startswith("'")


class SilentError(Exception):
    def __str__(self):
        raise SystemExit


class EvilText(str):
    def partition(self, _):
        raise SystemExit


class EvilError(Exception):
    def __str__(self):
        return EvilText("a\nb")


def test_an_error_is_one_line_whatever_it_does():
    assert error_line(EvilError()) == "EvilError: a b"
    assert error_line(ValueError("a\x1b\nb")) == r"ValueError: a\x1b b"
    assert error_line(ValueError(), "x = 1") == "ValueError: x = 1"
    assert error_line(ValueError()) == "ValueError"
    assert error_line(SilentError()) == "SilentError: (its text cannot be read: SystemExit)"
    assert len(error_text(ValueError("x" * 10**6))) == 300


def test_words_are_whole() -> None:
    assert has_words("NVIDIA A100-SXM4", "a100")
    assert not has_words("NVIDIA A100-SXM4", "A10")
    assert not has_words("NVIDIA A100-SXM4", "100")
    assert has_words("x (y)", "(y)")


def test_a_long_list_of_known_words_ends_with_how_many_there_are():
    few = unknown("letter", "q", ["a", "b"])
    assert few == "unknown letter 'q'; known: a, b"
    words = [f"word{number:02}" for number in range(90)]  # 8 characters each with the comma
    many = unknown("word", "word8", words)
    assert many.startswith("unknown word 'word8' (did you mean word")
    assert many.endswith(", word74 and 15 more")  # 75 * 8 = 600
