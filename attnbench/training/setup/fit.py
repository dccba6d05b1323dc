"""What cannot be trained: a batch that data cannot fill, a host, a module in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch

from attnbench.errors import UserError
from attnbench.hosts import check_host, check_module
from attnbench.hosts.conditions import BASE, Conditions
from attnbench.hosts.resnets import is_resnet
from attnbench.modules import AttentionSpec, SettingsError
from attnbench.plugins.host_reference import parse_host
from attnbench.plugins.resolve import ModuleReference
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.variants import PLAIN
from attnbench.training.schedule import steps_per_epoch
from attnbench.training.task import Task


def require_fit(recipe: Recipe, task: Task, processes: int) -> None:
    """Refuse a batch that the data or the processes cannot fill.

    Raises:
        UserError: it is so.
    """
    data = task.data
    if recipe.batch_size > data.train_images:
        raise UserError(
            f"recipe {recipe.name}: a batch of {recipe.batch_size} is more than the "
            f"{data.train_images:,} training images of {data.name}; --set batch_size=N states "
            "another (and --set learning_rate=R, which goes with it)"
        )
    if data.test_images < processes:
        raise UserError(
            f"{processes} processes are more than the {data.test_images:,} test images of "
            f"{data.name}"
        )
    if recipe.batch_size < 2 * processes:
        raise UserError(
            f"a batch of {recipe.batch_size} over {processes} processes: each needs two images "
            "at least, as a batch norm cannot train on one"
        )
    assert steps_per_epoch(data.train_images, recipe.batch_size, processes) > 0


def require_host(task: Task) -> None:
    """Refuse a host from outside the suite's own that cannot be trained on the data.

    A custom one is built and run in a child process.

    Raises:
        UserError: it cannot be built, is another network each time, returns no logits, or has
            fewer classes than the data.
    """
    if is_resnet(task.host):
        return
    image = (2, 3, task.size, task.size)
    reference = parse_host(task.host)
    trial = check_host.HostTrial(reference, task.where, [image], True)
    try:
        check_host.apart(trial, ())
        classes = check_host.require_logits(task.host, image) if reference.is_custom else None
    except SettingsError as error:
        raise UserError(str(error).replace("--mode training", "train")) from error
    if classes is not None and classes < task.data.classes:
        raise UserError(
            f"{task.host} tells {classes:,} classes, and {task.data.name} has {task.data.classes:,}"
        )


def left_out(
    task: Task, modules: Iterable[ModuleReference], conditions: Conditions
) -> dict[str, str]:
    """Return why modules cannot be trained in the host at this size of image.

    Raises:
        UserError: the plain host cannot be built, or its weights do not fit.
    """
    try:
        task.network(PLAIN)
    except SettingsError as error:
        raise UserError(str(error)) from error
    image = (1, 3, task.size, task.size)
    why = {}
    for module in modules:
        try:
            if module.is_custom:
                check_module.in_subprocess(
                    check_module.check, module, task.host, [image], [conditions], task.where
                )
            _require_learns(task, module.load())
        except (SettingsError, UserError) as error:
            why[module.name] = str(error)
    return why


def _require_learns(task: Task, attention: AttentionSpec) -> None:
    """Refuse a module whose network gives no finite loss or gradients for two random images.

    On the CPU: SGE divides by the deviation of a map, which one of a single position has not.
    """
    torch.manual_seed(0)
    network = task.network(attention.name)
    task.begin_training(network)
    batch = task.trial()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the same: one line says it below
        loss = task.loss(network, batch, BASE)
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = [known.grad for known in network.parameters() if known.grad is not None]
    if loss.isfinite() and all(gradient.isfinite().all() for gradient in gradients):
        return
    image = (1, 3, task.size, task.size)
    places = check_module.places(attention, task.host, image, task.where)
    smallest = min(places, key=lambda place: place.shape[1:])
    size = "x".join(map(str, smallest.shape[1:]))
    raise SettingsError(
        f"its network gives no finite loss or gradient on images of {task.size}x{task.size}, where "
        f"its smallest map is {size}; a larger --image-size or fewer --stages would do"
    )
