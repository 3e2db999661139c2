"""Several networks in one step are the same networks one by one, on any number of devices."""

import chex
import jax
import optax
import pytest
from helpers import dense_net, small_data

import dcjax as dc
from dcjax.sharding import across, replicate

DATA = small_data()
NET = dense_net(DATA)
OBJECTIVES = {
    "gradient_matching": dc.gradient_matching(NET),
    "unrolled": dc.unrolled(NET, optax.sgd(1.0), steps=2, order=dc.minibatches.balanced(1), rate=dc.rates.learned(0.1)),
}
TRAJECTORY = dc.on_synthetic(NET, optax.sgd(0.1), epochs=1, restart_every=2)


def problem():
    draw = dc.Draw(DATA.train.sample(jax.random.key(0), 5))
    syn = dc.pixels(2).decode(dc.pixels(2).init(jax.random.key(1), draw.real))
    return draw, syn


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_and_gradient_of_tasks_are_the_means_of_each_ones(name):
    objective = OBJECTIVES[name]
    several, trajectory = dc.with_tasks(objective, TRAJECTORY, 3)
    draw, syn = problem()
    points = trajectory.init(jax.random.key(3), draw)

    def mean(loss):
        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(objective.init(), syn)

    actual = mean(lambda hyper, syn: several.loss(jax.random.key(2), hyper, points, syn, draw.real))

    def one_by_one(hyper, syn):
        each = [
            objective.loss(key, hyper, jax.tree.map(lambda x, i=i: x[i], points), syn, draw.real)
            for i, key in enumerate(jax.random.split(jax.random.key(2), 3))
        ]
        return jax.tree.map(lambda *values: sum(values) / 3, *each)

    expected = mean(one_by_one)
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-6)


def test_networks_go_on_apart():
    _, trajectory = dc.with_tasks(OBJECTIVES["gradient_matching"], TRAJECTORY, 3)
    draw, syn = problem()
    points = trajectory.init(jax.random.key(3), draw)
    after = jax.jit(trajectory.advance)(jax.random.key(4), points, syn, draw)
    chex.assert_trees_all_equal_shapes_and_dtypes(points, after)
    for i, key in enumerate(jax.random.split(jax.random.key(4), 3)):
        point = jax.tree.map(lambda x, i=i: x[i], points)
        chex.assert_trees_all_close(
            jax.tree.map(lambda x, i=i: x[i], after), jax.jit(TRAJECTORY.advance)(key, point, syn, draw), atol=1e-6
        )
    assert len({float(x) for x in points.params["dense"]["kernel"][:, 0, 0]}) == 3


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(4, marks=pytest.mark.slow)])
def test_tasks_are_divided_among_devices(count):
    objective, trajectory = dc.with_tasks(OBJECTIVES["unrolled"], TRAJECTORY, count)
    condenser = dc.condenser(dc.pixels(2), objective, trajectory, optax.sgd(0.1))
    source = dc.source(DATA.train, real_per_class=4)

    def stepped(key, source):
        state = condenser.init(key, source.draw(key))
        return dc.iteration(condenser, steps=2)(key, state, source, 0)

    with jax.debug_key_reuse(False):
        alone = stepped(jax.random.key(0), source)
        with across(4):
            divided = stepped(*replicate((jax.random.key(0), source)))
    chex.assert_trees_all_close(divided, alone, rtol=1e-4, atol=1e-6)
