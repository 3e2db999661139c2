"""Every parameterization works with every objective on every trajectory, and gives back the state that it took."""

import itertools

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from helpers import OBJECTIVES, PARAMETERIZATIONS, TRAJECTORIES, dense_net, loop_over, small_data, small_net

import dcjax as dc
from dcjax.checkpoint import Checkpoints

DATA = small_data()
NET = dense_net(DATA)


def compose(parameterization, objective, trajectory, net=NET):
    return dc.condenser(
        PARAMETERIZATIONS[parameterization](net),
        OBJECTIVES[objective](net),
        TRAJECTORIES[trajectory](net),
        optax.sgd(0.1, momentum=0.5),
    )


def described(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


@pytest.mark.parametrize("names", [*itertools.product(PARAMETERIZATIONS, OBJECTIVES, TRAJECTORIES)], ids="-".join)
def test_state_in_and_state_out_have_one_type(names):
    condenser = compose(*names)
    key = jax.eval_shape(lambda: jax.random.key(0))
    real = jax.eval_shape(lambda: DATA.sample(jax.random.key(0), 4))
    state = jax.eval_shape(condenser.init, key, real)
    after, metrics = jax.eval_shape(condenser.step, key, state, real)
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert described(state) == described(after)
    assert metrics["loss"].shape == ()


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_one_compiled_program_equals_a_python_loop_of_steps_and_is_resumed_bit_for_bit(trajectory, tmp_path):
    condenser = compose("pixels", "gradient_matching", trajectory)
    key = jax.random.key(1)
    state = condenser.init(jax.random.key(0), DATA.sample(jax.random.key(2), 4))
    run = dc.iteration(condenser, steps=3, real_per_class=4)
    ours, _ = run(key, state, DATA.train, 5)
    expected, _ = loop_over(3, state, key=jax.random.fold_in(key, 5), step=jax.jit(condenser.step), data=DATA, n=4)
    for actual, wanted in zip(jax.tree.leaves(ours), jax.tree.leaves(expected)):
        assert jnp.allclose(actual, wanted, atol=2e-4), "one program and its steps differ"
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, ours, {})
        checkpoints.wait()
        restored = checkpoints.restore(jax.tree.map(jnp.zeros_like, ours))
    chex.assert_trees_all_equal(run(key, restored, DATA.train, 6), run(key, ours, DATA.train, 6))


def test_later_iterations_do_not_trace_again(monkeypatch):
    traced = []
    condenser = compose("pixels", "gradient_matching", "on_synthetic")

    def step(*args):
        traced.append(args)
        return condenser.step(*args)

    run = dc.iteration(condenser._replace(step=step), steps=2, real_per_class=4)
    state = jax.jit(condenser.init)(jax.random.key(0), DATA.sample(jax.random.key(2), 4))
    for t in range(3):
        state, _ = run(jax.random.key(1), state, DATA.train, t)
    assert len(traced) == 1


def test_the_same_seed_and_iteration_give_the_same_bits():
    condenser = compose("pixels", "gradient_matching", "on_synthetic")
    run = dc.iteration(condenser, steps=1, real_per_class=4)
    state = condenser.init(jax.random.key(0), DATA.sample(jax.random.key(2), 4))
    first, again, other = (run(jax.random.key(1), state, DATA.train, t)[0].syn["image"] for t in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_every_backend_s_way_gives_the_same_result(monkeypatch):
    """Elsewhere than on a CPU, classes are vmapped, batches taken whole and XLA's convolution used."""
    condenser = compose("pixels", "gradient_matching", "on_synthetic", small_net(DATA, width=4))
    state = condenser.init(jax.random.key(0), DATA.sample(jax.random.key(2), 4))
    real = DATA.sample(jax.random.key(3), 8)
    ours, _ = jax.jit(condenser.step)(jax.random.key(1), state, real)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    theirs, _ = jax.jit(lambda *args: condenser.step(*args))(jax.random.key(1), state, real)
    for actual, wanted in zip(jax.tree.leaves(theirs), jax.tree.leaves(ours)):
        assert jnp.allclose(actual, wanted, atol=2e-4)
