"""Puts the three parts together under one optimizer, and many steps into one compiled program."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.base import Array, Condenser, CondenserState, Key, Learned, Metrics, Objective, Parameterization, Trajectory
from dcjax.data import Split
from dcjax.sharding import whole


def condenser(
    parameterization: Parameterization,
    objective: Objective,
    trajectory: Trajectory,
    optimizer: optax.GradientTransformation,
) -> Condenser:
    """A condensation method: one step compares at the trajectory's point, updates what is learned, and moves on.

    Args:
        parameterization: what is learned.
        objective: what is compared.
        trajectory: where in weight space.
        optimizer: over `Learned(syn, hyper)`; `optax.partition` gives parts of it rates of their own.

    Returns:
        `init(key, real) -> state` and `step(key, state, real) -> (state, metrics)`, with `real` [K, N, ...].
    """

    def init(key, real):
        syn_key, point_key = jax.random.split(key)
        learned = Learned(parameterization.init(syn_key, real), objective.init())
        return CondenserState(learned, trajectory.init(point_key), optimizer.init(learned))

    def step(key, state, real):
        objective_key, trajectory_key = jax.random.split(key)

        def loss(learned):
            syn = parameterization.decode(learned.syn)
            return objective.loss(objective_key, learned.hyper, state.point, syn, real)

        gradient, metrics = jax.grad(loss, has_aux=True)(state.learned)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.learned)
        learned = optax.apply_updates(state.learned, updates)
        point = trajectory.advance(trajectory_key, state.point, parameterization.decode(learned.syn), real)
        return CondenserState(learned, point, opt_state), metrics

    return Condenser(init, step)


def iteration(
    method: Condenser, *, steps: int, real_per_class: int
) -> Callable[[Key, CondenserState, Split, Array], tuple[CondenserState, Metrics]]:
    """Compiles `steps` steps, with their draws of real images, into one program: an outer iteration of DC.

    Returns:
        `run(key, state, real, t) -> (state, metrics)` for the `t`-th iteration; metrics are means over its steps. All
        randomness is `fold_in(key, t)`, so the same `key` is passed every time and a resumed run sees the same draws.
    """

    @jax.jit
    def run(key, state, real, t):
        def body(state, key):
            real_key, step_key = jax.random.split(key)
            return method.step(step_key, state, real.sample(real_key, real_per_class))

        state, metrics = lax.scan(body, state, jax.random.split(jax.random.fold_in(key, t), steps))
        return whole((state, jax.tree.map(jnp.mean, metrics)))

    return run
