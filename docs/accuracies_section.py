"""The parts of ``docs/claims.md`` about accuracies.

``python docs/accuracies_section.py`` prints the first of them.

Every number in the text is computed from the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from math import sqrt
from statistics import mean

from attnbench.claims.claim import Claim, catalogue
from attnbench.claims.published.tables import METRICS
from attnbench.records.evaluation import IMAGENET_IMAGES
from attnbench.records.variants import PLAIN

README, LOG = "implus/PytorchInsight README @2864528", "implus/PytorchInsight pretrain_log @2864528"
TIMM = "huggingface/pytorch-image-models results csv @aa4b5850"

TEXT = """\
## What accuracies can and cannot show

Computed from the catalogue by `python docs/accuracies_section.py`.

**The best epoch.** A printed top-1 is the best epoch of one training, chosen on the set that it is
measured on. PytorchInsight publishes its logs, so that the choice can be seen: the best epoch is
{least} to {most} above the last, {mean} in the mean of {networks} networks. In ResNet-50 the
modules are by the best epoch {best_order}; by the last, {last_order}.

**One run.** Each figure is of one training, so that what seeds alone do is not known; the SA
authors printed {sa_before} for their ResNet-50, and {sa_after} eight days later. And {images:,}
images leave a figure near {near}% uncertain by ±{sampling} (95%), for other images of the same
kind. The figures of SA, CBAM, SGE, SK and ECA in ResNet-50 lie between {low} ({lowest}) and
{high} ({highest}).

**The recipe.** The same plain ResNet-50 is {plain_low} to {plain_high} at 224x224, by recipe: a
range larger than any gain of a module. Gains of different recipes are not comparable either. What
SE adds to the plain network of the same source and training:

{gains}

By timm's recipes the gain changes its sign. SA's abstract states a gain of more than {sa_gain}, and
its repository prints no plain network: what was subtracted is not known from there.

**COCO.** As on ImageNet, a figure is of one training. What SA printed for COCO cannot be repeated
from what its authors published: the network in their `mmdetection/sa_resnet.py` (@00a6760) ends in
a pooling and a classifier and returns logits, where a detector needs the maps of the stages; its
function for ResNet-101 returns nothing; and there is neither a configuration, nor a schedule, nor a
log, nor a checkpoint. The figures of that paper could not be read from a source that can be cited,
and are not in the catalogue.
"""


def text() -> str:
    """Return the section that says what published accuracies can and cannot show."""
    best, last = _top1(README), _top1(LOG)
    choices = [best[network] - last[network] for network in last]
    plain = [
        value
        for (_, module, *_, size), value in _all("resnet50").items()
        if (module, size) == (PLAIN, "224x224")
    ]
    known = {claim.id: claim for claim in catalogue()}
    modules = {
        "SA": known["sa-readme-r50-top1"],
        "CBAM": known["pi-resnet50-cbam-top1"],
        "SGE": known["pi-resnet50-sge-top1"],
        "SK": known["pi-resnet50-sk-top1"],
        "ECA": known["eca-r50-top1"],
    }
    ranked = sorted(modules, key=lambda name: Decimal(modules[name].printed))
    near = Decimal("77.6")
    share = float(near) / 100
    return TEXT.format(
        least=min(choices),
        most=max(choices),
        mean=f"{mean(choices):.3f}",
        networks=len(choices),
        best_order=_order(best, last),
        last_order=_order(last, last),
        sa_before=known["sa-2021-r50-top1"].printed,
        sa_after=modules["SA"].printed,
        images=IMAGENET_IMAGES,
        near=near,
        sampling=f"{196 * sqrt(share * (1 - share) / IMAGENET_IMAGES):.2f}",
        low=modules[ranked[0]].printed,
        lowest=ranked[0],
        high=modules[ranked[-1]].printed,
        highest=ranked[-1],
        plain_low=min(plain),
        plain_high=max(plain),
        gains=_gains(),
        sa_gain=known["sa-abstract-top1"].printed,
    )


def copies(claims: Sequence[Claim]) -> str:
    """Return the story of the figures that networks cannot have."""
    lines = []
    for (source, note), group in groupby(
        (claim for claim in claims if claim.copy_of), key=lambda claim: (claim.source, claim.note)
    ):
        copied = list(group)
        figures = "; ".join(
            f"{_network(claim)}, {claim.metric.upper().replace('MASK', 'mask')} {claim.printed}"
            for claim in copied
        )
        lines += [
            f"### Mask AP of RetinaNet: printed {len(copied)} times, contradicted",
            "",
            f"{source}: {figures}.",
            f"{note}.",
            "",
        ]
    return "\n".join(lines)


def tables(claims: Sequence[Claim]) -> str:
    """Return a table a source of every figure without a rule, a row a network and training."""
    titles = {
        "Accuracies, which need ImageNet": ("top1", "top5", "added top1"),
        "Average precision, which needs COCO": tuple(m for m in METRICS if " ap" in m),
    }
    parts = []
    for title, metrics in titles.items():
        parts.append(f"## {title}\n")
        kind = title.partition(",")[0].lower()
        chosen = [claim for claim in claims if claim.metric in metrics]
        for source in dict.fromkeys(claim.source for claim in chosen):
            of_source = [claim for claim in chosen if claim.source == source]
            parts.append(f"### {source}: {kind}\n")
            parts.append(_table(of_source))
    return "\n".join(parts)


def _table(claims: Sequence[Claim]) -> str:
    """Return one source's figures: a column a metric, the remarks below."""
    metrics = list(dict.fromkeys(claim.metric for claim in claims))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for claim in claims:
        setting = ", ".join(filter(None, (claim.options, claim.size, claim.training)))
        mark = " (contradicted)" if claim.copy_of else ""
        row = rows.setdefault((_network(claim), setting), {})
        row[claim.metric] = f"{claim.printed}{mark}"
    shown = (metric.replace("ap", "AP").replace("top", "top-") for metric in metrics)
    lines = [
        f"| network | setting | {' | '.join(shown)} |",
        f"|:--|:--|{'--:|' * len(metrics)}",
    ]
    lines += [
        f"| {network} | {setting} | {' | '.join(row.get(metric, '') for metric in metrics)} |"
        for (network, setting), row in rows.items()
    ]
    notes = dict.fromkeys(claim.note for claim in claims if claim.note and not claim.copy_of)
    lines += ["", *(f"{note[:1].upper()}{note[1:]}.\n" for note in notes)]
    return "\n".join(lines)


def _gains() -> str:
    """Return a table of what SE adds, by source, training and size."""
    gains = []
    for host in ("resnet50", "resnext50_32x4d", "timm:resnet33ts"):
        top1 = _all(host)
        for (name, module, source, training, size), value in top1.items():
            plain = top1.get((name, PLAIN, source, training, size))
            if module == "se" and plain is not None:
                gains.append((value - plain, name, source, training, size, plain, value))
    lines = ["| network | source | at | plain | SE | gain |", "|:--|:--|:--|--:|--:|--:|"]
    for gain, name, source, training, size, plain, value in sorted(gains):
        where = f"{source.split(' ')[0]}{f', {training}' if training else ''}"
        lines.append(f"| {name} | {where} | {size} | {plain} | {value} | {gain:+} |")
    return "\n".join(lines)


def _all(host: str) -> dict[tuple[str, str, str, str | None, str], Decimal]:
    """Return every top-1 in a host by module, source, training and size."""
    return {
        (
            host,
            claim.attention or PLAIN,
            claim.source,
            claim.training,
            claim.size or "224x224",
        ): Decimal(claim.printed)
        for claim in catalogue()
        if claim.metric == "top1" and claim.host == host
    }


def _top1(source: str) -> dict[tuple[str, str], Decimal]:
    return {
        (claim.host, claim.attention or PLAIN): Decimal(claim.printed)
        for claim in catalogue()
        if claim.metric == "top1" and claim.source == source
    }


def _order(
    top1: dict[tuple[str, str], Decimal], among: Iterable[tuple[str, str]], host: str = "resnet50"
) -> str:
    """Return the modules that both lists have, the best first, with their figures."""
    networks = [network for network in among if network[0] == host and network[1] != PLAIN]
    ranked = sorted(networks, key=lambda network: -top1[network])
    return ", ".join(f"{module.upper()} {top1[host, module]}" for host, module in ranked)


def _network(claim: Claim) -> str:
    return claim.host if claim.attention is None else f"{claim.attention} in {claim.host}"


if __name__ == "__main__":
    print(text())
