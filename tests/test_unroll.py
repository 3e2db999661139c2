"""Unrolled training equals its steps written out, its gradients equal theirs, and its memory grows with the root of the steps."""

import functools
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, small_data

import dcjax as dc
from dcjax import backend, minibatches, scans, sharding, training
from dcjax.gradients import image_count
from dcjax.scans import in_segments, segment_length

BATCH_SIZE, MOMENTUM = 4, 0.5


def loss(params, batch):
    hidden = jnp.tanh(batch.image.reshape(batch.image.shape[0], -1) @ params["in"])
    log_probability = jax.nn.log_softmax(hidden @ params["out"])
    return -(batch.label * log_probability).sum() / image_count(batch)


def problem(images=10):
    keys = jax.random.split(jax.random.key(0), 3)
    params = {"in": jax.random.normal(keys[0], (4, 5)), "out": jax.random.normal(keys[1], (5, 3))}
    return params, dc.Batch(jax.random.normal(keys[2], (images, 2, 2, 1)), jnp.eye(3)[jnp.arange(images) % 3])


def unrolled(params, batch, rate, steps, **options):
    optimizer = optax.sgd(1.0, momentum=MOMENTUM)
    settings = {"order": minibatches.reshuffled(BATCH_SIZE), **options}
    return training.unroll(jax.random.key(7), loss, params, batch, optimizer, steps=steps, rate=rate, **settings)


def loop(params, batch, rate, steps):
    """PyTorch's gradient descent with momentum, in Python."""
    order_key, _ = jax.random.split(jax.random.key(7))
    size = batch.image.shape[0]
    passes = -(-steps // training.steps_per_epoch(size, BATCH_SIZE))
    orders = [training.shuffled(key, size, BATCH_SIZE) for key in jax.random.split(order_key, passes)]
    indices = jnp.concatenate(orders)[:steps]
    padded = training.pad_to(batch, 12)
    velocity = jax.tree.map(jnp.zeros_like, params)
    for t, rate_t in enumerate(jnp.broadcast_to(rate, (steps,))):
        gradient = jax.grad(loss)(params, jax.tree.map(lambda x, t=t: x[indices[t]], padded))
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradient)
        params = jax.tree.map(lambda p, v, rate_t=rate_t: p - rate_t * v, params, velocity)
    return params


def outer(train, steps):
    """A scalar of the trained weights and its gradient in all that `train` is differentiable in."""
    _, test = problem(images=6)
    return jax.jit(jax.value_and_grad(lambda *args: loss(train(*args, steps), test), argnums=(0, 1, 2)))


def swapped(key):
    """A mixing that is compiled sooner than the library's: a share of every image is another's."""
    share = jax.random.uniform(key)
    return lambda batch: jax.tree.map(lambda x: share * x + (1 - share) * x[::-1], batch)


@pytest.mark.parametrize("steps", [1, 7, 10])
def test_at_a_constant_rate_it_descends(steps):
    params, batch = problem()
    optimizer = optax.sgd(0.3, momentum=MOMENTUM)
    settings = {"steps": steps, "augment": dc.augment.dc_noise(0.1), "mix": swapped}

    @jax.jit
    def descended(params):
        start = (params, optimizer.init(params))
        return training.descend(jax.random.key(7), loss, *start, batch, optimizer, batch_size=BATCH_SIZE, **settings)[0]

    expected = descended(params)
    actual = jax.jit(lambda p: unrolled(p, batch, 0.3, **settings))(params)
    chex.assert_trees_all_close(actual, expected, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 7, 10])
@pytest.mark.parametrize("per_step", [False, True], ids=["one rate", "a rate for each step"])
def test_its_gradients_are_those_of_the_steps_written_out(steps, per_step):
    params, batch = problem()
    rate = jnp.linspace(0.1, 0.6, steps) if per_step else jnp.array(0.3)
    actual, expected = (outer(train, steps)(params, batch, rate) for train in (unrolled, loop))
    assert actual[1][2].shape == rate.shape
    trained_on = np.abs(actual[1][1].image).max((1, 2, 3)) > 0
    assert trained_on.sum() == min(BATCH_SIZE * steps, 10)
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-6)


def test_its_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        params, batch = jax.tree.map(lambda x: x.astype(jnp.float64), problem())
        rate = jnp.linspace(0.1, 0.6, 5)
        value_and_grad = outer(unrolled, 5)
        point = params, batch, rate
        _, gradient = value_and_grad(*point)
        keys = jax.random.split(jax.random.key(3), 5)
        direction = random_like(keys, point)
        ahead, behind = (
            value_and_grad(*jax.tree.map(lambda x, d, sign=sign: x + sign * 1e-5 * d, point, direction))[0]
            for sign in (1, -1)
        )
        slope = sum((g * d).sum() for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction)))
        assert slope.dtype == jnp.float64
        assert (ahead - behind) / 2e-5 == pytest.approx(float(slope), rel=1e-7)


def random_like(keys, tree):
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten([jax.random.normal(key, x.shape, x.dtype) for key, x in zip(keys, leaves)])


def test_no_steps_give_the_start_and_no_gradient():
    params, batch = problem()
    chex.assert_trees_all_equal(unrolled(params, batch, 0.3, 0), params)
    _, (of_params, of_batch, of_rate) = outer(unrolled, 0)(params, batch, jnp.array(0.3))
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(of_params))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves((of_batch, of_rate)))


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7, 10, 12, 50, 53, 100])
@pytest.mark.parametrize("memory", [1, 2**30], ids=["little memory", "much memory"])
def test_segments_make_up_the_steps(steps, memory):
    inputs = jnp.arange(steps)
    with backend.answering_for("cpu", memory=memory):
        total = in_segments(lambda shared, carry, x: shared * carry % 1009 + x, jnp.array(2), jnp.array(1), inputs)
        length = segment_length(steps, 4)
    expected = functools.reduce(lambda carry, x: 2 * carry % 1009 + x, range(steps), 1)
    assert total == expected
    assert memory > 1 or steps // length + length <= 3.5 * max(steps, 1) ** 0.5
    assert memory == 1 or length == max(steps, 1)


@pytest.mark.parametrize(("devices", "is_all"), [(1, True), (2, True), (4, False)])
def test_cores_share_the_memory_that_states_are_kept_in(devices, is_all, monkeypatch):
    steps, state, lengths = 10, 1000, []
    enough_for_two = SimpleNamespace(total=8 * 2 * 2 * steps * state)
    monkeypatch.setattr(scans.psutil, "virtual_memory", lambda: enough_for_two)

    def seen(shared, rows):
        lengths.append(segment_length(steps, state))
        return rows

    with sharding.across(devices):
        seen((), None)
        jax.eval_shape(sharding.over_devices(seen), (), jnp.zeros(4))  # each core keeps its own
    assert [length == steps for length in lengths] == [is_all, is_all]


def test_memory_grows_with_the_root_of_the_steps():
    data = small_data()
    net = dense_net(data)
    inner, batch = training.cross_entropy(net), data.train.batch()
    params = jax.eval_shape(net.init, jax.random.key(0))

    def needed(steps, memory=1):
        def of(params, batch, rate):
            optimizer = optax.sgd(1.0, momentum=MOMENTUM)
            key = jax.random.key(1)
            return inner(
                training.unroll(
                    key, inner, params, batch, optimizer, steps=steps, order=minibatches.reshuffled(8), rate=rate
                ),
                batch,
            )

        with backend.answering_for("cpu", memory=memory):
            lowered = jax.jit(jax.grad(of, argnums=(1, 2))).lower(params, batch, jnp.array(0.1))
        return lowered.compile().memory_analysis().temp_size_in_bytes

    ten, hundred = needed(10), needed(100)
    print(f"gradient of 10 steps: {ten / 2**20:.2f} MiB, of 100: {hundred / 2**20:.2f} MiB, {hundred / ten:.2f} times")
    assert hundred < 3.5 * ten
    assert needed(100, memory=2**40) > 50 * sum(
        leaf.size * 4 for leaf in jax.tree.leaves(params)
    )  # all states are kept
