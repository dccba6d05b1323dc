"""Functions that tests call in a child process, which they would keep, or outlive. No torch."""

import atexit
import ctypes
import multiprocessing
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path


def start_process_that_holds(fifo, *, leaves=False):
    with Path(fifo).open("w") as file:
        subprocess.Popen(["sleep", "1000"], stdout=file, start_new_session=leaves)


def never_return(fifo):
    """Start a process that holds the FIFO open, and wait for nothing."""
    start_process_that_holds(fifo)
    while True:  # whatever is raised
        with suppress(BaseException):
            signal.pause()


def return_and_stay(fifo):
    """Return, with a thread and a function at exit that never end, and a process that left."""
    threading.Thread(target=threading.Event().wait).start()
    atexit.register(threading.Event().wait)
    start_process_that_holds(fifo, leaves=True)
    return 17


def fork_and_wait(fifo):
    """Fork; the copy holds the FIFO open and returns as well."""
    with Path(fifo).open("w"):
        os.fork()
        return os.getpid()


def print_much():
    print("x" * 2**17)
    os.write(1, b"y" * 2**17)
    return 17


KEPT = []


def leave_semaphore():
    """Make a semaphore that this process never gives back, and return its name."""
    KEPT.append(multiprocessing.get_context("spawn").Lock())
    return KEPT[0]._semlock.name


def forked_by_c(times):
    """Fork behind Python's back for each item; yield the status with which the copy has ended."""
    for _ in range(times):
        if copy := ctypes.CDLL(None).fork():
            yield os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        else:
            yield "an answer of the copy"
