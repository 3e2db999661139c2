"""Every parameterization works with every objective on every trajectory, and gives back the state that it took."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from helpers import (
    OBJECTIVES,
    PARAMETERIZATIONS,
    TRAJECTORIES,
    dense_net,
    fits,
    loop_over,
    small_data,
    small_net,
    source_of,
)

import dcjax as dc
from dcjax import backend
from dcjax.checkpoint import Checkpoints

DATA = small_data()
NET = dense_net(DATA)
SOURCE = source_of(DATA, NET, 4)
COLUMNS = (PARAMETERIZATIONS, OBJECTIVES, TRAJECTORIES)


def compose(parameterization, objective, trajectory, net=NET):
    return dc.condenser(
        PARAMETERIZATIONS[parameterization](net),
        OBJECTIVES[objective](net),
        TRAJECTORIES[trajectory](net),
        optax.sgd(0.1, momentum=0.5),
    )


KEY = jax.eval_shape(lambda: jax.random.key(0))
DRAW = jax.eval_shape(source_of(DATA, NET, 8).draw, KEY)


def described(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


@functools.cache
def traced_once(column, name):
    """A member whose functions are traced once for all that they are composed with, where that gives them the same types."""
    member = COLUMNS[column][name](NET)
    return type(member)(*map(jax.jit, member))


@pytest.mark.parametrize("names", [names for names in itertools.product(*COLUMNS) if fits(*names[1:])], ids="-".join)
def test_state_in_and_state_out_have_one_type(names):
    condenser = dc.condenser(*(traced_once(*which) for which in enumerate(names)), optax.sgd(0.1, momentum=0.5))
    state = jax.eval_shape(condenser.init, KEY, DRAW)
    after, metrics = jax.eval_shape(condenser.step, KEY, state, DRAW)
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert described(state) == described(after)
    assert metrics["loss"].shape == ()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in PARAMETERIZATIONS
        if name not in ("addressable_memory", "grown_memory", "hallucinated", "soft_labels")
    ],
)
def test_decoded_images_are_views_times_sources_with_the_views_outermost(name):
    images = PARAMETERIZATIONS[name](NET)
    syn = images.init(jax.random.key(0), DATA.sample(jax.random.key(1), 8))
    sources = syn["image"].shape[1]
    whole = images.decode(syn).image
    by_view = whole.reshape(whole.shape[0], -1, sources, *whole.shape[2:])
    assert sources == 2
    for s in range(sources):
        alone = images.decode({"image": syn["image"][:, s : s + 1]}).image  # the views of one source
        chex.assert_trees_all_close(by_view[:, :, s], alone, atol=1e-6)


@pytest.mark.parametrize(
    "trajectory",
    [
        pytest.param(name, marks=() if name in ("fresh", "on_synthetic", "on_real") else pytest.mark.slow)
        for name in TRAJECTORIES
        if not name.endswith("_drawn")  # they differ in `begin`
    ],
)
def test_one_compiled_program_equals_a_python_loop_of_steps_and_is_resumed_bit_for_bit(trajectory, tmp_path):
    condenser = compose("pixels", "gradient_matching", trajectory)
    key = jax.random.key(1)
    state = condenser.init(jax.random.key(0), SOURCE.draw(jax.random.key(2)))
    run = dc.iteration(condenser, steps=3)
    ours, _ = run(key, state, SOURCE, 5)
    expected, _ = loop_over(3, state, key=jax.random.fold_in(key, 5), step=jax.jit(condenser.step), source=SOURCE)
    for actual, wanted in zip(jax.tree.leaves(ours), jax.tree.leaves(expected)):
        assert jnp.allclose(actual, wanted, atol=2e-4), "one program and its steps differ"
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, ours, {})
        checkpoints.wait()
        restored = checkpoints.restore(jax.tree.map(jnp.zeros_like, ours)).state
    chex.assert_trees_all_equal(run(key, restored, SOURCE, 6), run(key, ours, SOURCE, 6))


def test_later_iterations_do_not_trace_again():
    traced = []
    condenser = compose("pixels", "gradient_matching", "on_synthetic")

    def step(*args):
        traced.append(args)
        return condenser.step(*args)

    run = dc.iteration(condenser._replace(step=step), steps=2)
    state = jax.jit(condenser.init)(jax.random.key(0), SOURCE.draw(jax.random.key(2)))
    for t in range(3):
        state, _ = run(jax.random.key(1), state, SOURCE, t)
    assert len(traced) == 1


def test_the_same_seed_and_iteration_give_the_same_bits():
    condenser = compose("pixels", "gradient_matching", "on_synthetic")
    run = dc.iteration(condenser, steps=1)
    state = condenser.init(jax.random.key(0), SOURCE.draw(jax.random.key(2)))
    first, again, other = (run(jax.random.key(1), state, SOURCE, t)[0].syn["image"] for t in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_every_backend_s_way_gives_the_same_result():
    """Elsewhere than on a CPU, classes are vmapped, batches taken whole and XLA's convolution used."""
    condenser = compose("pixels", "gradient_matching", "on_synthetic", small_net(DATA, width=4))
    draw = dc.source(DATA.train, real_per_class=8).draw(jax.random.key(3))
    state = condenser.init(jax.random.key(0), draw)
    step = jax.jit(condenser.step)
    ours, _ = step(jax.random.key(1), state, draw)
    with backend.answering_for("gpu"):
        theirs, _ = step(jax.random.key(1), state, draw)
    for actual, wanted in zip(jax.tree.leaves(theirs), jax.tree.leaves(ours)):
        assert jnp.allclose(actual, wanted, atol=2e-4)
