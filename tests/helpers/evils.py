"""What custom code may do to the process that times it, and what is then said of it.

Each takes pytest's ``monkeypatch``, by which it is undone.
"""

import copy
import gc
import os
import random
import resource
import signal
import sys
import threading
import time
import tracemalloc
import warnings

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from attnbench.devices import clocks
from attnbench.measuring import timing
from attnbench.modules import ATTENTION


def another(*_, **__):
    return None


def replace(owner, name, value=another):
    return lambda patch: patch.setattr(owner, name, value, raising=False)


def change(set_value, value, before):
    def do(patch):
        patch.callback(set_value, before())
        set_value(value)

    return do


def other_code(patch):
    patch.setattr(nn.Conv2d.forward, "__code__", another.__code__)


def bases(patch):
    class Slow(nn.Conv2d.__bases__[0]):
        pass

    patch.setattr(nn.Conv2d, "__bases__", (Slow,))


def leave_thread(patch):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="spin\n", daemon=True)
    patch.callback(thread.join)
    patch.callback(stop.set)
    thread.start()


def fork(_):
    copy = os.fork()
    if not copy:
        os._exit(0)  # here no worker's child runs, which ends its copies itself
    os.waitpid(copy, 0)


def one_core(patch):
    cores = os.sched_getaffinity(0)
    patch.callback(os.sched_setaffinity, 0, cores)
    os.sched_setaffinity(0, {min(cores)})


def convert_convolutions(patch):
    convolutions = torch.backends.mkldnn.conv
    patch.callback(setattr, convolutions, "fp32_precision", "none")
    convolutions.fp32_precision = "bf16"


def limit(patch):
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    patch.callback(resource.setrlimit, resource.RLIMIT_CPU, (soft, hard))
    resource.setrlimit(resource.RLIMIT_CPU, (10**6, hard))


def raise_warnings(patch):
    patch.setattr(warnings, "filters", [("error", None, Warning, None, 0), *warnings.filters])


def trace_allocations(patch):
    patch.callback(tracemalloc.stop)
    tracemalloc.start()


EVILS = {
    "functional": (replace(functional, "conv2d"), r"torch.nn.functional.conv2d \(now in evils.py"),
    "torch": (replace(torch, "relu"), r"torch.relu \("),
    "operator of tensors": (replace(torch.Tensor, "__mul__"), r"torch.Tensor.__mul__ \(now in"),
    "method of tensors": (replace(torch.Tensor, "add_"), r"torch.Tensor.add_ \("),
    "layer": (replace(nn.BatchNorm2d, "forward"), r"BatchNorm2d.forward \("),
    "base of layers": (replace(nn.Module, "__call__"), r"module.Module.__call__ \("),
    "inherited method": (replace(nn.Conv2d, "__call__"), r"conv.Conv2d.__call__ \("),
    "code of a method": (other_code, "the code of torch.nn.modules.conv.Conv2d.forward"),
    "defaults of a function": (
        replace(functional.relu, "__defaults__", (True,)),
        "the defaults of torch.nn.functional.relu",
    ),
    "value of a class": (replace(BasicBlock, "expansion", 2), "resnet.BasicBlock.expansion"),
    "module": (lambda patch: patch.setitem(sys.modules, "math", time), r"sys.modules\['math'\]"),
    "copies": (replace(copy, "deepcopy"), r"copy.deepcopy \("),
    "block of the host": (replace(BasicBlock, "forward"), r"resnet.BasicBlock.forward \("),
    "the suite's function": (replace(timing.Rounds, "_timed"), r"timing.Rounds._timed \("),
    "the suite's setting": (replace(timing, "BLOCK_S", 1.0), "attnbench.measuring.timing.BLOCK_S"),
    "row of a table": (
        lambda patch: patch.setitem(ATTENTION, "se", ATTENTION["sa"]),
        r"attnbench.*ATTENTION.se",
    ),
    "built-in function": (replace(timing, "range"), r"timing.range \("),
    "clock": (replace(time, "perf_counter"), r"time.perf_counter \("),
    "clock of the suite": (replace(clocks, "perf_counter"), r"clocks.perf_counter \("),
    "deleted": (lambda patch: patch.delattr(functional, "relu_"), r"functional.relu_ \(deleted\)"),
    "grad mode": (
        change(torch.set_grad_enabled, False, torch.is_grad_enabled),
        "torch's grad mode from True to False",
    ),
    "default dtype": (
        change(torch.set_default_dtype, torch.float64, torch.get_default_dtype),
        "torch's default dtype from torch.float32 to torch.float64",
    ),
    "precision": (
        convert_convolutions,
        "torch's float32 precision of mkldnn's conv from none to bf16",
    ),
    "cache of autocast": (
        change(torch.set_autocast_cache_enabled, False, torch.is_autocast_cache_enabled),
        "torch's cache of autocast from True to False",
    ),
    "threads": (
        change(torch.set_num_threads, 3, torch.get_num_threads),
        "torch's number of threads from [0-9]+ to 3",
    ),
    "hook": (
        lambda patch: patch.callback(
            nn.modules.module.register_module_forward_hook(another).remove
        ),
        "torch's global module hooks from False to True",
    ),
    "tracing": (change(sys.settrace, another, sys.gettrace), "Python's trace function from"),
    "profiling": (
        change(sys.setprofile, another, sys.getprofile),
        "Python's profile function from",
    ),
    "switch interval": (
        change(sys.setswitchinterval, 1.0, sys.getswitchinterval),
        "Python's thread switch interval from [0-9.]+ to 1.0",
    ),
    "collection": (
        change(lambda values: gc.set_threshold(*values), (1, 1, 1), gc.get_threshold),
        "Python's thresholds of garbage collection from",
    ),
    "signals": (
        change(
            lambda handler: signal.signal(signal.SIGUSR1, handler),
            another,
            lambda: signal.getsignal(signal.SIGUSR1),
        ),
        "Python's signal handlers, SIGUSR1 from the default to another at 0x",
    ),
    "timer": (
        change(lambda s: signal.setitimer(signal.ITIMER_PROF, s), 1000.0, lambda: 0.0),
        "Python's timers from",
    ),
    "folder": (lambda patch: patch.chdir("/"), "Python's working folder from .* to /"),
    "limits": (limit, "Python's resource limits, RLIMIT_.* from"),
    "warnings": (raise_warnings, "Python's number of filters that raise warnings from"),
    "allocations": (trace_allocations, "Python's tracing of allocations from False to True"),
    "cores": (one_core, "the process's cores from"),
    "thread": (leave_thread, r"leaves a thread running \(spin\)$"),
    "fork": (fork, "forks the process"),
}

HARMLESS = {
    "a name of its own": replace(functional, "my_conv2d"),
    "a method of its own": replace(torch.Tensor, "my_mul"),
    "random numbers": lambda _: random.seed(0),
    "a thread that ends": lambda _: (t := threading.Thread(target=another)).start() or t.join(),
    "another module's row": lambda patch: patch.setitem(ATTENTION, "mine", ATTENTION["sa"]),
}
