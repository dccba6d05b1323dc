"""What tables say of runs whose networks a runtime executes from files."""

from dataclasses import replace

import pytest

from attnbench.formatting import error
from attnbench.records.run import Run
from attnbench.records.schema import Count, Export
from attnbench.report.plots.runtimes import RUNTIME_PLOTS
from attnbench.report.tables.grid import by_runtime, tidy
from attnbench.report.tables.remarks import notes
from attnbench.report.tables.run import LoadedRun, tables

PLAIN_OPERATORS = {"Conv": 53, "Reshape": 1}
EXPORT = Export(
    file="a.onnx",
    sha256="0" * 64,
    bytes=2**20,
    seconds=4.0,
    load_s=0.5,
    operators=PLAIN_OPERATORS,
    relative_error=7e-7,
    bound=0.5,
    settings={"threads": 1, "spin\x1b": "0"},
)
SA_EXPORT = replace(
    EXPORT, bytes=3 * 2**20, operators={"Conv": 53, "Reshape": 81, "Mul": 80}, relative_error=0.02
)


@pytest.fixture
def eager(run: Run) -> Run:
    """A run of the plain host and SA, that adds 3 kernels."""
    details = {"bytes_read": 0, "bytes_written": 0, "macs": 0}
    counts = {
        name: {"executed": Count(operations=0, details={"kernels": kernels, **details})}
        for name, kernels in (("plain", 10), ("sa", 13))
    }
    return replace(run, counts=counts)


@pytest.fixture
def exported(eager: Run) -> Run:
    case = replace(eager.case, runtime="onnxruntime")
    return replace(
        eager,
        case=case,
        export={"plain": EXPORT, "sa": SA_EXPORT},
        environment=eager.environment | {"onnxruntime": "1.32"},
    )


def test_a_runs_tables_say_what_the_runtime_made_of_each_network(exported: Run) -> None:
    printed = {table.caption: table for table in tables(LoadedRun(exported))}
    made = printed["What ONNX Runtime made of the networks"]
    assert made.headings[1:] == (
        *("operators", "added operators", "file (MiB)", "added to the file (MiB)", "output error"),
    )
    # 53 + 81 + 80 = 214; 214 - 54 = 160.
    assert made.rows == (
        ("plain", "54", "+0", "1.0", "+0.0", "0.000070%"),
        ("SA", "214", "+160", "3.0", "+2.0", "2.0%"),
        ("SK", *5 * ("–",)),  # whose file is not there
    )
    kinds = printed["Operators that modules add in ONNX Runtime, by type"]
    assert kinds.rows == (("SA", "Reshape +80, Mul +80"), ("SK", "–"))
    assert not any(caption.startswith("Peak memory") for caption in printed)


def test_the_settings_of_a_runtime_are_stated(exported: Run) -> None:
    stated = "ONNX Runtime 1.32 states these settings: threads 1, spin\\x1b 0."
    assert stated in notes(LoadedRun(exported))
    assert not any(
        "states these" in note for note in notes(LoadedRun(replace(exported, export={})))
    )


def test_what_int8_is_calibrated_on_is_no_setting_of_the_runtime(exported: Run) -> None:
    settings = {"threads": 1, "calibration": "8 batches of noise"}
    exports = {name: replace(export, settings=settings) for name, export in exported.export.items()}
    shown = notes(LoadedRun(replace(exported, export=exports)))
    assert "ONNX Runtime 1.32 states these settings: threads 1." in shown
    assert "int8 is calibrated on 8 batches of noise." in shown


@pytest.mark.parametrize(
    ("bits", "more"),
    [(8, ""), (7, ", with weights of 7 bits: the CPU would cut off sums of products of 8")],
)
def test_weights_of_fewer_bits_are_said(exported: Run, bits: int, more: str) -> None:
    settings = {"threads": 1, "calibration": "8 batches of noise", "weight_bits": bits}
    exports = {name: replace(export, settings=settings) for name, export in exported.export.items()}
    shown = notes(LoadedRun(replace(exported, export=exports)))
    assert "ONNX Runtime 1.32 states these settings: threads 1." in shown
    assert f"int8 is calibrated on 8 batches of noise{more}." in shown


def test_runtimes_stand_beside_each_other(eager: Run, exported: Run) -> None:
    runs = {"a": LoadedRun(eager), "b": LoadedRun(exported)}
    added, kinds, sizes, errors = by_runtime(runs)
    assert (added.headings, added.rows) == (
        ("module", "eager PyTorch", "ONNX Runtime"),
        (("SA", "+3", "+160"), ("SK", "–", "–")),
    )
    assert "nothing is fused" in added.definitions[1]
    assert "fewer than in eager PyTorch, the runtime has fused" in added.definitions[2]
    assert kinds.rows == (("SA", "Reshape +80, Mul +80"), ("SK", "–"))
    assert sizes.rows == (("SA", "+2.0"), ("SK", "–"))
    assert (errors.headings, errors.rows) == (
        ("module", "ONNX Runtime"),
        (("SA", "2.0%"), ("SK", "–")),
    )
    assert by_runtime({"a": LoadedRun(eager)}) == []


def test_of_many_types_the_table_of_all_runtimes_names_those_added_most(
    eager: Run, exported: Run
) -> None:
    added = {"Conv": 52, "Mul": 5, "Slice": 4, "Concat": 3, "Add": 2, "Transpose": 1}
    export = {"plain": EXPORT, "sa": replace(SA_EXPORT, operators=added)}
    runs = {"a": LoadedRun(eager), "b": LoadedRun(replace(exported, export=export))}
    kinds = by_runtime(runs)[1]
    assert kinds.rows[0] == ("SA", "Mul +5, Slice +4, Concat +3, Add +2")


def test_the_plot_has_a_position_a_runtime_with_the_plain_hosts_latency(
    eager: Run, exported: Run
) -> None:
    plot = RUNTIME_PLOTS["overhead_by_runtime"]
    table = tidy({"a": LoadedRun(exported), "b": LoadedRun(eager)})
    assert plot.fits(table)
    figure = plot.draw(table, "setting")
    (axes,) = figure.axes
    plain = table[table["variant"] == "plain"]["latency_s"].iloc[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        f"eager\n{1e3 * plain:.2f} ms",
        f"ONNX Runtime\n{1e3 * plain:.2f} ms",
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["SA"]
    assert "eager PyTorch: SA " in plot.describe(table)
    assert not plot.fits(tidy({"a": LoadedRun(eager)}))
    other = replace(exported, case=replace(exported.case, batch_size=7))
    assert not plot.fits(tidy({"a": LoadedRun(eager), "b": LoadedRun(other)}))


def test_positions_of_several_dtypes_name_them(exported: Run) -> None:
    vino = replace(exported, case=replace(exported.case, runtime="openvino", dtype="bfloat16"))
    table = tidy({"a": LoadedRun(exported), "b": LoadedRun(vino)})
    figure = RUNTIME_PLOTS["overhead_by_runtime"].draw(table, "setting")
    ticks = [label.get_text().split("\n")[:2] for label in figure.axes[0].get_xticklabels()]
    assert ticks == [["ONNX Runtime", "float32"], ["OpenVINO", "bfloat16"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0212, "2.1%"), (0.41, "41%"), (7e-7, "0.000070%"), (0.0, "0.0%"), (float("nan"), "–")],
)
def test_an_error_has_two_significant_digits(value: float, text: str) -> None:
    assert error(value) == text
