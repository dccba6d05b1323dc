import pytest

from attnbench.cli.options import (
    choices,
    if_busy,
    image_sizes,
    imported_from,
    modules,
    named,
    numbers,
    runtimes,
    share,
    stages,
)
from attnbench.errors import UserError
from attnbench.modules import ATTENTION


def test_modules_are_named_with_commas_or_all_at_once():
    assert modules(None) is None
    assert modules("all") == tuple(ATTENTION)
    assert modules(" se, sa,") == ("se", "sa")
    assert modules(" All ") == tuple(ATTENTION)
    assert modules("all,timm:eca") == (*ATTENTION, "timm:eca")
    with pytest.raises(UserError, match="--modules names none; known: se, "):
        modules(" ,")


def test_modules_of_ones_own_stand_alone_or_beside_named_ones():
    assert modules(None, None) is None
    assert modules("se,sa", None) == ("se", "sa")
    assert modules(None, [" mine.py:Mine,k=(3, 5)"]) == ("mine.py:Mine,k=(3, 5)",)
    assert modules("all", ["timm:eca"]) == (*ATTENTION, "timm:eca")


def test_what_is_named_is_neither_a_default_nor_all():
    assert named(None) == named("all") == named(" ALL,") == set()
    assert named("SE, all,sa") == {"se", "sa"}
    assert named(None, ["SK", "m.py:M"]) == {"sk", "m.py:M"}


def test_stages_are_counted_from_1_or_as_detection_does():
    assert stages(None) is None
    assert stages("2, 4") == (2, 4)
    assert stages("c3-c5") == (2, 3, 4)
    assert stages("C2") == (1,)
    for text in ("c1", "c3-", "c3,c4", "c6", "c3-c5,1", "every"):
        with pytest.raises(UserError, match=f"--stages: '{text}' is "):
            stages(text)


def test_numbers_are_whole_and_may_be_several():
    assert numbers(None, "--batch-size") is None
    assert numbers("1, 8", "--batch-size") == (1, 8)
    with pytest.raises(UserError, match="--batch-size: '1,x' is no number"):
        numbers("1,x", "--batch-size")


def test_an_image_is_a_square_or_has_a_height_and_a_width():
    assert image_sizes(None, "--image-size") is None
    assert image_sizes("224, 800x1333,64X64", "--image-size") == (224, (800, 1333), 64)
    for text in ("800x", "x800", "800x1333x3", "-1", "2.5", "", "224;8"):
        with pytest.raises(
            UserError, match=r"--image-size: '.*' is not an image size such as 224 or 800x1333"
        ):
            image_sizes(text, "--image-size")


def test_a_choice_is_one_of_those_that_are_known():
    assert choices(None, "--mode", ("a", "b")) is None
    assert choices("b, a", "--mode", ("a", "b")) == ("b", "a")
    with pytest.raises(UserError, match="--mode: 'c' is not one of a, b"):
        choices("a,c", "--mode", ("a", "b"))
    known = ("float32", "bfloat16", "float16")
    assert choices("FP16,bf16, Float32", "--dtype", known) == ("float16", "bfloat16", "float32")
    with pytest.raises(UserError, match=r"'float31' is not one of .* \(did you mean float32\?\)"):
        choices("float31", "--dtype", known)


@pytest.mark.parametrize(
    ("compiled", "eager", "cuda_graph", "meant"),
    [
        (None, None, None, None),
        (True, None, None, ("compile",)),
        (True, True, None, ("eager", "compile")),
        (None, None, True, ("cuda-graph",)),
        (None, True, True, ("eager", "cuda-graph")),
        (True, None, True, ("compile+cuda-graph",)),
        (True, True, True, ("cuda-graph", "compile+cuda-graph")),
    ],
)
def test_switches_are_short_forms_of_runtimes(compiled, eager, cuda_graph, meant):
    assert runtimes(None, compiled, eager, cuda_graph) == meant


def test_eager_without_another_is_refused():
    with pytest.raises(UserError, match="--eager goes with --compile or --cuda-graph"):
        runtimes(None, None, True, None)


def test_runtimes_are_named_once():
    assert runtimes("ONNXRuntime, eager", None, None, None) == ("onnxruntime", "eager")
    with pytest.raises(UserError, match="--runtime: 'tpu' is not one of eager, compile"):
        runtimes("tpu", None, None, None)
    with pytest.raises(UserError, match="--runtime names all: leave --compile"):
        runtimes("eager", True, None, None)


def test_another_measurement_is_waited_for_refused_or_measured_beside():
    assert if_busy(no_wait=False, share=False) is None
    assert if_busy(no_wait=True, share=False) == "refuse"
    assert if_busy(no_wait=False, share=True) == "share"
    with pytest.raises(UserError, match="--no-wait and --share contradict each other"):
        if_busy(no_wait=True, share=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3%", 0.03), ("0.03", 0.03), (" 3 % ", 0.03), ("0", 0.0), ("0%", 0.0), ("150%", 1.5)],
)
def test_a_share_is_given_in_percent_or_as_a_number(text, value):
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["x", "-1%", "-0.01", "nan", "nan%", "inf", "inf%", "", "%", "3%%"]
)
def test_what_is_no_share_is_bad_input(text):
    with pytest.raises(UserError, match=f"'{text}' is no share such as 3% or 0.03"):
        share(text)


@pytest.mark.parametrize(("text", "meant"), [("3", "3% or 0.03"), ("1", "1% or 0.01")])
def test_a_bare_number_that_would_be_all_and_more_is_refused(text, meant):
    with pytest.raises(UserError, match=f"'{text}' would be {text}00%; write {meant}"):
        share(text)


def test_an_import_root_is_written_into_the_modules_of_files_and_packages():
    custom = [" a.b:C,k=3", "mine.py:M", "timm:eca", "x.y:Z,import_root=other"]
    assert imported_from(custom, "lib") == [
        "a.b:C,k=3,import_root=lib",
        "mine.py:M,import_root=lib",
        "timm:eca",
        "x.y:Z,import_root=other",
    ]
    assert imported_from(custom, None) == custom
    assert imported_from(None, None) is None
    for given, root in ((["timm:eca"], "lib"), (None, "lib"), (["a.b:C"], "a,b"), (["a.b:C"], " ")):
        with pytest.raises(UserError, match="--import-root"):
            imported_from(given, root)
