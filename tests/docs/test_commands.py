"""Every command and every Python block of the documents: parsed, and run where that is cheap."""

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, wraps
from pathlib import Path
from typing import Any

import generate
import pytest
import torch
import typer
from helpers.pinned import on_the_pinned_torch
from PIL import Image
from torch import nn

import attnbench
from attnbench.analysis import baselines
from attnbench.cli import app
from attnbench.hosts.build import HOSTS, Host
from attnbench.hosts.conditions import BASE
from attnbench.measuring import planning, runner
from attnbench.modules import AttentionSpec
from attnbench.runtimes import table
from attnbench.system import environment

ROOT = Path(__file__).parents[2]

PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)

STEP = re.compile(r"- run: (.+)")
"""A command in a workflow."""

INLINE = re.compile(r"`(attnbench [^`]+)`")

CHEAP = ("list", "report", "pick", "compare", "plan")
"""Run for real, on the published runs; so is ``check --limits``. Other commands are parsed only:
``run`` as far as its plan, ``check`` computes every published figure (tests/docs/test_claims_page),
``evaluate`` needs images and ``selftest`` minutes."""

NOT_A_PROGRAM = {
    "SLURMCluster(": "needs SLURM; tests/sweeps/engine/test_jobqueue.py has another queue",
    'AttentionSpec("mine"': "a row for the table of modules; test_generate puts it there",
}
"""Python blocks that are not executed, by what stands in them, and why."""


GATE = """\
from torch import nn


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Conv2d(channels, channels, 1, groups=channels)

    def forward(self, x):
        return x * self.scale(x).sigmoid()
"""
"""The class that a page imports from a folder of the user."""


class PlannedError(Exception):
    """A run got as far as describing the machine: all its options are valid."""


def blocks(page: str, languages: tuple[str, ...]) -> list[str]:
    text = (ROOT / page).read_text()
    return [block for language, block in BLOCK.findall(text) if language in languages]


def lines(page: str) -> Iterator[list[str]]:
    """The words of every line of the page's shell blocks, and of ``attnbench ...`` in sentences."""
    for block in blocks(page, ("", "sh", "shell")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] not in {"for", "done"}:
                yield words
    for workflow in blocks(page, ("yaml",)):
        yield from map(shlex.split, STEP.findall(workflow))
    for command in INLINE.findall(BLOCK.sub("", (ROOT / page).read_text())):
        words = shlex.split(command)
        if len(words) > len(("attnbench", "report")):  # more than a command's name
            yield words


def arguments(words: list[str]) -> list[str] | None:
    """What the suite's command line is given; None for another program."""
    if Path(words[0]).name == "attnbench":
        return words[1:]
    if Path(words[0]).name == "python" and words[1] == "run_bench.py":
        return words[2:]
    if Path(words[0]).name == "torchrun" and "attnbench" in words:
        return words[words.index("attnbench") + 1 :]
    return None


COMMANDS = list(
    dict.fromkeys(
        (page, *given)
        for page in PAGES
        for words in lines(page)
        if (given := arguments(words)) is not None
    )
)

OTHERS = [(page, *words) for page in PAGES for words in lines(page) if arguments(words) is None]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the documents name: runs, two sides, files of the docs, photos, code."""
    for folder in generate.REPORTS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for side in ("old", "new"):
        shutil.copytree(ROOT / generate.PUBLISHED, tmp_path / side / "1")
    shutil.copytree(ROOT / generate.PUBLISHED, tmp_path / "sweeps" / "1" / "resnet50")
    for file in (generate.EXAMPLE, generate.LIMITS, generate.LATENCY_LIMITS):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "one.png")
    (tmp_path / "vendor" / "gates").mkdir(parents=True)
    (tmp_path / "vendor" / "gates" / "attention.py").write_text(GATE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def short_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks a stage: the last one of a stage has its map already halved."""
    monkeypatch.setitem(HOSTS, "resnet50", Host((2, 2, 2, 2)))


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """Networks on meta that plans have built, by all that they were asked for."""
    return {}


@pytest.fixture
def built_once(monkeypatch: pytest.MonkeyPatch, networks: dict[str, nn.Module]) -> None:
    """Build what a plan only builds to see that it can be, for the first command that has it."""
    build = planning.build

    def known(host: str, row: AttentionSpec, **where: Any) -> nn.Module:
        key = f"{host} {row} {where}"
        if key not in networks:
            networks[key] = build(host, row, **where)
        return networks[key]

    monkeypatch.setattr(planning, "build", known)


@cache
def mostly_idle() -> Any:
    """The command line, whose commands are parsed alone if they are too slow."""
    with pytest.MonkeyPatch.context() as patch:
        for command in app.app.registered_commands:
            if command.name not in (*CHEAP, "run"):
                patch.setattr(command, "callback", _idle(command.callback))
        return typer.main.get_command(app.app)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are too slow are parsed; a run is planned, and then stops."""
    monkeypatch.setattr(app, "built", mostly_idle)

    def describe(*_: object) -> None:
        raise PlannedError

    monkeypatch.setattr(environment, "describe_apart", describe)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    # TensorRT is installed where a GPU is; whether other packages are is looked up.
    installed = table.find_spec
    monkeypatch.setattr(table, "find_spec", lambda name: name == "tensorrt" or installed(name))
    # Child processes, in which custom modules are tried, see that there is none.
    monkeypatch.setattr(planning, "conditions_of", lambda _: BASE)


def _idle(function):
    @wraps(function)
    def idle(**_: object) -> int:
        return 0

    return idle


def _status(given: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        app.main(given)
    return int(end.value.code or 0)


@pytest.mark.usefixtures("workplace", "parsed", "one_process", "short_host", "built_once")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command))
def test_a_shown_command_is_understood(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    given = list(command[1:])
    if given[:2] == ["compare", "v1"]:  # as the line before it on the page does
        baselines.save("v1", Path("old"))
    if not given or given[0] == "run" or given[0].startswith("-"):
        with pytest.raises((PlannedError, SystemExit)) as end:
            app.main(given)
        ends = {"--help", "--dry-run"} & {*given}
        assert end.type is PlannedError or (ends and end.value.code == 0), capsys.readouterr().err
    else:
        # compare and pick: 1 is an answer.
        assert _status(given) in {0, 1}, capsys.readouterr().err


@on_the_pinned_torch
@pytest.mark.usefixtures("workplace", "one_process")
@pytest.mark.parametrize(
    ("file", "figures"),
    [(generate.LIMITS, ["30,208"]), (generate.LATENCY_LIMITS, ["1.156 [", "1.062 [", "ms/image"])],
    ids=["limits", "limits of latency"],
)
def test_the_shown_limits_hold(
    file: Path,
    figures: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the page on continuous integration shows them."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    wanted = ["check", "--limits", str(file)]
    (shown,) = (given for page, *given in COMMANDS if page == "docs/ci.md" and given[:3] == wanted)
    assert _status(shown) == 0
    printed = capsys.readouterr().out
    assert all(figure in printed for figure in figures)
    assert "::error" not in printed


@pytest.mark.usefixtures("workplace", "parsed")
@pytest.mark.parametrize(
    "given",
    [
        ["run", "--modules", "sa", "--stage", "2"],
        ["run", "--dtype", "float31"],
        ["run", "--host", "resnet51"],
        ["check", "--format", "yaml"],
        ["compare", "old"],
        ["evaluate", "--data", "imagenet/val"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_would_be_noticed(given: list[str]) -> None:
    assert _status(given) == 2


@pytest.mark.parametrize("shown", OTHERS, ids=lambda shown: " ".join(shown))
def test_other_programs_are_given_what_is_there(shown: tuple[str, ...]) -> None:
    page, program, *words = shown
    name = Path(program).name
    if name == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words) <= set(targets)
    elif "pip" in words:
        options = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for extra in re.findall(r"\[(\w+)\]", " ".join(words)):
            assert extra in options["optional-dependencies"]
        for file in (word for word in words if word.endswith(".txt")):
            assert (ROOT / file).exists()
    elif words[:1] == ["-m"]:
        assert words[1] in {"venv", "pytest"}
    elif name == "openssl":
        assert words[0] in {"req", "x509"}
    else:
        assert name in {"OMP_NUM_THREADS=1"}, f"{page}: {name} is not known here"


def test_benchmarks_that_are_named_exist() -> None:
    for page in PAGES:
        for script in re.findall(r"benchmarks/\w+\.py", (ROOT / page).read_text()):
            assert (ROOT / script).exists(), f"{page}: {script}"


def test_files_that_are_linked_exist() -> None:
    for page in (*PAGES, "reports/README.md", "CHANGELOG.md"):
        text = BLOCK.sub("", (ROOT / page).read_text())
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if path.startswith("http"):
                continue
            file = (ROOT / page).parent / path if path else ROOT / page
            assert file.exists(), f"{page}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
                assert anchor in map(_anchor, headings), f"{page}: {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


PYTHON = [(page, block) for page in PAGES for block in blocks(page, ("python",))]


@pytest.mark.usefixtures("workplace", "one_process", "small_host")
@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[page for page, _ in PYTHON])
def test_a_shown_program_runs(page: str, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, why in NOT_A_PROGRAM.items():
        if text in block:
            pytest.skip(why)
    if "attnbench.run(" in block or "attnbench.measure(" in block:
        _shorten_runs(monkeypatch)
    torch.save(
        {"state_dict": attnbench.to_authors_state_dict(attnbench.resnet(50, attention="sa"))},
        "sa_resnet50.pth.tar",
    )
    torch.save(attnbench.resnet(50).state_dict(), "resnet50.pth")
    exec(compile(block, page, "exec"), {"__name__": "__main__"})


def _shorten_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shown options on small images and for a moment, on the CPU."""
    run = runner.run

    def short(options, *rest, **named):
        smaller = replace(options, image_size=(32,), budget_s=0.2, device="cpu")
        return run(smaller, *rest, **named)

    monkeypatch.setattr(runner, "run", short)
    monkeypatch.setattr(attnbench, "run", short)
