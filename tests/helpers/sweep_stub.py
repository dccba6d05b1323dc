"""A program in the place of the one that measures: the records of a run, made up at once.

The seed of a configuration says what happens: see below. With STUB_GATE in the environment, the
path of a named pipe, a seed in GATED waits before its fourth round until a test writes a byte; its
process stands in a file beside the pipe.
It imports nothing that takes long, as tests start it often.
"""

import json
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from attnbench.system import child

REFUSED, KILLED, MODULE_FAILS, LEFT_OUT, OTHER_THREADS, OTHERS_THERE = range(101, 107)
GATED = range(200, 300)
ROUNDS = 6
CASE = {
    **{"dtype": "float32", "mode": "inference", "stages": [1, 2, 3, 4], "blocks": "all"},
    **dict.fromkeys(("channels_last", "compiled", "cuda_graph", "isolated"), False),
}


def answer(**message):
    print(json.dumps(message), flush=True)


def case_of(options):
    """The configuration as schema 4 has it."""
    single = {key: options[key][0] for key in ("image_size", "batch_size") if key in options}
    stated = {key: options[key] for key in ("host", "seed", "device")}
    threads = 7 if options["seed"] == OTHER_THREADS else options.get("threads", 1)
    return {**CASE, "batch_size": 1, "threads": threads, **stated, **single}


def main():
    request = json.loads(sys.stdin.buffer.readline())
    child.end_with_parent(Connection(os.dup(0), writable=False))
    options, path = request["options"], Path(request["out"]) / "records.jsonl"
    seed, modules = options["seed"], options["modules"]
    if seed == REFUSED:
        answer(error="no such thing")
        return
    environment = {
        "cpu": os.environ.get("STUB_CPU", "A"),
        "cores": 2,
        "process": os.getpid(),
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "gpu_uuid": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "began_s": time.time(),
    }
    begun = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if begun and begun[0]["environment"]["cpu"] != environment["cpu"]:
        answer(error="begun on another machine")
        return

    def add(**entry):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        answer(records=True)

    variants = ["plain", "control", *modules]
    if not begun:
        plan = {"kind": "plan", "variants": variants, "budget_s": 1.0, "target": 0.1}
        add(schema=4, case=case_of(options), environment=environment, results=plan)
        if seed == MODULE_FAILS:
            error = {"step": "latency", "type": "ChildDiedError", "message": "killed by SIGSEGV"}
            add(variant=modules[0], error=error)
    if seed == MODULE_FAILS:
        variants.remove(modules[0])
    done = sum(line.get("results", {}).get("kind") == "round" for line in begun)
    if seed in GATED:  # before its rounds: who has seen these finds the number whole
        Path(os.environ["STUB_GATE"]).with_suffix(".pid").write_text(str(os.getpid()))
    for number in range(done, ROUNDS):
        if number == 3 and seed in GATED:
            with Path(os.environ["STUB_GATE"]).open("rb", buffering=0) as gate:
                gate.read(1)
        if number == 2 and seed == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        blocks = [{"variant": name, "steps": 1, "seconds": 1.0} for name in variants]
        now = {"process": os.getpid(), "now_s": time.time()}
        now |= {"gpu_other_processes": 2} if seed == OTHERS_THERE else {}
        add(results={"kind": "round", "number": number, "blocks": blocks}, environment=now)
    end = {"kind": "end", "reason": "budget", "rounds": ROUNDS}
    add(results=end, environment={"ended_s": time.time()})
    answer(left_out={"sk": "sk: it does not fit"} if seed == LEFT_OUT else {})


if __name__ == "__main__":
    main()
