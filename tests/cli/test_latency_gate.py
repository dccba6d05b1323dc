"""``check --limits`` where latency is limited: by finished runs, and by runs made now."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.command_line import call
from helpers.stored_runs import SIX

from attnbench import measuring
from attnbench.measuring.events import Beginning, Planned, Waiting
from attnbench.measuring.planning import NoModuleError
from attnbench.records.run import read


@pytest.fixture
def limits(tmp_path: Path):
    def write(text: str, name: str = "limits.txt") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("most", "answer"),
    [
        ("1.2", (0, "1 limit: 1 within.")),
        ("1.1", (3, "1 limit: 0 within, 1 cannot tell.")),
        ("1.0", (1, "1 limit: 0 within, 1 not within.")),
    ],
)
def test_the_status_is_the_answer_of_a_finished_run(
    stored, limits, capsys, most: str, answer: tuple[int, str]
) -> None:
    path, (status, said) = limits(f"sa in resnet50: latency ratio <= {most}"), answer
    assert call("check", "--limits", path, "--run", str(stored(sa=SIX))) == status
    shown = capsys.readouterr()
    assert said in shown.out
    assert ("latency ratio" in shown.err) == (status != 0)


def test_what_is_over_counts_more_than_what_cannot_be_told(stored, limits, capsys) -> None:
    path = limits("sa in resnet50: latency ratio <= 1.1, added params <= 700, latency <= 9 s")
    given = ("check", "--limits", path, "--run", str(stored(sa=SIX)), "--format", "json")
    assert call(*given) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in rows] == [
        "cannot tell: the interval holds the limit",
        "OVER by 8",
        "within",
    ]


def test_a_scatter_that_is_known_widens_the_interval(stored, limits) -> None:
    given = ("check", "--limits", limits("sa in resnet50: latency ratio <= 1.2"))
    run = ("--run", str(stored(sa=1.1)))
    assert call(*given, *run, "--between-runs", "1%") == 0
    assert call(*given, *run, "--between-runs", "5%") == 3


@pytest.mark.parametrize("more", [("--run", "."), ("--between-runs", "1%")])
def test_a_run_without_a_limit_of_latency_is_refused(limits, more: tuple[str, ...]) -> None:
    path = limits("sa in resnet50: added params <= 708")
    assert call("check", "--limits", path, *more) == 2
    assert call("check", *more) == 2


def test_without_a_run_one_is_made_for_each_host(
    stored, limits, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    path = limits(
        "mine.py:Mine in resnet50: latency ratio <= 1.2, latency ratio <= 1.05\n"
        "sa in resnet50: latency ratio <= 1.2\n"
        "sa in resnet18: latency ratio <= 1.2\n",
        "gates/limits.txt",
    )
    (tmp_path / "gates" / "mine.py").write_text("from torch.nn import Identity as Mine")
    asked = []

    def run(options, **_):
        asked.append((options.host, options.modules))
        from attnbench.plugins.resolve import parse

        name = options.host
        sources = {key: parse(key).origin() for key in options.modules if ":" in key}
        ratios = dict.fromkeys(options.modules, 1.1)
        folder = stored(name, **ratios, sources=sources, settings={"host": name})
        return SimpleNamespace(folder=folder, left_out={})

    monkeypatch.setattr(measuring, "run", run)
    assert call("check", "--limits", "gates/limits.txt", "--format", "json") == 1
    assert asked == [("resnet50", ("gates/mine.py:Mine", "sa")), ("resnet18", ("sa",))]
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    assert [(row["line"], row["holds"]) for row in rows] == [
        *((1, True), (1, False)),
        *((2, True), (3, True)),
    ]
    assert "timing gates/mine.py:Mine, sa in resnet50 for the limits" in shown.err
    assert path.endswith("gates/limits.txt")


def test_how_long_a_run_takes_is_said_before_it_and_what_it_waits_for(
    stored, limits, monkeypatch, capsys
) -> None:
    def run(options, progress):
        folder = stored("run", sa=1.1, settings={"host": options.host})
        known = read(folder)
        progress(known, Planned(folder))
        for event in (Waiting(holder="another run"), Waiting(holder="another run")):
            progress(known, event)
        progress(known, Beginning("counts", "sa"))
        return SimpleNamespace(folder=folder, left_out={})

    monkeypatch.setattr(measuring, "run", run)
    path = limits("sa in resnet50: latency ratio <= 1.2")
    assert call("check", "--limits", path, "--format", "json") == 0
    said = capsys.readouterr().err
    assert re.search(r"it takes .+ to .+; records are in .*run\n", said)
    assert said.count("waiting for another run\n") == 1
    assert "counts sa" in said  # the bar


@pytest.mark.parametrize(
    ("module", "message"),
    [("foo", "line 1: unknown .*'foo'"), ("none.py:Mine", "there is no Python file")],
)
def test_an_unknown_module_is_one_line(limits, capsys, module: str, message: str) -> None:
    assert call("check", "--limits", limits(f"{module} in resnet50: latency <= 1 s")) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert re.search(message, shown)


def test_a_host_lies_beside_the_file_of_limits(limits, tmp_path, monkeypatch, capsys) -> None:
    asked = []
    monkeypatch.setattr(
        measuring,
        "run",
        lambda options, **_: (
            asked.append(options.host) or SimpleNamespace(folder=None, left_out={})
        ),
    )
    monkeypatch.setattr("attnbench.analysis.latency_limits.check", lambda *_: [[]])
    path = limits("sa in nets.py:net: latency <= 9 s", "gates/limits.txt")
    (tmp_path / "gates" / "nets.py").touch()
    assert call("check", "--limits", path) == 0
    assert asked == [f"{tmp_path / 'gates' / 'nets.py'}:net"]
    (tmp_path / "gates" / "nets.py").unlink()
    assert call("check", "--limits", path) == 2
    assert "nets.py:net: there is no Python file" in capsys.readouterr().err


def test_a_module_that_is_refused_fails_its_own_limits_alone(
    limits, tmp_path, stored, monkeypatch, capsys
) -> None:
    (tmp_path / "bad.py").write_text("from torch.nn import Identity as Bad")
    bad = f"{tmp_path}/bad.py:Bad"

    def run(options, **_):
        names = [name for name in options.modules if name != bad]
        if not names:
            raise NoModuleError({bad: f"{bad} is refused: it fails"})
        folder = stored("run", **dict.fromkeys(names, 1.1), settings={"host": options.host})
        return SimpleNamespace(folder=folder, left_out={bad: f"{bad} is refused: it fails"})

    monkeypatch.setattr(measuring, "run", run)
    path = limits("bad.py:Bad in resnet50: latency <= 9 s\nsa in resnet50: latency ratio <= 1.2")
    assert call("check", "--limits", path, "--format", "json") == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(row["holds"], row["verdict"]) for row in rows] == [
        (False, "refused: it fails"),
        (True, "within"),
    ]
    path = limits("bad.py:Bad in resnet50: latency <= 9 s")
    assert call("check", "--limits", path, "--format", "json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["computed"], row["verdict"]) == (None, "refused: it fails")


def test_a_finished_run_gives_each_limit_its_share_of_the_seconds(
    stored, limits, capsys, monkeypatch
) -> None:
    path = limits("sa in resnet50: latency ratio <= 1.2, latency <= 9 s")
    clock = iter([10.0, 13.0])
    monkeypatch.setattr("attnbench.cli.latency_gate.perf_counter", lambda: next(clock))
    given = ("--run", str(stored(sa=SIX)), "--format", "junit")
    assert call("check", "--limits", path, *given) == 0
    shown = capsys.readouterr().out
    assert re.findall(r' time="([\d.]+)"', shown) == ["3.000", "1.500", "1.500"]  # 3 s for two
