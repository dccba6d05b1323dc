"""What a Python runs first that has this folder on its path: say which process counts and times.

A line a call, ``PROCESS count CLASS`` or ``PROCESS time``, in the file that OBSERVED names.
"""

import importlib.util
import os
import sys
from pathlib import Path

FILE = "OBSERVED"


def say(*words):
    with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
        file.write(" ".join([str(os.getpid()), *words]) + "\n")


def observe_counting(module):
    """Say of every mode that sees each operator, as counters do."""
    enter = module.TorchDispatchMode.__enter__

    def entered(mode):
        say("count", f"{type(mode).__module__}.{type(mode).__qualname__}")
        return enter(mode)

    module.TorchDispatchMode.__enter__ = entered


def observe_timing(module):
    timed = module.timed

    def observed(*args):
        say("time")
        return timed(*args)

    module.timed = observed


def leave_uncompiled(module):
    """Compiling takes a minute; which process does what is the same without."""
    module.prepare = lambda network, example: module.Prepared(network)  # noqa: ARG005


WHERE = {
    "attnbench.runtimes.torch_compile": leave_uncompiled,
    "torch.utils._python_dispatch": observe_counting,
    "attnbench.measuring.timing": observe_timing,
}


class Finder:
    """Finds these modules as others do, and changes them once they are imported."""

    def find_spec(self, name, _path, _target=None):
        if name not in WHERE:
            return None
        change = WHERE.pop(name)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module
        return spec


if FILE in os.environ:
    sys.meta_path.insert(0, Finder())
