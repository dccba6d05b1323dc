import os

import pytest

from attnbench.system import printed, worker

LIMIT = 100


def speak(characters: int) -> int:
    print("a" * characters, flush=True)
    os.write(2, b"b" * characters)
    return os.getpid()


@pytest.mark.parametrize(
    ("characters", "shown"),
    [
        (10, "a" * 10 + "\n" + "b" * 10),
        (100_000, "a" * LIMIT + "\nattnbench: it has printed 100 bytes; more is not shown\n"),
    ],
)
def test_what_a_child_prints_is_shown_on_stderr_up_to_a_limit(characters: int, shown: str, capfd):
    with printed.limited(speak, LIMIT) as limited:
        assert worker.call(limited, characters) != os.getpid()
    assert capfd.readouterr() == ("", shown)
