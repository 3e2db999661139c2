"""Puts the three parts together under one optimizer, and many steps into one compiled program."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.base import Array, Condenser, CondenserState, Key, Learned, Metrics, Objective, Parameterization, Trajectory
from dcjax.sharding import whole
from dcjax.sources import Source


def condenser(
    parameterization: Parameterization,
    objective: Objective,
    trajectory: Trajectory,
    optimizer: optax.GradientTransformation,
) -> Condenser:
    """Makes a condensation method: one step compares at the trajectory's point, updates what is learned, and moves on.

    Args:
        parameterization: what is learned.
        objective: what is compared.
        trajectory: where in weight space the sets are compared.
        optimizer: updates `Learned(syn, hyper)`; `optimizers.by_name` gives its leaves rates and bounds of their own.

    Returns:
        `init(key, draw) -> state` and `step(key, state, draw) -> (state, metrics)`.
    """

    def init(key, draw):
        syn_key, point_key = jax.random.split(key)
        learned = Learned(parameterization.init(syn_key, draw.real), objective.init())
        return whole(CondenserState(learned, trajectory.init(point_key, draw), optimizer.init(learned)))

    def step(key, state, draw):
        objective_key, trajectory_key = jax.random.split(key)

        def loss(learned):
            syn = parameterization.decode(learned.syn)
            return objective.loss(objective_key, learned.hyper, state.point, syn, draw.real)

        gradient, metrics = jax.grad(loss, has_aux=True)(state.learned)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.learned)
        learned = optax.apply_updates(state.learned, updates)
        point = trajectory.advance(trajectory_key, state.point, parameterization.decode(learned.syn), draw)
        return CondenserState(learned, point, opt_state), metrics

    return Condenser(init, step)


def iteration(
    condenser: Condenser, *, steps: int
) -> Callable[[Key, CondenserState, Source, Array], tuple[CondenserState, Metrics]]:
    """Compiles `steps` steps, with their draws, into one program: an outer iteration of DC.

    Returns:
        `run(key, state, source, t) -> (state, metrics)` for the `t`-th iteration; metrics are means over its steps. All
        randomness is `fold_in(key, t)`, so the same `key` is passed every time and a resumed run sees the same draws.
    """

    @jax.jit
    def run(key, state, source, t):
        def body(state, key):
            draw_key, step_key = jax.random.split(key)
            return condenser.step(step_key, state, source.draw(draw_key))

        state, metrics = lax.scan(body, state, jax.random.split(jax.random.fold_in(key, t), steps))
        return whole((state, jax.tree.map(jnp.mean, metrics)))

    return run
