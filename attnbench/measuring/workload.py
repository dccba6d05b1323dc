"""A variant of a case as one callable step, whose time and memory are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from attnbench.devices import table as devices
from attnbench.errors import UserError
from attnbench.hosts.build import CLASSES, build
from attnbench.hosts.check_host import require_logits
from attnbench.hosts.conditions import Conditions
from attnbench.hosts.placement.choice import Choice
from attnbench.hosts.positions import positions
from attnbench.hosts.resnets import is_resnet
from attnbench.hosts.values.norm_statistics import estimate
from attnbench.measuring.timing import Step
from attnbench.records import image_size
from attnbench.records.run import Run
from attnbench.records.schema import Case, Export
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.runtimes import artefact, cuda_graph
from attnbench.runtimes.int8 import calibration
from attnbench.runtimes.int8 import images as folder_images
from attnbench.runtimes.prepared import Forward
from attnbench.runtimes.table import RENEW_EVERY, TABLE

Parts = dict[str, Callable[[], object]]


def network(case: Case, variant: str, device: str, *, statistics: bool = False) -> nn.Module:
    """Build the variant's network on a device ("meta" allocates nothing), with the case's seed.

    All variants of a case have the same values in the host's own weights. With ``statistics`` its
    batch norms have those of one float32 forward of the seed's noise, the same noise for all
    variants, so that deep networks stay within float16.
    """
    attention = None if variant in (PLAIN, CONTROL) else variant
    size = image_size.sides(case.image_size)
    if not is_resnet(case.host) or case.at or case.replace:
        # For the plain host too: every process has found them before custom code is watched, and
        # what that leaves in memory is the same for all variants.
        positions(case.host, Choice.of(case), size)
    torch.manual_seed(case.seed)
    with torch.device("meta" if device == "meta" else "cpu"):  # the same weights on any device
        model = build(
            case.host,
            attention,
            stages=case.stages,
            blocks=case.blocks,
            at=case.at,
            replace=case.replace,
            size=size,
        )
    if statistics and device != "meta":
        shape = (case.input_shape[2], case.input_shape[3])
        # A module that needs a GPU fails on the CPU, where the others give the same on any device.
        if not estimate(model, shape, case.seed) and device != "cpu":
            estimate(model.to(device), shape, case.seed)
    return conditions_of(case, device).place(model)


def step(case: Case, variant: str, device: str | None = None, *, statistics: bool = False) -> Step:
    """Build one inference or one whole training step, which can be called again and again.

    Inference is a forward and returns the logits (batch, 1000), or the outputs of a detector's
    heads. Training is a forward, a backward and an optimiser's step (SGD with momentum, and the
    release of the gradients), and returns the loss. Its learning rate is 0: the arithmetic is
    that of any step, and the weights stay, so that every step does the same work. Under autocast
    to float16 on a GPU the loss is scaled and the gradients unscaled.

    Raises:
        RuntimeError: what torch raises where the device cannot hold or capture it.
    """
    device = device or case.device
    computes = device != "meta"  # else there is nothing to compile or to capture
    model = network(case, variant, device, statistics=statistics)
    image = image_for(case, case.input_shape, device)
    if not computes:
        return _step(case, model, model, image)
    if case.compiled:
        _guard_hooks(case)
    runtime = TABLE[case.runtime]
    ready = _step(case, model, runtime.prepare()(model, image).call, image)
    if not runtime.captures:
        return ready
    return Step({"step": cuda_graph.capture(ready)}, network=ready.network, each=True)


def export(run: Run, variant: str) -> Export:
    """Export a variant of a run to a file, once, and hold its outputs against eager PyTorch's.

    Raises:
        NotExportedError: it cannot be exported.
        OtherAnswersError: the runtime computes something else.
    """
    case = run.case
    devices.select(case.device)
    torch.set_num_threads(case.threads)
    model = network(case, variant, "cpu", statistics=True).eval()
    sources = run.plan.sources
    module = None if variant == PLAIN else sources.get(variant)
    subject = artefact.Subject(case, variant, module, sources.get(PLAIN))
    return artefact.make(_exports(run), subject, model, _images(run))


def exported_step(run: Run, variant: str) -> Step:
    """Build one inference of a variant's file; the control's is the plain host's, loaded again."""
    exported = PLAIN if variant == CONTROL else variant
    prepared = artefact.load_same(_exports(run), run.case, run.export[exported])
    image = _image(run.case, 0).to(run.case.device)
    moves = count(1)

    def move() -> None:
        if prepared.renew and next(moves) % RENEW_EVERY == 0:
            prepared.renew()

    return Step({"forward": lambda: prepared.call(image)}, move, each=True)


def _exports(run: Run) -> Path:
    if run.exports is None:
        raise ValueError("a run whose networks are exported has a folder for them")
    return run.exports


COMPARED, CALIBRATED = 2, 8
"""Images, each of another seed."""


def _images(run: Run) -> artefact.Images:
    """Return noise, or the user's images: int8 knows no other range than those that it has seen."""
    example, *others = (_image(run.case, number) for number in range(COMPARED + CALIBRATED))
    if run.case.calibration:
        batches = _calibrated_on(run)
        return artefact.Images(batches[:COMPARED], batches, run.case.calibration, example)
    compared, noise = [example, *others][:COMPARED], others[COMPARED - 1 :]
    return artefact.Images(compared, noise, f"{len(noise)} batches of noise of other seeds")


def _calibrated_on(run: Run) -> list[torch.Tensor]:
    if run.images is None:
        raise UserError(f"calibrated on {run.case.calibration}: name the folder with --calibrate")
    size, _, *sides = run.case.input_shape
    known, batches = folder_images.batches(run.images, folder_images.cropped(*sides), size)
    if calibration.described(known) != run.case.calibration:
        raise UserError(f"{run.images} holds other images than when the run began")
    return batches


def _image(case: Case, number: int) -> torch.Tensor:
    """Return the case's images for number 0, others for other numbers."""
    seed = (case.seed + number) % 2**63
    return image_for(replace(case, seed=seed), case.input_shape, "cpu")


def _step(case: Case, model: nn.Module, forward: Forward, image: torch.Tensor) -> Step:
    if case.mode == "inference":
        parts = inference(model, forward, image)
    else:
        parts = _training(model, forward, image, classes_of(case), _scaler(case, image))
    move = moving(case, *model.parameters(), *model.buffers(), image)
    return Step(parts, move, model, each=True)


def image_for(case: Case, shape: tuple[int, ...], device: str) -> torch.Tensor:
    """Draw normal noise of a shape (batch, channels, height, width) from the case's seed."""
    conditions = conditions_of(case, device)
    if device == "meta":
        return conditions.place_image(torch.empty(shape, device="meta"))
    generator = torch.Generator().manual_seed(case.seed)
    return conditions.place_image(torch.randn(shape, generator=generator))


def conditions_of(case: Case, device: str | None = None) -> Conditions:
    """Return device, dtype and layout of a case, or of the same on another device.

    What is exported is in float32, whatever its runtime computes in.
    """
    dtype = "float32" if case.exported or case.autocast else case.dtype
    return Conditions(device or case.device, dtype, case.channels_last, case.autocast)


def moving(case: Case, *tensors: torch.Tensor) -> Callable[[], None] | None:
    """Return a call that copies the tensors to other addresses; None for a GPU's."""
    if case.device != "cpu":
        return None

    def move() -> None:
        for tensor in tensors:
            tensor.data = tensor.data.clone()

    return move


def inference(model: nn.Module, forward: Forward, image: torch.Tensor) -> Parts:
    """Return a forward in evaluation mode as the only part."""
    model.eval()
    mode = torch.no_grad if image.device.type == "meta" else torch.inference_mode

    def infer() -> object:
        with mode():
            return forward(image)

    return {"forward": infer}


def classes_of(case: Case) -> int:
    """Return the number of classes of a classifier."""
    return CLASSES if is_resnet(case.host) else require_logits(case.host, case.input_shape)


def _scaler(case: Case, image: torch.Tensor) -> torch.amp.GradScaler:
    """Return what scales the loss where gradients in float16 would vanish; else it does nothing.

    Its scale falls until gradients are finite, as in any training, and never rises again: so every
    step does the same work. What is counted on a CPU does without.
    """
    kind, needed = image.device.type, case.autocast == "float16"
    if kind == "cpu" or not needed:
        return NO_SCALER
    return torch.amp.GradScaler(kind, growth_interval=NEVER)


NO_SCALER = torch.amp.GradScaler(enabled=False)

NEVER = 2**31 - 1
"""Steps after which a scale rises: more than any run has."""


def _training(
    model: nn.Module,
    forward: Forward,
    image: torch.Tensor,
    classes: int = CLASSES,
    scaler: torch.amp.GradScaler = NO_SCALER,
) -> Parts:
    model.train()
    labels = torch.arange(image.shape[0], device=image.device) % classes
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    losses: list[torch.Tensor] = []  # the graph lives from its forward to its backward

    def compute_loss() -> None:
        losses.append(cross_entropy(forward(image).float(), labels))

    def differentiate() -> None:
        scaler.scale(losses[-1]).backward()  # type: ignore[no-untyped-call]
        losses[-1] = losses[-1].detach()

    def update() -> torch.Tensor:
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        return losses.pop()

    return {"forward": compute_loss, "backward": differentiate, "optimizer": update}


HOOK_GUARDS_OFF = "skip_nnmodule_hook_guards"
"""The compiler's setting by which it does not look at hooks."""


def _guard_hooks(case: Case) -> None:
    """Let the compiler tell networks apart that differ in hooks alone, by which modules may stand.

    By default it does not: the plain network's graph would run in the place of every other one.

    Raises:
        RuntimeError: it cannot, and modules may stand in this network by hooks.
    """
    by_hooks = not is_resnet(case.host) or bool(case.at or case.replace)
    if hasattr(torch._dynamo.config, HOOK_GUARDS_OFF):
        setattr(torch._dynamo.config, HOOK_GUARDS_OFF, not by_hooks)
    elif by_hooks:
        raise RuntimeError(
            f"torch.compile of torch {torch.__version__} cannot tell networks apart by hooks: "
            f"{case.host} cannot be timed with --compile"
        )
