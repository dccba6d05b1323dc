"""The learning rate of each step, from the recipe alone: nothing is kept between steps."""

from __future__ import annotations

from math import cos, pi

from attnbench.records.trainings.recipe import Recipe

RISE, FIRST, LAST = 0.3, 1 / 25, 1 / 25e4
"""Of ``one_cycle``: share of the steps that rise, and both ends as shares of the greatest rate."""


def steps_per_epoch(images: int, batch_size: int, processes: int = 1) -> int:
    """Return the steps of an epoch; a rest of fewer than two images a process is left out.

    A batch norm cannot train on a single image of one position.
    """
    whole, rest = divmod(images, batch_size)
    return whole + (rest >= 2 * processes)


def learning_rate(recipe: Recipe, step: int, per_epoch: int) -> float:
    """Return the rate of a step, counted from 0 over all epochs."""
    epoch = step // per_epoch
    if recipe.schedule == "step":
        rate = recipe.learning_rate * recipe.factor ** sum(
            epoch >= milestone for milestone in recipe.milestones
        )
    elif recipe.schedule == "exponential":
        rate = recipe.learning_rate * recipe.factor**epoch
    else:
        rate = recipe.learning_rate * _one_cycle(step, recipe.epochs * per_epoch)
    if step < recipe.warm_up_steps:
        rate *= recipe.warm_up_from + (1 - recipe.warm_up_from) * step / recipe.warm_up_steps
    return rate


def _one_cycle(step: int, steps: int) -> float:
    top, end = RISE * steps - 1, steps - 1  # the steps of the greatest rate, and of the last
    if step <= top:
        return _between(FIRST, 1.0, step / top)
    return _between(1.0, LAST, (step - top) / (end - top))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + cos(pi * share)) / 2
