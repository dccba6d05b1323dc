from pathlib import Path

import generate
import pytest

from attnbench.claims import check
from attnbench.claims.claim import Finding

ROOT = Path(__file__).parents[2]


def test_the_claims_document_has_not_drifted(
    monkeypatch: pytest.MonkeyPatch, every_finding: list[Finding]
) -> None:
    monkeypatch.setattr(check, "check", lambda _: every_finding)
    assert (ROOT / generate.CLAIMS).read_text() == generate.claims_page(), "run 'make docs'"
