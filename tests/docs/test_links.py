"""Every relative link of the published pages, tables and the tutorial leads to something."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PAGES = sorted((ROOT / "reports").glob("**/report.html"))


class Links(HTMLParser):
    """The addresses and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given["href"]] if tag == "a" and given.get("href") else []
        self.anchors |= {given["id"]} if given.get("id") else set()


@pytest.mark.parametrize("page", PAGES, ids=[str(page.parent.relative_to(ROOT)) for page in PAGES])
def test_the_links_of_a_published_page_lead_somewhere(page: Path) -> None:
    found = Links(page.read_text())
    assert found.addresses
    for address in found.addresses:
        if address.startswith("#"):
            assert address[1:] in found.anchors, address
        elif not address.startswith("https://arxiv.org/abs/"):
            assert (page.parent / address).is_file(), address
    documents = {Path(address).name for address in found.addresses if "/docs/" in address}
    assert {"measuring.md", "reference.md", "glossary.md"} <= documents


def test_the_links_of_published_tables_and_of_the_tutorial_lead_somewhere() -> None:
    cells = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text())["cells"]
    texts = {ROOT / "docs" / "tutorial.ipynb": "".join("".join(cell["source"]) for cell in cells)}
    texts |= {path: path.read_text() for path in (ROOT / "reports").glob("*/**/*.md")}
    for path, text in texts.items():
        for address in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
            if not re.match(r"https?://", address):
                assert (path.parent / address).exists(), f"{path}: {address}"
