"""Compares on several networks in every step."""

import jax

from dcjax.base import InputError, Objective, Trajectory
from dcjax.chunks import map_in_chunks


def with_tasks(objective: Objective, trajectory: Trajectory, count: int) -> tuple[Objective, Trajectory]:
    """Compares on `count` networks in every step and takes the mean: each network is a task of its own, divided among the devices.

    The networks begin and train apart; all see the same condensed set and the same real images. One that begins at what a draw holds, as
    `expert` does at a segment, begins as all others do: take one comparison after another there instead (`iteration(steps=...)`). Every
    leaf of the new trajectory's point has a leading axis [count].

    Args:
        objective: what is compared on each network.
        trajectory: how each network goes on.
        count: networks, at least 1.
    """
    if count < 1:
        raise InputError(f"A comparison is made on at least one network, not {count}.")

    def init(key, draw):
        return map_in_chunks(lambda draw, key: trajectory.init(key, draw), draw, jax.random.split(key, count))

    def advance(key, point, syn, draw):
        def of_task(shared, key, point):
            return trajectory.advance(key, point, *shared)

        return map_in_chunks(of_task, (syn, draw), jax.random.split(key, count), point)

    def loss(key, hyper, point, syn, real):
        return _mean_over_tasks(objective.loss, (hyper, syn), real, jax.random.split(key, count), point)

    return Objective(objective.init, loss), Trajectory(init, advance)


def _mean_over_tasks(loss, learned, real, keys, points):
    """Computes the mean loss and metrics, the gradient in what is learned along with them: a task is finished before the next begins."""

    def of_task(shared, key, point):
        learned, real = shared

        def value(learned):
            hyper, syn = learned
            return loss(key, hyper, point, syn, real)

        return jax.value_and_grad(value, has_aux=True)(learned)

    @jax.custom_vjp
    def mean(learned, real, keys, points):
        return forward(learned, real, keys, points)[0]

    def forward(learned, real, keys, points):
        return jax.tree.map(lambda x: x.mean(0), map_in_chunks(of_task, (learned, real), keys, points))

    def backward(gradient, cotangent):
        return jax.tree.map(lambda g: cotangent[0] * g, gradient), None, None, None

    mean.defvjp(forward, backward)
    return mean(learned, real, keys, points)
