"""What outer optimizers need beside optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dcjax.optimizers import keep_within, per_class_sgd


def test_values_stop_at_the_bounds():
    optimizer = optax.chain(optax.sgd(1.0), keep_within(0, 1))
    params = {"image": jnp.array([0.2, 0.5, 0.9])}
    updates, _ = optimizer.update({"image": jnp.array([0.5, 0.1, -0.5])}, optimizer.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["image"], [0.0, 0.4, 1.0], atol=1e-7)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_a_sweep_in_one_step_is_a_step_for_each_class(momentum):
    """The published loop: one optimizer step per class, in which the other classes move on by their momentum alone."""
    classes, rate, sweeps = 4, 0.1, 6
    slope = jax.grad(lambda image, t: jnp.sum(jnp.cos(image + t)))  # another loss in every sweep
    start = jax.random.normal(jax.random.key(0), (classes, 5))

    image, velocity, seen = start, jnp.zeros_like(start), []
    for t in range(sweeps):
        seen.append([])
        for k in range(classes):
            seen[t].append(image[k])  # where class k's gradient is taken
            velocity = momentum * velocity + jnp.zeros_like(image).at[k].set(slope(image[k], t))
            image = image - rate * velocity

    optimizer = per_class_sgd(rate, momentum, classes)
    ours, state = start, optimizer.init(start)
    for t in range(sweeps):
        np.testing.assert_allclose(ours, jnp.stack(seen[t]), atol=2e-5)
        updates, state = optimizer.update(jax.vmap(lambda row, t=t: slope(row, t))(ours), state)
        ours = optax.apply_updates(ours, updates)
