import pytest

from attnbench.cli.sweep.words import sweep_of
from attnbench.errors import UserError


def test_options_of_run_with_lists_are_a_grid(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").touch()
    words = ["--modules", "se, sa", "--module", "mine.py:Mine", "--host=resnet18,resnet34"]
    words += [
        "--batch-size",
        "1,8",
        "--image-size",
        "64x96",
        "--runtime",
        "compile",
        "--stages",
        "c4-c5",
    ]
    words += ["--budget", "2.5", "--repeat", "2", "--on", "gpu=H100,cores=8", "--on", "gpu=A100"]
    known = sweep_of(words).configurations
    assert len(known) == 2 * 2 * 2 * 2
    first = known[0]
    assert first.modules == ("se", "sa", "mine.py:Mine")
    assert (first.case.image_size, first.case.stages, first.case.compiled) == (
        (64, 96),
        (3, 4),
        True,
    )
    assert first.filled.budget_s == 2.5
    assert first.on == {"gpu": "H100", "cores": "8"}
    assert {one.case.host for one in known} == {"resnet18", "resnet34"}
    assert {one.repetition for one in known} == {1, 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "sweep what?"),
        (["no.toml"], "cannot read no.toml"),
        (["a.toml", "--host", "resnet18"], "'--host' beside a file"),
        (["--hosts", "resnet18"], "unknown option '--hosts' (did you mean --host?)"),
        (["--host"], "--host has no value"),
        (["--host", "resnet18", "resnet34"], "unknown option 'resnet34'"),
        (["--host", "resnet18,vgg"], "--host: unknown host 'vgg'"),
        (["--on", "H100"], "--on: 'H100' is no label such as gpu=H100"),
        (["--on", "gqu=H100"], "--on: unknown label 'gqu'"),
        (["--batch-size", "1,x"], "--batch-size: batch-size must be a whole number, not 'x'"),
        (["--modules", "sea"], "--modules: unknown attention module 'sea'"),
        (["--every", "5"], "unknown option '--every'"),
        (["--device", "cpu", "--runtime", "cuda-graph"], "--device: --cuda-graph needs a CUDA"),
        (["--compile"], "'--compile' is short for --runtime compile in run alone"),
    ],
)
def test_what_is_no_sweep_is_refused(words, message) -> None:
    with pytest.raises(UserError) as refused:
        sweep_of(words)
    assert message in str(refused.value)
