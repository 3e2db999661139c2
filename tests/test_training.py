"""Training equals the steps written out by hand."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from helpers import small_data, small_net

import dcjax as dc
from dcjax import backend, training
from dcjax.sharding import across


@pytest.fixture(name="setting", scope="module")
def _setting():
    data = small_data()
    net = small_net(data)
    return training.cross_entropy(net), jax.jit(net.init)(jax.random.key(0)), data.train.batch()


def test_cross_entropy_of_hard_and_soft_labels():
    net = dc.Network(None, lambda params, image: image.reshape(image.shape[0], -1), None)
    logits = jnp.array([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]]).reshape(2, 1, 3, 1)
    label = jnp.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    by_hand = -(jax.nn.log_softmax(logits.reshape(2, 3)) * label).sum(1).mean()
    assert training.cross_entropy(net)({}, dc.Batch(logits, label)) == pytest.approx(float(by_hand))


def test_padding_counts_nothing(setting):
    loss, params, batch = setting
    loss = jax.jit(loss)
    padded = training.pad_to(batch, batch.image.shape[0] + 5)
    assert loss(params, padded) == pytest.approx(float(loss(params, batch)), rel=1e-6)


@pytest.mark.parametrize("size", [1, 16, 33])  # one micro-batch, exactly one, and two with a rest
def test_micro_batches_add_up_to_the_gradient(setting, size):
    loss, params, batch = setting
    part = jax.tree.map(lambda x: x[:size], batch)
    with backend.answering_for("cpu", micro_batch=16):
        ours = jax.jit(lambda p: training.batch_gradient(loss, p, part))(params)
    chex.assert_trees_all_close(ours, jax.jit(jax.grad(loss))(params, part), atol=1e-6)


@pytest.mark.parametrize("size", [1, 11, 70])  # not divided, no multiple of four, several micro-batches on each
def test_images_are_divided_among_devices_and_put_together_again(size):
    seen = []

    def scaled(scale, image):
        seen.append(image.shape[0])
        return scale * image.sum((1, 2, 3))

    with across(4):
        images = jnp.arange(size, dtype=jnp.float32).reshape(size, 1, 1, 1)
        out = jax.jit(lambda x: training.map_images(scaled, jnp.array(2.0), x))(images)
    assert out.tolist() == [2 * i for i in range(size)]
    assert set(seen) == {min(-(-size // 4), backend.current().forward_batch)}


@pytest.mark.parametrize("size", [1, 33])  # fewer images than devices, no multiple of them
def test_a_batch_is_divided_among_devices(setting, size):
    loss, params, batch = setting
    mixed = batch._replace(label=0.75 * batch.label + 0.25 * batch.label[:, ::-1])
    part = jax.tree.map(lambda x: x[:size], mixed)
    seen = []

    def counted(params, batch):
        seen.append(batch.image.shape[0])
        return loss(params, batch)

    with across(4):
        ours = jax.jit(lambda p: training.batch_gradient(counted, p, part))(params)
    assert set(seen) == {-(-size // 4)}
    chex.assert_trees_all_close(ours, jax.jit(jax.grad(loss))(params, part), atol=1e-6)


def test_a_last_batch_that_fills_only_some_micro_batches(setting):
    loss, params, batch = setting
    part = jax.tree.map(lambda x: x[:17], batch)  # batches of 16 and 1: the second is micro-batches of padding but one

    def fitted(micro):
        with backend.answering_for("cpu", micro_batch=micro):
            return train(params)

    @jax.jit
    def train(params):
        return training.fit(jax.random.key(0), loss, params, part, optax.sgd(0.1), epochs=2, batch_size=16)

    chex.assert_trees_all_close(fitted(4), fitted(None), atol=1e-5)


def test_fit_equals_sgd_with_momentum_and_decay_by_hand(setting):
    loss, params, batch = setting
    optimizer = optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(0.05, momentum=0.9))
    fitted = jax.jit(lambda p: training.fit(jax.random.key(0), loss, p, batch, optimizer, epochs=4))(params)
    gradient = jax.jit(jax.grad(loss))
    expected, velocity = params, jax.tree.map(jnp.zeros_like, params)
    for _ in range(4):
        decayed = jax.tree.map(lambda g, p: g + 5e-4 * p, gradient(expected, batch), expected)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, decayed)
        expected = jax.tree.map(lambda p, v: p - 0.05 * v, expected, velocity)
    chex.assert_trees_all_close(fitted, expected, atol=1e-5)


def test_an_epoch_takes_every_image_once_in_batches_of_which_the_last_is_smaller():
    image = jnp.arange(1.0, 11.0).reshape(10, 1, 1, 1)
    batch = dc.Batch(image, jnp.ones((10, 1)))

    def loss(params, batch):  # its gradient is the mean of the batch's images
        count = batch.label.sum()
        return params * batch.image.sum() / count

    sums = []
    for seed in range(5):
        fitted = training.fit(jax.random.key(seed), loss, jnp.zeros(()), batch, optax.sgd(1.0), epochs=1, batch_size=4)
        sums.append(-float(fitted))
    # two means of four and one of two: between all small ones in the pair and all large ones in it
    assert len(set(sums)) > 1
    assert all((3 + 4 + 5 + 6 + 7 + 8 + 9 + 10) / 4 + 1.5 <= s <= 36 / 4 + 9.5 for s in sums)


def test_fit_learns(setting):
    loss, params, batch = setting
    fitted = jax.jit(lambda p: training.fit(jax.random.key(0), loss, p, batch, optax.sgd(0.1), epochs=20))(params)
    assert loss(fitted, batch) < 0.3 * loss(params, batch)
