from pathlib import Path

import pytest

from attnbench import report
from attnbench.records.run import Run
from attnbench.report.formats.documentation import PAGES, address
from attnbench.report.formats.glossary import GLOSSARY


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what a checkout is known by."""
    root = tmp_path / "checkout"
    for name in ("attnbench/__init__.py", *(f"docs/{page}" for page in PAGES)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("folder", "way"),
    [
        ("reports/mine", "../../docs"),
        ("reports/../reports/mine", "../../docs"),
        ("reports", "../docs"),
        (".", "docs"),
    ],
)
def test_the_documentation_of_a_checkout_is_found_from_within(checkout, folder, way) -> None:
    assert address(checkout / folder) == way
    (checkout / folder).mkdir(parents=True, exist_ok=True)
    assert (checkout / folder / way / PAGES[0]).is_file()


def test_outside_a_checkout_and_in_a_broken_one_there_is_none(checkout, tmp_path) -> None:
    assert address(tmp_path / "reports" / "mine") == ""
    (checkout / "docs" / PAGES[-1]).unlink()
    assert address(checkout / "reports" / "mine") == ""


def test_a_folder_that_two_ways_lead_to_has_none(checkout, tmp_path) -> None:
    (checkout / "reports").mkdir()
    (checkout / "reports" / "mine").symlink_to(tmp_path)  # a browser goes up from the link
    assert address(checkout / "reports" / "mine") == ""
    (tmp_path / "deep").symlink_to(checkout / "reports")
    assert address(tmp_path / "deep") == ""


def test_a_page_links_to_the_documentation_of_its_checkout(run: Run, checkout) -> None:
    folder = checkout / "reports" / "mine"
    report.write(run, folder)
    text = (folder / "report.html").read_text()
    for name in ("measuring.md", "reference.md", "glossary.md"):
        assert f'href="../../docs/{name}"' in text
        assert (folder / "../../docs" / name).is_file()


def test_a_page_elsewhere_holds_the_definitions_and_names_no_document(run: Run, tmp_path) -> None:
    report.write(run, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "docs/" not in text
    assert "attnbench/stats" not in text
    assert all(f"<dt>{word}</dt>" in text for word in GLOSSARY)
    assert 'href="#words"' in text
    assert 'id="words"' in text
