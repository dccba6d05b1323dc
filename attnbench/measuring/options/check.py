"""What the options of a run can be: all that is known before torch is imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from attnbench.devices.energy import rapl
from attnbench.errors import UserError
from attnbench.files import require_folder
from attnbench.measuring.options.cases import cases_of, check_case
from attnbench.measuring.options.recorded import all_finished, gathered, require_same_options
from attnbench.measuring.options.values import (
    cleaned,
    defaults,
    given,
    require_spacing,
    require_values,
)
from attnbench.modules import SettingsError
from attnbench.plugins import host_reference, resolve
from attnbench.records import store
from attnbench.records.case import RunOptions
from attnbench.records.run import can_be_profiled
from attnbench.runtimes import table


def check(options: RunOptions, out: Path | None) -> bool:
    """Refuse options and folders that cannot be; whether they fit the host needs torch.

    Return whether ``out`` holds finished runs of just these options: there is nothing to do.

    Raises:
        UserError: an option that cannot be, a module or host that is not known, a folder that
            holds something else or cannot be written to.
    """
    try:
        stated = cleaned(options)
        filled = replace(_on_any_machine(stated), **given(stated))
        require_values(filled)
        modules = [resolve.parse(module) for module in filled.modules or ()]
        resolve.origins(modules)  # the files are there
        host_reference.origins(str(filled.host))
        cases_asked = list(cases_of(filled))
        for case in cases_asked:
            check_case(case)
    except SettingsError as error:
        raise UserError(str(error)) from error
    if stated.profile and not any(map(can_be_profiled, cases_asked)):
        raise UserError(
            "--profile takes networks that eager PyTorch runs in inference on cpu or cuda, and none"
            f" of these is one: {cases_asked[0].described}"
        )
    if filled.energy and all(case.device == "cpu" for case in cases_asked):
        rapl.open_counter()
    folders = [] if out is None else store.runs_in(out)
    if not folders:
        require_spacing(filled)
    if folders and all_finished(runs := gathered(folders)):
        # Whether one that has not run was left out, as it does not fit the host, is not known here.
        others = [name for name in stated.modules or () if name not in runs[0].modules]
        require_same_options(runs, folders, stated, others)
        if stated.profile and not all(run.profile for run in runs if run.profiled):
            raise UserError(
                f"--profile: {out} is finished, and nothing can be added to it; "
                "name a new folder with --out"
            )
        return not others
    require_place(out)
    return False


def check_places(options: RunOptions) -> RunOptions:
    """Return the options of ``places``, valid: one size at most, and one way of choosing.

    Raises:
        UserError: one that cannot be, or a host that is not known.
    """
    try:
        stated = cleaned(options)
        filled = replace(defaults(stated.host, device="cpu", threads=1), **given(stated))
        host_reference.origins(str(filled.host))
    except SettingsError as error:
        raise UserError(str(error)) from error
    if len(filled.image_size or ()) > 1:
        raise UserError("--image-size: the places of one size are listed at a time")
    for case in cases_of(filled):
        check_case(case)
    return replace(stated, host=filled.host)


def _on_any_machine(stated: RunOptions) -> RunOptions:
    """Return the defaults for a machine on which the stated options can be, if there is one."""
    return defaults(stated.host, device=table.device_for(stated.runtime or (), "cuda"), threads=1)


def require_place(out: Path | None) -> None:
    """Refuse a folder for records that holds other files, or cannot be made or written to.

    Raises:
        UserError: it is one.
    """
    if out and store.has_files(out) and not store.runs_in(out) and not store.holds_a_file(out):
        raise UserError(f"{out} holds other files and no run; choose another --out")
    require_folder(out or Path("reports"))
