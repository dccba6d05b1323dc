"""A program that measures is imported by child processes."""

import multiprocessing
import sys

import pytest
from helpers import prepared, processes

from attnbench.errors import UserError
from attnbench.measuring.processes import main_script

CALL = "import attnbench\nattnbench.measure('eca', budget_s=1)\n"


@pytest.mark.parametrize(
    ("before", "line", "refused"),
    [
        ("measure()\n", 1, True),
        ("import logging\nlog = logging.getLogger(__name__)\nmeasure()\n", 3, True),
        ("def main():\n    measure()\nmain()\n", 3, True),
        ("with folder:\n    measure()\n", 2, True),
        ("if __name__ == '__main__':\n    measure()\n", 2, False),
        ("if '__main__' != __name__:\n    raise SystemExit\nmeasure()\n", 3, False),
        ("__name__ == '__main__' and measure()\n", 1, False),
        ("if not __name__.startswith('__mp'):\n    measure()\n", 2, False),
        (
            "try:\n    if __name__ == '__main__':\n        measure()\nfinally:\n    end()\n",
            3,
            False,
        ),
        (
            "from multiprocessing import parent_process\nif not parent_process():\n    m()\n",
            3,
            False,
        ),
        ("measure()\nif __name__ == '__main__':\n    measure()\n", 1, True),
        ("measure(\n", 1, False),  # no Python, such as a notebook: nothing is known
    ],
)
def test_a_call_is_unguarded_where_an_import_would_execute_it(tmp_path, before, line, refused):
    script = tmp_path / "script.py"
    script.write_text(before)
    assert main_script._is_unguarded(script, line) is refused


def test_a_script_without_a_guard_is_refused_at_its_line_before_any_child(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare.py").write_text(CALL)
    ended = prepared.completed(processes.run_script, "bare.py")
    assert ended.returncode == 1
    assert "bare.py, line 2: child processes import the script" in ended.stderr
    assert ended.stderr.count("Traceback") == 1  # the script's own
    assert "spawn.py" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bare.py"]


def test_a_child_that_measures_on_import_shows_one_line(monkeypatch, capsys):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(UserError) as refused:
        main_script.require_importable()
    sys.excepthook(refused.type, refused.value, refused.tb)
    assert capsys.readouterr().err == f"attnbench: {refused.value}\n"
    assert str(refused.value).endswith("put the call under if __name__ == '__main__':")
