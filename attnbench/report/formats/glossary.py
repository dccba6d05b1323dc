"""Words as tables, plots and messages use them: on every page, and in docs/glossary.md."""

from __future__ import annotations

GLOSSARY = {
    "activation memory": (
        "The most bytes that the tensors of one step hold at once, weights not included: the "
        "peak of live bytes."
    ),
    "added": "A figure of the network with the module, minus that of the plain host.",
    "autocast": "Weights in float32, and operators that suit it in half precision (`--dtype amp`).",
    "block": "Consecutive steps of one variant within a round, timed together.",
    "claim": "A figure that a paper or repository printed, with its source.",
    "code": (
        "A short name of a verdict, or of why there is none, that stays when words change; "
        "`attnbench explain` says more."
    ),
    "control": (
        "The plain host a second time, under another name. Its true ratio is 1; where it does "
        "not come out as 1, or not closely enough, no module gets a verdict."
    ),
    "counting rule": (
        "A definition of what counts as an operation. GFLOPs of two rules can differ by more "
        "than a module adds."
    ),
    "energy": (
        "Joules of one step for one image, as the hardware's own counter has them: of a GPU's "
        "whole board, or a CPU's whole sockets."
    ),
    "host": "The network that the module is put into, such as ResNet-50.",
    "interval": (
        "The ends between which the true figure lies in 95 of 100 such measurements: from the "
        "scatter of rounds and processes and, where a caption says so, of runs at other hours."
    ),
    "isolated": "Of a module: run alone, on maps of the sizes that it has in the host.",
    "kernel": (
        "One operator that computes or moves data, started by itself. On a GPU each costs a launch."
    ),
    "leaf": (
        "The counting rule of the SGE and SA papers: operations of certain layers, by their class."
    ),
    "live bytes": (
        "Tensors that a step has created and still holds. Their peak, computed from shapes, is "
        "the activation memory."
    ),
    "MAC": "A multiplication and an addition. Papers usually print MACs and write FLOPs.",
    "memory traffic": "Bytes that kernels read and write, each operand once.",
    "overhead": (
        "A cost of the network with the module over the same cost of the plain host, minus 1."
    ),
    "paired": "Compared within one round, so that a machine that slows down slows both.",
    "Pareto front": "Modules that no other beats in both of two quantities.",
    "plain host": "The network without any module.",
    "process": (
        "A fresh process that times a share of the rounds of a run; by default there are six, "
        "one after the other, and what differs between them is in the intervals."
    ),
    "ratio": (
        "A variant's time over the plain host's of the same round: the median over rounds, to "
        "both copies of the plain host; of several processes the mean of their medians. With a "
        "95% interval."
    ),
    "record": "One line of `records.jsonl`: a raw result, and what it was measured on.",
    "round": (
        "Every variant once, one block each, in random order; a module that has the rounds it "
        "needs sits out."
    ),
    "run-to-run part": (
        "What a module's ratio varies by between runs on one machine, beyond what one run's "
        "interval shows."
    ),
    "site": "Where in the host a module stands, such as after the last batch norm of a block.",
    "step": "One forward, or in training one forward, backward and optimiser step.",
    "target": (
        "Half-width of the intervals at which the rounds stop: ±1% on a CPU, ±0.5% on a GPU; "
        "half of it for a ratio close to 1."
    ),
    "variant": "One network of a run: plain, control, or the host with one module.",
    "verdict": (
        "slower, faster, or no significant difference: where the interval lies with respect to "
        "1; slower in this run, where only that of the run itself excludes 1."
    ),
    "window": (
        "Consecutive steps of one variant for at least 5 seconds, between two readings of a "
        "counter of energy."
    ),
    "witness": (
        "The plain host in a process that never runs custom code, timed beside each round of a "
        "run with custom modules."
    ),
}
"""Word -> what it means; backticks stand around what is typed."""
