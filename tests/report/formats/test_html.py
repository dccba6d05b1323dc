import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from attnbench import report
from attnbench.cli import app
from attnbench.records.run import Run
from attnbench.records.schema import Record
from attnbench.report.formats.html import figure, kinds
from attnbench.report.tables.run import LoadedRun
from attnbench.report.tables.table import Table
from attnbench.report.write import write_joint

SMALL_RUN = Path(__file__).parents[2] / "data" / "small-run"

HOSTILE = '<img src=x onerror=alert(1)>&"$x_1$|,'


class Page(HTMLParser):
    """The tags, attributes and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text += data


@pytest.fixture
def page(run: Run, tmp_path: Path) -> Page:
    report.write(run, tmp_path)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def renamed(run: Run, old: str, new: str) -> Run:
    """The run with another module in the place of one."""
    blocks = [
        replace(
            each,
            blocks=tuple(
                replace(block, variant=new if block.variant == old else block.variant)
                for block in each.blocks
            ),
        )
        for each in run.rounds
    ]
    variants = tuple(new if name == old else name for name in run.plan.variants)
    return replace(
        run,
        plan=replace(run.plan, variants=variants),
        rounds=blocks,
        counts={new if name == old else name: each for name, each in run.counts.items()},
        memory={new if name == old else name: each for name, each in run.memory.items()},
    )


def test_every_tag_is_closed_and_nothing_is_fetched(page: Page) -> None:
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in {"img", "iframe", "object"}
        for key in ("src", "href", "xlink:href"):
            allowed = ("#", "data:", "https://arxiv.org/abs/", "comparison.") if tag == "a" else ()
            address = attributes.get(key) or "#"
            assert address.startswith(allowed or ("#", "data:")), (tag, attributes)


def test_it_says_what_ran_on_what_when_and_whether_the_control_held(page: Page) -> None:
    for said in (
        "resnet50, inference, batch 2, 224x224, float32, cpu",
        "An imagined CPU, 2 threads",
        "control holds",
        "Control (plain against plain): 1.000 [0.999, 1.001]; it holds.",
        "SK failed at latency: OutOfMemoryError: no room.",
        "attnbench run --modules sa,sk --host resnet50",
        "1.200 [1.161, 1.240]",
    ):
        assert said in page.text, said


def test_it_leads_to_the_papers_and_to_the_tables_as_files(page: Page, tmp_path: Path) -> None:
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert "https://arxiv.org/abs/2102.00240" in links
    files = [link for link in links if link.startswith("comparison.")]
    assert files == ["comparison.csv", "comparison.md", "comparison.tex"]
    assert all((tmp_path / name).is_file() for name in files)


def test_a_custom_module_of_the_same_name_leads_to_no_paper(run: Run, tmp_path: Path) -> None:
    report.write(renamed(run, "sk", "SA"), tmp_path)  # beside the suite's, which is SA in tables
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not any("arxiv" in (attributes.get("href") or "") for _, attributes in found.tags)


def test_every_heading_has_its_definition_and_the_page_a_title_of_its_own(page: Page) -> None:
    headings = [given for tag, given in page.tags if tag == "th" and given.get("scope") == "col"]
    assert headings
    assert all(given.get("title") for given in headings)
    assert "resnet50, inference, batch 2, 224x224, float32, cpu, An imagined CPU" in page.text


def test_the_page_lists_what_its_columns_mean(page: Page) -> None:
    headings = [given for tag, given in page.tags if tag == "th" and given.get("scope") == "col"]
    meanings = {given["title"] for given in headings}
    listed = page.text.partition("What the columns mean")[2]
    assert "Learnable parameters, exact." in meanings
    assert not [meaning for meaning in meanings if meaning not in listed]
    assert any(given.get("href") == "#definitions" for _, given in page.tags)


def test_the_configuration_stands_on_the_page_once(page: Page) -> None:
    body = page.text.partition("- attnbench")[2]  # behind the title
    assert body.count("resnet50, inference, batch 2, 224x224, float32, cpu") == 1


def test_a_control_that_failed_is_said_at_the_top(run: Run, tmp_path: Path) -> None:
    report.write(replace(run, rounds=run.rounds[:5]), tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "too noisy to judge</span>" in text
    assert "control holds" not in text
    caption = "Compared with the plain host; intervals include the variation between runs"
    assert f"{caption}; too noisy to judge<" in text


def test_a_name_is_data_and_never_markup(run: Run, tmp_path: Path) -> None:
    report.write(renamed(run, "sa", HOSTILE), tmp_path)
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert found.open == []
    assert HOSTILE in found.text
    assert not any("onerror" in attributes for _, attributes in found.tags)
    assert "img" not in {tag for tag, _ in found.tags}


def test_a_hostile_name_keeps_its_row_in_every_table(run: Run, tmp_path: Path) -> None:
    report.write(renamed(run, "sa", HOSTILE), tmp_path)
    read = pd.read_csv(tmp_path / "comparison.csv")
    assert list(read["variant"]) == ["plain", "control", HOSTILE, "sk"]
    latex = (tmp_path / "comparison.tex").read_text(encoding="utf-8").replace(r"\allowbreak{}", "")
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{}\&" in latex


@pytest.mark.parametrize(
    "name",
    ["a\x07b\x1b[31m\x00c", "\N{RIGHT-TO-LEFT OVERRIDE}evil\uffff", "two\nlines", "=1+1"],
)
def test_no_name_breaks_a_file(run: Run, tmp_path: Path, name: str) -> None:
    written = report.write(renamed(run, "sa", name), tmp_path)
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert found.open == []
    for path in written:
        if path.suffix == ".svg":
            ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert len(pd.read_csv(tmp_path / "comparison.csv")) == 4


ORDERS = "\x1b[2J\u202e\u2066<b>\" onload='x' $\\frac{ ::error::"
SHOWN = ORDERS.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e").replace("\u2066", r"\u2066")


def test_every_foreign_text_of_a_record_is_shown_with_its_escapes(run: Run, tmp_path: Path) -> None:
    failure = replace(run.failures["sk"]["counts"], type=ORDERS, message=ORDERS)
    hostile = replace(
        renamed(run, "sa", ORDERS),
        case=replace(run.case, host=ORDERS),
        environment=run.environment | dict.fromkeys(("cpu", "time", "platform", ORDERS), ORDERS),
        failures={"sk": {"counts": failure}},
    )
    for path in report.write(hostile, tmp_path):
        if path.suffix != ".png":
            text = path.read_text(encoding="utf-8")
            assert not [c for c in text if not c.isprintable() and c != "\n"]
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert found.open == []
    assert found.text.count(SHOWN) > 8
    assert not any("onload" in attributes for _, attributes in found.tags)


def test_text_in_a_csv_file_is_no_formula_and_figures_are_as_they_were(
    run: Run, tmp_path: Path
) -> None:
    report.write(renamed(run, "sa", "=1+1"), tmp_path)
    usual = pd.read_csv(SMALL_RUN / "comparison.csv")
    read = pd.read_csv(tmp_path / "comparison.csv")
    assert list(read["variant"]) == ["plain", "control", "'=1+1", "sk"]
    figures = [column for column in usual.select_dtypes("number") if "published" not in column]
    pd.testing.assert_frame_equal(read[figures], usual[figures])
    assert (read["added_params"] < 0).sum() == (usual["added_params"] < 0).sum()


def test_a_run_in_which_everything_failed_is_a_page(run: Run, tmp_path: Path) -> None:
    nothing = Run(run.case, run.plan, run.environment, failures=run.failures)
    written = {path.name for path in report.write(nothing, tmp_path)}
    assert "latency_overhead.svg" not in written
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert found.open == []
    assert "the run is not finished" in found.text


def test_several_runs_are_sections_of_one_page_that_are_told_apart(
    run: Run, tmp_path: Path
) -> None:
    gpu = replace(run, environment=dict(run.environment) | {"gpu": "A GPU"})
    write_joint({"laptop": LoadedRun(run), "server": LoadedRun(gpu)}, tmp_path)
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert found.open == []
    ids = [attributes["id"] for _, attributes in found.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {"run-1", "run-2"} <= set(ids)
    headings = ("An imagined CPU", "A GPU")
    assert all(found.text.count(heading) >= 2 for heading in headings)  # overview and section


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.182 [1.171, 1.193]", "1.182"),
        ("+2,530,992", "+2530992"),
        ("-0.5", "-0.5"),
        ("= 1.001 [0.9, 1.1]", "1.001"),
        ("38 [36, 41]%", "38"),
        ("±2.0%", "2.0"),
        ("≥ 12.3", "12.3"),
        ("–", ""),
        ("slower", ""),
        ("13952522076/DCANet README @29c0792", ""),
    ],
)
def test_a_cell_is_sorted_by_its_figure(text: str, number: str) -> None:
    assert figure(text) == number


def test_a_column_is_of_words_where_no_cell_has_a_figure() -> None:
    rows = (("SA", "slower", "–", "1.2"), ("SE", "–", "–", "–"))
    assert kinds(Table("", ("a", "b", "c", "d"), rows)) == ["words", "words", "figures", "figures"]
    assert kinds(Table("", ("a", "b"), ())) == ["figures", "figures"]


def test_the_records_of_a_newer_schema_are_refused_in_one_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = Record(case=run.case, results=run.plan, environment=run.environment).as_json()
    (tmp_path / "records.jsonl").write_text(json.dumps(line | {"schema": 99}) + "\n")
    with pytest.raises(SystemExit) as stopped:
        app.main(["report", str(tmp_path)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
