from pathlib import Path

import pytest

from attnbench import docs, report
from attnbench.errors import UserError
from attnbench.runs import Run

ROOT = Path(__file__).parent.parent


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(ROOT)
    return docs._published()


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("path", docs.PARTS)
def test_the_generated_parts_have_not_drifted(path: Path) -> None:
    text = path.read_text()
    for name, content in docs.PARTS[path].items():
        assert docs.filled(text, name, content()) == text, "run 'make readme'"


def test_the_claims_document_has_not_drifted() -> None:
    assert (ROOT / docs.CLAIMS).read_text() == docs.claims_page(), "run 'make readme'"


def test_the_published_tables_come_from_the_published_records(
    published: Run, tmp_path: Path
) -> None:
    report.write(published, tmp_path)
    for name in ("comparison.md", "comparison.csv", "comparison.tex"):
        assert (tmp_path / name).read_text() == (docs.PUBLISHED / name).read_text(), name


def test_the_published_run_is_the_main_job_and_finished(published: Run) -> None:
    case = published.case
    assert (case.host, case.batch_size, case.image_size) == ("resnet50", 1, 224)
    assert len(published.modules) == 7
    assert published.end is not None
    assert not published.failures


def test_a_part_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UserError, match="no part 'table'"):
        docs.filled("text", "table", "content")
