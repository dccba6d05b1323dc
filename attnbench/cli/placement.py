"""Where modules stand: the options of ``run`` that other commands take too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attnbench.cli.options import image_sizes
from attnbench.cli.options import stages as stages_of
from attnbench.errors import UserError
from attnbench.measuring import RunOptions
from attnbench.measuring.options.cases import cases_of, check_case
from attnbench.measuring.options.values import cleaned, defaults, given, require_values
from attnbench.modules import SettingsError
from attnbench.plugins.host_reference import is_custom
from attnbench.records.case import Case
from attnbench.records.image_size import of as image_size_of


def cases(
    hosts: Iterable[str], image_size: str | None, stages: str | None, blocks: str | None
) -> list[Case]:
    """Return what these options of ``run`` ask for, one for each host and size.

    Raises:
        UserError: a host, size or stage that cannot be, or a custom host that cannot be built.
    """
    found: list[Case] = []
    for name in hosts:
        chosen = RunOptions(
            host=name.strip(),
            image_size=image_sizes(image_size, "--image-size"),
            stages=stages_of(stages),
            blocks=blocks,
        )
        try:
            stated = cleaned(chosen)
        except SettingsError as error:
            raise UserError(str(error)) from error
        standard = defaults(stated.host, device="cpu", threads=1)
        if stated.host and stated.image_size is None and is_custom(stated.host):
            from attnbench.hosts.check_host import size_apart  # and torch

            standard = replace(standard, image_size=(image_size_of(*size_apart(stated.host)),))
        filled = replace(standard, **given(stated))
        require_values(filled)
        found += cases_of(filled)
    for case in found:
        check_case(case)
    return list(dict.fromkeys(found))
