"""Networks begin, warm up and begin anew as they are told to, and a trajectory of one's own takes what its source brings."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct
from helpers import OBJECTIVES, dense_net, small_data

import dcjax as dc
from dcjax.optimizers import by_name
from dcjax.training import cross_entropy, fit, flatten

DATA = small_data()
NET = dense_net(DATA)
SOURCE = dc.source(DATA.train, real_per_class=4)
SYN = DATA.sample(jax.random.key(9), 2)
SGD = optax.sgd(0.1, momentum=0.9)


def untrained(seed):
    return jax.jit(NET.init)(jax.random.key(seed))


def test_the_first_network_is_warmed_up_like_every_other():
    trajectory = dc.on_real(NET, SGD, steps=1, batch_size=100, restart_every=1, warm_up_epochs=3)
    draw = SOURCE.draw(jax.random.key(0))
    first = jax.jit(trajectory.init)(jax.random.key(1), draw)
    later = jax.jit(trajectory.advance)(jax.random.key(1), first, SYN, draw)
    chex.assert_trees_all_close(first, later, atol=1e-6)
    assert first.carry.age == 0
    begin_key, _ = jax.random.split(jax.random.key(1))
    params = jax.jit(NET.init)(begin_key)  # then passes over the whole draw at once, whose order does not matter
    trained = jax.jit(lambda p: fit(jax.random.key(2), cross_entropy(NET), p, flatten(draw.real), SGD, epochs=3))(
        params
    )
    chex.assert_trees_all_close(first.params, trained, atol=1e-5)


@pytest.mark.parametrize(
    "trajectory",
    [
        dc.fresh(NET, begin=dc.drawn),
        dc.on_synthetic(NET, SGD, epochs=1, restart_every=2, begin=dc.drawn),
        dc.on_real(NET, SGD, steps=1, batch_size=100, restart_every=2, begin=dc.drawn),
    ],
    ids=["fresh", "on_synthetic", "on_real"],
)
def test_networks_begin_with_what_is_drawn_then(trajectory):
    draws = [SOURCE.draw(jax.random.key(0))._replace(start=untrained(seed)) for seed in range(3)]
    point = trajectory.init(jax.random.key(1), draws[0])
    chex.assert_trees_all_equal(point.params, draws[0].start)
    advance = jax.jit(trajectory.advance)
    for draw in draws[1:]:  # every network is compared on twice, or once
        point = advance(jax.random.key(2), point, SYN, draw)
    chex.assert_trees_all_equal(point.params, draws[2].start)
    with pytest.raises(dc.InputError, match="which gives none"):
        trajectory.init(jax.random.key(1), draws[0]._replace(start=()))


@struct.dataclass
class Segments:
    """A source of one's own: an expert's weights at some epoch, and its weights two epochs later."""

    source: dc.Source
    epochs: dict  # the expert's weights after each epoch, [T, ...]

    def draw(self, key):
        real_key, epoch_key = jax.random.split(key)
        epoch = jax.random.randint(epoch_key, (), 0, jax.tree.leaves(self.epochs)[0].shape[0] - 2)
        start, target = (jax.tree.map(lambda x, i=i: x[i], self.epochs) for i in (epoch, epoch + 2))
        return self.source.draw(real_key)._replace(start=start, target=target)


def on_expert():
    """A trajectory of one's own: where the expert was, and where it came to."""

    def init(key, draw):
        del key
        return dc.Point(draw.start, draw.target)

    return dc.Trajectory(init, lambda key, point, syn, draw: init(key, draw))


def one_step_matching():
    """An objective of one's own: how far one step at a learned rate still is from the target, relative to the start."""

    def distance(a, b):
        return dc.distances.squared_error(a, b)

    def loss(key, hyper, point, syn, real):
        del key, real
        slope = jax.grad(cross_entropy(NET))(point.params, flatten(syn))
        moved = jax.tree.map(lambda p, g: p - hyper["rate"] * g, point.params, slope)
        value = distance(moved, point.target) / distance(point.params, point.target)
        return value, {"loss": value, "rate": hyper["rate"]}

    return dc.Objective(lambda: {"rate": jnp.array(0.5)}, loss)


def test_a_trajectory_of_one_s_own_takes_an_expert_s_start_and_target_and_learns_its_rate():
    begin = untrained(0)
    source = Segments(SOURCE, jax.tree.map(lambda x: x[None] + jnp.arange(5.0).reshape(-1, *[1] * x.ndim), begin))
    objective = one_step_matching()
    optimizer = by_name({"image": optax.sgd(0.1), "rate": optax.sgd(1e-3)})
    condenser = dc.condenser(dc.pixels(1), dc.on_minibatch(objective, real=2), on_expert(), optimizer)
    state = condenser.init(jax.random.key(0), source.draw(jax.random.key(1)))
    after, metrics = dc.iteration(condenser, steps=1)(jax.random.key(2), state, source, 0)
    for point in (state.point, after.point):
        gaps = jax.tree.map(lambda a, b: np.abs(b - a - 2).max(), point.params, point.target)
        assert max(jax.tree.leaves(gaps)) < 1e-5
    slope = jax.jit(jax.grad(objective.loss, argnums=1, has_aux=True))(
        jax.random.key(3), state.learned.hyper, state.point, dc.pixels(1).decode(state.syn), None
    )[0]["rate"]
    assert slope != 0
    assert after.learned.hyper["rate"] == pytest.approx(float(0.5 - 1e-3 * slope))
    assert metrics["rate"] == 0.5
    assert (after.syn["image"] != state.syn["image"]).any()


def refused(function, *args):
    with pytest.raises(AssertionError):
        jax.eval_shape(function, *args)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_take_nothing_but_batches_grouped_by_as_many_classes(name):
    objective, real = OBJECTIVES[name](NET), DATA.sample(jax.random.key(0), 4)

    def loss(syn, real):
        point = dc.Point(untrained(0), untrained(1))
        return objective.loss(jax.random.key(1), objective.init(), point, syn, real)

    jax.eval_shape(loss, SYN, real)
    refused(loss, flatten(SYN), real)
    refused(loss, SYN, flatten(real))
    refused(loss, SYN, jax.tree.map(lambda x: x[:2], real))
    refused(loss, SYN._replace(label=SYN.label[:, :1]), real)


def test_trajectories_take_nothing_but_batches_grouped_by_class():
    draw, key = SOURCE.draw(jax.random.key(0)), jax.random.key(1)
    synthetic = dc.on_synthetic(NET, SGD, epochs=1, restart_every=2)
    real = dc.on_real(NET, SGD, steps=1, restart_every=2)
    for trajectory, syn, flat in ((synthetic, flatten(SYN), draw), (real, SYN, dc.Draw(flatten(draw.real)))):
        point = jax.eval_shape(trajectory.init, key, draw)
        jax.eval_shape(trajectory.advance, key, point, SYN, draw)
        refused(trajectory.advance, key, point, syn, flat)


@pytest.mark.parametrize("make", [functools.partial(dc.on_synthetic, epochs=1), functools.partial(dc.on_real, steps=1)])
def test_a_network_lives_for_at_least_one_comparison(make):
    with pytest.raises(dc.InputError, match="at least one comparison, but restart_every is 0"):
        make(NET, SGD, restart_every=0)
