"""Compares parts of the two sets: some images of every class, or some classes."""

import jax

from dcjax.base import InputError, Objective, check_grouped


def on_minibatch(objective: Objective, *, syn: int | None = None, real: int | None = None) -> Objective:
    """Compares a part of each class, drawn anew at every step: at most `syn` decoded and `real` real images, or all if None.

    It draws single images, so `syn` is not for an objective that takes whole views of the sources (`minibatches.of_one_view`,
    `with_diversity`).
    """
    for size in (syn, real):
        if size is not None and size < 1:
            raise InputError(f"A comparison takes at least one image of each class, not {size}.")
    sizes = (syn, real)

    def loss(key, hyper, point, syn, real):
        check_grouped(syn, real)
        loss_key, *keys = jax.random.split(key, 3)
        parts = (_some(key, batch, size) for key, batch, size in zip(keys, (syn, real), sizes))
        return objective.loss(loss_key, hyper, point, *parts)

    return Objective(objective.init, loss)


def _some(key, batch, size):
    num_classes, available = batch.image.shape[:2]
    if size is None or size >= available:
        return batch
    chosen = jax.vmap(lambda key: jax.random.permutation(key, available)[:size])(jax.random.split(key, num_classes))
    return jax.tree.map(lambda x: jax.vmap(lambda rows, i: rows[i])(x, chosen), batch)


def on_classes(objective: Objective, count: int) -> Objective:
    """Compares `count` of the K classes, drawn anew at every step, or all where there are no more.

    Labels stay [K]: a network that is trained within the objective still tells all classes apart, but sees only those of the step.
    """
    if count < 1:
        raise InputError(f"A comparison takes at least one class, not {count}.")

    def loss(key, hyper, point, syn, real):
        check_grouped(syn, real)
        loss_key, chosen_key = jax.random.split(key)
        num_classes = syn.image.shape[0]
        if count >= num_classes:
            return objective.loss(loss_key, hyper, point, syn, real)
        chosen = jax.random.permutation(chosen_key, num_classes)[:count]
        return objective.loss(loss_key, hyper, point, *jax.tree.map(lambda x: x[chosen], (syn, real)))

    return Objective(objective.init, loss)
