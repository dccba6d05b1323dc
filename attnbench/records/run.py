"""A run: the records of one file, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from attnbench.errors import UserError
from attnbench.records import evaluation, schema, store
from attnbench.records.device import kind_of
from attnbench.records.evaluation import Evaluation
from attnbench.records.jsonl import MOST
from attnbench.records.variants import PLAIN, piece
from attnbench.text import printable

MOVES = "moves_weights_every_rounds"
"""The fact that goes by the runtime too, and by whether modules are alone."""

MACHINE = (
    *("cpu", "cores", "cores_allowed", "platform", "python", "torch", "torchvision", "fvcore"),
    *("thop", "gpu", "cuda", "gpu_driver", "cudnn", "cudnn_benchmark", "cudnn_allow_tf32"),
    *("matmul_allow_tf32", "keeps_freed_memory", MOVES, "attnbench"),
    *("cpu_id", "onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt"),
)
"""The facts of an environment that must agree within a run."""


@dataclass
class Run:
    """What is known of a run so far. Records are added in file order."""

    case: schema.Case
    plan: schema.Plan
    environment: schema.Environment
    counts: dict[str, Mapping[str, schema.Count]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    memory: dict[str, schema.Memory] = field(default_factory=dict)
    profile: dict[str, schema.Profile] = field(default_factory=dict)
    compiled: dict[str, schema.Compiled] = field(default_factory=dict)
    export: dict[str, schema.Export] = field(default_factory=dict)
    energy: list[schema.EnergyRound] = field(default_factory=list)
    rounds: list[schema.Round] = field(default_factory=list)
    moments: list[schema.Environment] = field(default_factory=list)
    """The environment at the end of each round."""
    failures: dict[str, dict[str, schema.Failure]] = field(default_factory=dict)
    end: schema.End | None = None
    started: str | None = None
    """The time of the first record after the plan: of several runs, all are planned at once."""
    exports: Path | None = field(default=None, compare=False)
    """The folder of the files that ``export`` names, while they are measured."""
    images: Path | None = field(default=None, compare=False)
    """The folder that int8 is calibrated on, while it is measured; of a record its digest is."""
    norm_statistics: Path | None = field(default=None, compare=False)
    """The folder of its batch norms' statistics, while it is measured. None: each process takes
    its own."""
    profiling: bool = field(default=False, compare=False)
    """Whether networks are profiled, while they are measured: not part of the plan."""
    wait_for_quiet_s: float | None = field(default=None, compare=False)
    """For how long rounds are held back in all, while they are measured: not part of the plan.
    None: other programs are not looked at."""
    evaluations: tuple[Evaluation, ...] = ()
    """Accuracies counted in the run's folder; not part of its records."""

    @property
    def counted(self) -> tuple[str, ...]:
        """The variants that are counted: all but the control."""
        return tuple(name for name in self.plan.variants if name != self.plan.control)

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks: the plain host, and the host with each module; none in isolated runs."""
        return () if self.case.isolated else self.counted

    @property
    def profiled(self) -> tuple[str, ...]:
        """The networks that a profiler can look into: eager ones, in inference, on CPU or CUDA."""
        return self.networks if can_be_profiled(self.case) else ()

    @property
    def modules(self) -> tuple[str, ...]:
        """The attention modules, in the order of the plan."""
        if not self.case.isolated:
            return tuple(name for name in self.networks if name != PLAIN)
        isolated = map(piece, self.plan.variants)
        return tuple(dict.fromkeys(variant.module for variant in isolated if variant))

    @property
    def shares_statistics(self) -> bool:
        """Whether all its processes can compute with the same statistics of batch norms.

        The code of others may build another network in each process, or write where they are kept.
        Compiled networks are built anew, as what that takes is a part of what is recorded.
        """
        case = self.case
        takes_them = case.mode == "inference" and not (case.isolated or case.exported)
        return takes_them and self.plan.processes > 1 and not (case.compiled or self.plan.sources)

    @property
    def energy_known(self) -> bool:
        """Whether all energy is measured that was planned, or the baseline's cannot be."""
        done = len(self.energy) >= self.plan.energy_rounds
        return done or self.failed(self.plan.baseline, "energy")

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do. A run that failed can be resumed."""
        return self.end is not None and self.end.reason != "failed"

    @property
    def timed_s(self) -> float:
        """Seconds of all rounds together."""
        return sum(timed.seconds for timed in self.rounds)

    @property
    def held_s(self) -> float:
        """Seconds for which rounds were held back because other programs used the cores."""
        return sum(timed.held_s for timed in self.rounds)

    def failed(self, variant: str, step: str) -> bool:
        """Return whether that step of the variant ended in an error, or cannot be for one.

        What was not exported cannot be timed; the control is the plain host's file again.
        """
        if step in {"latency", "energy"} and self.case.exported:
            exported = PLAIN if variant == self.plan.control else variant
            if "export" in self.failures.get(exported, {}):
                return True
        return step in self.failures.get(variant, {})

    def has(self, variant: str, step: str) -> bool:
        """Return whether the counts or the memory of the variant are known, or failed."""
        return variant in getattr(self, step) or self.failed(variant, step)

    def add(self, record: schema.Record) -> None:
        """Add one record.

        Raises:
            UserError: it is of another configuration, machine or run.
        """
        self._check(record)
        variant, results = record.variant or "", record.results
        if self.started is None:
            time = record.environment.get("time")
            self.started = None if time is None else str(time)
        self.end = None  # the run had failed and was resumed
        if record.error:
            self.failures.setdefault(variant, {})[record.error.step] = record.error
        elif isinstance(results, schema.Counts):
            self.counts[variant], self.shapes[variant] = results.rules, results.shape
        elif isinstance(results, schema.Memory | schema.Profile | schema.Compiled | schema.Export):
            getattr(self, results.kind)[variant] = results
        elif isinstance(results, schema.EnergyRound):
            self.energy.append(results)
        elif isinstance(results, schema.Round):
            self.rounds.append(results)
            self.moments.append(record.environment)
        elif isinstance(results, schema.End):
            self.end = results

    def _check(self, record: schema.Record) -> None:
        for kind, before, now in (
            ("configuration", asdict(self.case), asdict(record.case)),
            ("machine", machine(self.environment), machine(record.environment)),
        ):
            for key, value in before.items():
                if now[key] != value:
                    raise UserError(f"another {kind}: {key} is {now[key]} here and {value} before")
        if self.finished:
            raise UserError("a line after the end of the run")
        variant, results = record.variant, record.results
        if variant is not None and variant not in self.plan.variants:
            raise UserError(f"variant {_quoted(variant)} is not in the run's plan")
        if isinstance(results, schema.Plan):
            raise UserError("a second plan: these are two runs in one file")
        if isinstance(results, schema.Round):
            self._check_round(results)
        elif isinstance(results, schema.EnergyRound):
            self._check_energy(results)
        elif isinstance(results, schema.End):
            if results.rounds != len(self.rounds):
                raise UserError(
                    f"results.rounds: the end names {results.rounds} rounds, and the run has "
                    f"{len(self.rounds)}"
                )
        elif results:
            self._check_result(results, variant or "")
        if record.error and self.failed(variant or "", record.error.step):
            raise UserError(f"the error of {_quoted(variant)} at {record.error.step} again")

    def _check_result(
        self,
        results: schema.Counts | schema.Memory | schema.Profile | schema.Compiled | schema.Export,
        variant: str,
    ) -> None:
        """Check that such a run has results of that kind and variant, and not yet."""
        kind = results.kind
        having = {
            "counts": self.counted,
            "memory": self.networks,
            "profile": self.profiled,
            "compiled": self.networks if self.case.compiled else (),
            "export": self.networks if self.case.exported else (),
        }
        if variant not in having[kind]:
            raise UserError(f"no such run has {kind} of {_quoted(variant)}")
        if variant in getattr(self, kind):
            raise UserError(f"{kind} of {_quoted(variant)} again")
        if isinstance(results, schema.Counts):
            self._check_shape(results.shape, variant)

    def _check_shape(self, shape: tuple[int, ...] | None, variant: str) -> None:
        """Check that a module alone has counts at an input of the run's batch, and a network none.

        Of ceilings only copies of a map have an input.
        """
        if self.case.isolated and piece(variant) is not None and shape is None:
            raise UserError(
                f"results.shape: counts of {_quoted(variant)} without its input's shape"
            )
        if shape is not None and not self.case.isolated:
            raise UserError(f"results.shape: {_quoted(variant)} is a network, whose input is known")
        if shape is not None and shape[0] != self.case.batch_size:
            raise UserError(
                f"results.shape: {shape[0]} images of {_quoted(variant)}, and the run's batch is "
                f"{self.case.batch_size}"
            )

    def _check_round(self, timed: schema.Round) -> None:
        """Check that no round is missing, and that each variant that can run ran once in it."""
        expected = len(self.rounds)
        if timed.number < expected:
            raise UserError(
                f"results.number: round {timed.number} again: two runs have written to this file"
            )
        if timed.number > expected:
            raise UserError(
                f"results.number: round {timed.number}, where round {expected} is missing"
            )
        before = self.rounds[-1].process if self.rounds else -1
        if timed.process - before not in ({0, 1} if self.rounds else {1}):
            raise UserError(
                f"results.process: round {timed.number} ran in process {timed.process}, and the "
                f"processes before it are {before + 1}"
            )
        ran = [block.variant for block in timed.blocks]
        able = [name for name in self.plan.variants if not self.failed(name, "latency")]
        where = f"results.blocks of round {timed.number}"
        for name in ran:
            if name not in able:
                why = "had failed" if name in self.plan.variants else "is not in the run's plan"
                raise UserError(f"{where}: variant {_quoted(name)} {why}")
            if ran.count(name) > 1:
                raise UserError(f"{where}: variant {_quoted(name)} ran twice")
        if timed.witness and timed.witness.variant != self.plan.baseline:
            raise UserError(
                f"results.witness of round {timed.number}: variant "
                f"{_quoted(timed.witness.variant)} is not the run's baseline"
            )
        resting = self._resting(timed, able)
        if missing := [name for name in able if name not in ran and name not in resting]:
            raise UserError(f"{where}: variant {_quoted(missing[0])} is missing")
        parts = {frozenset(block.parts or ()) for block in timed.blocks}
        if self.rounds:
            parts.add(frozenset(self.rounds[0].blocks[0].parts or ()))
        if len(parts) > 1:
            raise UserError(f"{where}: steps have other parts than before")

    def _check_energy(self, known: schema.EnergyRound) -> None:
        """Check that it is the next of those planned, with each variant that can run once."""
        expected, where = len(self.energy), f"results.windows of round {known.number} of energy"
        if known.number != expected or expected >= self.plan.energy_rounds:
            planned = self.plan.energy_rounds
            raise UserError(
                f"results.number: round {known.number} of energy, where round {expected} of "
                f"{planned} planned ones would be next"
            )
        ran = sorted(window.variant for window in known.windows)
        able = sorted(name for name in self.plan.variants if not self.failed(name, "energy"))
        if ran != able:
            raise UserError(
                f"{where}: {', '.join(map(_quoted, ran)) or 'none'}, and those that can run are "
                f"{', '.join(map(_quoted, able)) or 'none'}"
            )
        domains = {frozenset(each.windows[0].joules) for each in (*self.energy, known)}
        if len(domains) > 1:
            raise UserError(f"{where}: other domains than before")

    def _resting(self, timed: schema.Round, able: Sequence[str]) -> Sequence[str]:
        """Return the variants that sit a round out, if these can: modules that could have run."""
        resting = timed.sits_out or ()
        ran = {block.variant for block in timed.blocks}
        for name in resting:
            if name not in able or name in {self.plan.baseline, self.plan.control, *ran}:
                why = "ran in it" if name in ran else "cannot"
                raise UserError(
                    f"results.sits_out of round {timed.number}: variant {_quoted(name)} {why}"
                )
        if len(set(resting)) < len(resting):
            raise UserError(f"results.sits_out of round {timed.number}: a variant is named twice")
        return resting


def _quoted(name: str | None) -> str:
    return f"'{printable(name or '', MOST)}'"


def can_be_profiled(case: schema.Case) -> bool:
    """Return whether a profiler can tell which module of the case's networks an operator is of."""
    eager = case.runtime == "eager" and case.mode == "inference" and not case.isolated
    return eager and kind_of(case.device) in {"cpu", "cuda"}


def machine(environment: schema.Environment) -> schema.Environment:
    """Return the facts of an environment that identify a machine and its software."""
    return {key: environment.get(key) for key in MACHINE}


def gather(records: Sequence[schema.Record], where: str) -> Run:
    """Return the run of a file's records; ``where`` names the file in messages.

    Raises:
        UserError: the first is no plan, or the records are of different runs.
    """
    if not records:
        raise UserError(f"{where}: no records")
    first, *later = records
    if not isinstance(first.results, schema.Plan):
        raise UserError(f"{where}, line 1: a run begins with its plan")
    run = Run(first.case, first.results, first.environment)
    for number, record in enumerate(later, start=2):
        try:
            run.add(record)
        except UserError as error:
            raise UserError(f"{where}, line {number}: {error}") from error
    return run


def read(folder: Path) -> Run:
    """Return the run in a folder, with the evaluations beside it.

    Raises:
        UserError: there is none, its file is not of one run, or that of evaluations is damaged.
    """
    run = gather(store.read(folder), str(folder / store.FILE_NAME))
    run.evaluations = evaluation.read(folder)
    return run
