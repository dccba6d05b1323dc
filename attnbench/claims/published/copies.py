"""Published figures that networks cannot have, copied from the rows of others."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter

import torch

from attnbench.claims.claim import Claim, catalogue
from attnbench.claims.outcome import Outcome
from attnbench.hosts.build import build
from attnbench.stats.verdicts import reasons


def check(claims: Iterable[Claim]) -> list[Outcome]:
    """Build the network of each such figure, look for its masks, and compare with the other row."""
    printed = {claim.id: claim for claim in catalogue()}
    outcomes, masks = [], {}
    for claim in claims:
        begun_s = perf_counter()
        if claim.host not in masks:
            masks[claim.host] = has_masks(claim.host)
        original = printed[claim.copy_of or ""]
        same = original.printed == claim.printed and original.metric == claim.metric
        contradicted = not masks[claim.host] and same
        found = "masks" if masks[claim.host] else "no masks"
        outcomes.append(
            Outcome(
                kind="claim",
                name=claim.id,
                subject=claim.subject,
                stated=float(claim.printed),
                computed=None,
                unit=claim.unit_name,
                stated_text=claim.printed_with_unit,
                computed_text=f"{found}; {original.id} is {original.printed}",
                rule="mask head",
                verdict="contradicted" if contradicted else "not refuted",
                code=reasons.CONTRADICTED if contradicted else reasons.NOT_REFUTED,
                expected=claim.verdict,
                holds=contradicted,
                seconds=perf_counter() - begun_s,
            )
        )
    return outcomes


def has_masks(host: str) -> bool:
    """Return whether the detector of that name has a head that predicts masks."""
    with torch.device("meta"):
        network = build(host)
    return any(name.endswith("mask_predictor") for name, _ in network.named_modules())
