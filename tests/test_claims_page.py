from pathlib import Path

import pytest

from attnbench import docs
from attnbench.claims import check
from attnbench.claims.claim import Finding

ROOT = Path(__file__).parent.parent


def test_the_claims_document_has_not_drifted(
    monkeypatch: pytest.MonkeyPatch, every_finding: list[Finding]
) -> None:
    monkeypatch.setattr(check, "check", lambda _: every_finding)
    assert (ROOT / docs.CLAIMS).read_text() == docs.claims_page(), "run 'make readme'"
