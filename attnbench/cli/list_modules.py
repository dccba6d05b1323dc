"""``attnbench list``: the table, what packages offer, and what was asked for.

Without anything asked for, nothing is loaded: neither torch nor a package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.options import CustomModules
from attnbench.errors import UserError
from attnbench.modules import ATTENTION, AttentionSpec, SettingsError
from attnbench.plugins import entry_points, resolve, timm
from attnbench.system import worker

HOSTS = tuple(dict.fromkeys(host for row in ATTENTION.values() for host in row.added_params))
"""Hosts for which the table states added parameters."""

HEADINGS = ("module", "site", *(f"in {host}" for host in HOSTS), "arXiv", "paper")

Row = tuple[str, ...]


def rows(own: Iterable[str] = ()) -> Iterator[Row]:
    """A row a module; those that were asked for are loaded, tried and put into both hosts.

    Raises:
        UserError: one of them cannot be loaded, or has ended the process in which it was.
    """
    for entry in ATTENTION.values():
        yield _row(entry, [_stated(entry, host) for host in HOSTS])
    for name in own:
        yield _own(name)
    asked = set(own)
    for offered in entry_points.offered():
        if offered.name not in asked:
            unknown = (formatting.NOTHING,) * (1 + len(HOSTS))
            yield (offered.name, *unknown, formatting.NOTHING, entry_points.origin(offered))


def remarks() -> list[str]:
    """What else could be asked for."""
    here = "" if find_spec("timm") else "; it is not installed: pip install 'attnbench[timm]'"
    vain = ", ".join(
        f"{each.name} of {entry_points.origin(each)}" for each in entry_points.in_vain()
    )
    return [
        f"timm:NAME for {', '.join(timm.NAMES)} (of timm{here}).",
        "path/to/file.py:ClassName for a class of your own.",
        *([f"Their names are taken, so that nobody can ask for: {vain}."] if vain else []),
    ]


def _own(name: str) -> Row:
    try:
        resolve.require_known(name)
        return worker.call(_loaded, name)
    except SettingsError as error:
        raise UserError(str(error)) from error
    except RuntimeError as error:
        raise UserError(f"{name} is refused: {error}") from error


def _loaded(name: str) -> Row:
    attention, origin = resolve.lookup(name), resolve.origins([name]).get(name, "")
    return _row(attention, [_added(attention, host) for host in HOSTS], origin)


def _row(entry: AttentionSpec, added: list[str], origin: str = "") -> Row:
    paper = f"{entry.title}, {origin}" if origin else entry.title
    return (entry.name, entry.site, *added, entry.arxiv or formatting.NOTHING, paper)


def _stated(entry: AttentionSpec, host: str) -> str:
    return f"{entry.added_params[host]:,}" if host in entry.added_params else "not stated"


def _added(attention: AttentionSpec, host: str) -> str:
    """The learnable parameters that it adds to a host, or why it cannot be put there."""
    from torch import device

    from attnbench.counting import parameters
    from attnbench.hosts import check_module
    from attnbench.hosts.build import build, default_size

    try:
        check_module.require_fit(
            attention, check_module.places(attention, host, (1, 3, *default_size(host)))
        )
        with device("meta"):
            with_it, without = build(host, attention), build(host)
    except SettingsError as error:
        return f"refused: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    params = [parameters.count(network, ()).params or 0 for network in (with_it, without)]
    return f"{params[0] - params[1]:,}"


def list_modules(module: CustomModules = None) -> None:
    """The modules: name, site, added learnable parameters, paper or package."""
    caption = "Attention modules, and the learnable parameters that they add"
    table = output.table(caption, HEADINGS, rows(module or ()), words=("site", "paper"))
    console = output.console()
    console.print(table)
    for remark in remarks():
        console.print(remark, markup=False)
