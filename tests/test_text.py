from attnbench.text import printable


def test_a_line_is_never_longer_than_asked_for():
    assert printable("nine nine", 9) == "nine nine"
    assert printable("nine nine nine", 9) == "nine nin…"
    assert printable(" two\nlines ") == "two lines"
