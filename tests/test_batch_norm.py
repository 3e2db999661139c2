"""Batch norm: equal to the published program's, by the batch's statistics in training and by frozen ones else."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    OBJECTIVES,
    TRAJECTORIES,
    fits,
    golden,
    golden_params,
    golden_statistics,
    relative_error,
    small_data,
    source_of,
)

import dcjax as dc
from dcjax import backend, settling, sharding
from dcjax.evaluate import accuracy
from dcjax.gradients import batch_gradient
from dcjax.networks import Settled
from dcjax.parameterizations import class_labels
from dcjax.training import cross_entropy, flatten, pad_to


@pytest.fixture(name="published", scope="module")
def _published():
    return golden("dc_batchnorm")


def convnet(shape=(28, 28, 1), width=8):
    return dc.network(dc.networks.ConvNet(3, width, norm="batch"), shape)


def labelled(image):
    return dc.Batch(jnp.asarray(image), class_labels(*image.shape[:2]))


def settled_as_published(net, params, real, images):
    return net.settle(params, jnp.asarray(images), 0.1)


def test_statistics_move_as_published(published):
    net, params = convnet(), golden_params(published)
    settled = jax.jit(net.settle)(params, published["settle"], 0.1)
    chex.assert_trees_all_close(settled.statistics, golden_statistics(published), atol=1e-5, rtol=1e-4)
    chex.assert_trees_all_equal(settled.params, params)


def test_matching_loss_and_image_gradient_at_frozen_statistics(published):
    objective = dc.gradient_matching(
        convnet(), settle=functools.partial(settled_as_published, images=published["settle"])
    )
    syn, real = (labelled(published[which]) for which in ("synthetic", "real"))

    def loss(image):
        point = dc.Point(golden_params(published))
        return objective.loss(jax.random.key(0), (), point, syn._replace(image=image), real)[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(syn.image)
    assert value == pytest.approx(published["loss_layerwise_cosine"].sum(), rel=1e-4)
    assert relative_error(gradient, published["grad_layerwise_cosine"]) < 1e-4


def test_real_images_of_every_class_settle(published):
    params, images = golden_params(published), published["settle"].reshape(3, 16, 28, 28, 1)
    more = labelled(np.concatenate([images, published["real"]], axis=1))
    settled = jax.jit(lambda real: settling.on_real(16, 0.1)(convnet(), params, real))(more)
    chex.assert_trees_all_close(settled.statistics, golden_statistics(published), atol=1e-5, rtol=1e-4)


def test_logits_at_frozen_statistics(published):
    settled = Settled(golden_params(published), golden_statistics(published))
    logits = jax.jit(convnet().apply)(settled, flatten(labelled(published["synthetic"])).image)
    chex.assert_trees_all_close(logits, published["logits_synthetic"].reshape(logits.shape), atol=1e-5)


def test_a_step_of_training_is_by_the_batch_s_statistics(published):
    net, params = convnet(), golden_params(published)
    syn, loss = flatten(labelled(published["synthetic"])), cross_entropy(net)
    chex.assert_trees_all_close(jax.jit(net.apply)(params, syn.image), published["train_logits"], atol=1e-4)
    assert jax.jit(loss)(params, syn) == pytest.approx(float(published["train_loss"]), rel=1e-4)
    gradient = jax.jit(functools.partial(batch_gradient, loss))(params, syn)
    after = optax.apply_updates(params, jax.tree.map(lambda g: -0.01 * g, gradient))
    for layer in (f"{kind}{i}" for kind in ("conv", "norm") for i in range(3)):
        for leaf in ("kernel",) if layer.startswith("conv") else ("scale", "bias"):
            moved = published[f"after1_{layer}_{leaf}"] - params[layer][leaf]
            assert relative_error(after[layer][leaf] - params[layer][leaf], moved) < 1e-3, (layer, leaf)
    statistics = jax.jit(net.settle)(params, syn.image, 0.1).statistics
    expected = golden_statistics(published, "after1_")
    chex.assert_trees_all_close(statistics, expected, atol=1e-5, rtol=1e-4)
    moved = (tree["norm2"]["var"] - 0.9 for tree in (statistics, expected))
    assert relative_error(*moved) < 5e-4, "the variance of 384 values is unbiased"


@pytest.fixture(name="started", scope="module")
def _started():
    data = small_data()
    net = convnet(data.image_shape)
    return data, net, jax.jit(net.init)(jax.random.key(0))


def test_padding_changes_nothing(started):
    data, net, params = started
    batch, loss = flatten(data.sample(jax.random.key(1), 4)), cross_entropy(net)
    of = jax.jit(functools.partial(batch_gradient, loss))
    chex.assert_trees_all_close(of(params, batch), of(params, pad_to(batch, 19)), atol=1e-6, rtol=1e-4)
    apart = jax.jit(functools.partial(batch_gradient, cross_entropy(net.settled)))(params, pad_to(batch, 19))
    assert relative_error(apart["conv1"]["kernel"], of(params, batch)["conv1"]["kernel"]) > 0.1


def test_a_settled_network_treats_every_image_by_itself(started):
    data, net, params = started
    image = flatten(data.sample(jax.random.key(1), 4)).image
    settled, apply = jax.jit(net.settle)(params, image), jax.jit(net.apply)
    chex.assert_trees_all_close(apply(settled, image)[:1], apply(settled, image[:1]), atol=1e-5)
    assert np.abs(apply(params, image)[:1] - apply(params, image[:1])).max() > 0.01
    chex.assert_trees_all_equal(
        jax.jit(net.settle)(settled, image), settled
    )  # from the weights, not from the statistics


def test_statistics_of_all_images_are_what_training_normalises_by(started):
    data, net, params = started
    image = flatten(data.sample(jax.random.key(1), 8)).image
    settled = jax.jit(net.settle)(params, image)
    count = image.shape[0] * 64  # the variance of a test is unbiased, that of training is not
    biased = settled._replace(
        statistics=settled.statistics
        | {"norm0": settled.statistics["norm0"] | {"var": settled.statistics["norm0"]["var"] * (count - 1) / count}}
    )
    shallow = dc.network(dc.networks.ConvNet(3, 8, depth=1, norm="batch"), data.image_shape)
    one = {
        "conv0": params["conv0"],
        "norm0": params["norm0"],
        "dense": jax.jit(shallow.init)(jax.random.key(0))["dense"],
    }
    frozen = Settled(one, {"norm0": biased.statistics["norm0"]})
    chex.assert_trees_all_close(jax.jit(shallow.apply)(frozen, image), jax.jit(shallow.apply)(one, image), atol=1e-4)


def test_nothing_reaches_the_statistics(started):
    data, net, params = started
    batch = flatten(data.sample(jax.random.key(1), 4))
    settled = jax.jit(net.settle)(params, batch.image)
    gradient = jax.jit(functools.partial(batch_gradient, cross_entropy(net.settled)))(settled, batch)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient.statistics))
    assert gradient.params["norm0"]["scale"].any()


def test_a_training_set_settles_by_the_means_over_its_minibatches(started):
    data, net, params = started
    batch = flatten(data.sample(jax.random.key(1), 4))
    whole = settling.on_training_set(jax.random.key(2), net, params, batch, batch_size=50)
    chex.assert_trees_all_close(whole.statistics, jax.jit(net.settle)(params, batch.image).statistics, rtol=1e-4)
    order = jax.random.permutation(jax.random.split(jax.random.key(2))[0], 12)
    parts = [jax.jit(net.settle)(params, batch.image[order[i : i + 5]]).statistics for i in (0, 5)]
    mean = jax.tree.map(lambda a, b: (a + b) / 2, *parts)
    found = settling.on_training_set(jax.random.key(2), net, params, batch, batch_size=5)
    chex.assert_trees_all_close(found.statistics, mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mix", [dc.augment.no_mixing, dc.augment.cutmix(1, 1)])
@pytest.mark.parametrize("batch_size", [50, 5])
def test_padding_of_a_training_set_counts_nothing(batch_size, mix, started):
    """Classes of unequal size are padded, by images of zeros without a label; whatever stands there changes no statistic."""
    data, net, params = started
    whole = flatten(data.sample(jax.random.key(1), 4))
    present = jnp.arange(12) % 4 < 2
    filled = [
        dc.Batch(jnp.where(jnp.expand_dims(present, (1, 2, 3)), whole.image, value), whole.label * present[:, None])
        for value in (0.0, 1e3)
    ]
    zeros, loud = (
        settling.on_training_set(jax.random.key(2), net, params, batch, batch_size=batch_size, mix=mix)
        for batch in filled
    )
    chex.assert_trees_all_close(zeros.statistics, loud.statistics, rtol=1e-4)
    if batch_size == 50 and mix is dc.augment.no_mixing:
        alone = jax.jit(net.settle)(params, whole.image[np.flatnonzero(present)]).statistics
        chex.assert_trees_all_close(loud.statistics, alone, rtol=1e-4, atol=1e-6)


def test_minibatches_count_by_their_images_that_are_no_padding(started):
    data, net, params = started
    whole = flatten(data.sample(jax.random.key(1), 4))
    order = np.asarray(jax.random.permutation(jax.random.split(jax.random.key(2))[0], 12))
    parts = order[:3], order[5:6]  # what is no padding of two mini-batches of five
    present = np.isin(np.arange(12), np.concatenate(parts))
    batch = dc.Batch(whole.image, whole.label * present[:, None])
    found = [jax.jit(net.settle)(params, whole.image[rows]).statistics for rows in parts]
    expected = jax.tree.map(lambda a, b: (3 * a + b) / 4, *found)
    settled = settling.on_training_set(jax.random.key(2), net, params, batch, batch_size=5)
    chex.assert_trees_all_close(settled.statistics, expected, rtol=1e-4, atol=1e-6)


def test_networks_without_batch_norm_have_nothing_to_settle(started):
    data, _, _ = started
    net = dc.network(dc.networks.ConvNet(3, 8), data.image_shape)
    params, batch = jax.jit(net.init)(jax.random.key(0)), flatten(data.sample(jax.random.key(1), 4))
    assert net.per_image
    assert net.settle(params, batch.image) is params
    assert settling.on_training_set(jax.random.key(2), net, params, batch, batch_size=5) is params
    with pytest.raises(dc.InputError, match="at least one image of each class, not 0"):
        settling.on_real(0)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_student_of_four_devices_is_that_of_one(norm):
    """To 1e-5 of what training moved, as the order of sums differs."""
    data = small_data()
    net = dc.network(dc.networks.ConvNet(3, 8, norm=norm), data.image_shape)
    batch = flatten(data.sample(jax.random.key(1), 7))
    train = jax.jit(lambda batch: dc.train_student(jax.random.key(2), net, batch, dc.dc_recipe(6)))
    alone = train(batch)
    with sharding.across(4):
        divided = train(sharding.replicate(batch))
    moved = optax.tree.norm(
        jax.tree.map(
            jnp.subtract, dc.networks.weights(alone), jax.jit(net.init)(jax.random.split(jax.random.key(2))[0])
        )
    )
    apart = optax.tree.norm(jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), alone, divided))
    assert apart < 1e-5 * max(moved, 1)


def test_a_replay_is_settled_by_images_of_all_classes(started):
    data, net, params = started
    batch = flatten(data.sample(jax.random.key(1), 4))
    found = dc.replay_recipe(per_class=4).settle(jax.random.key(2), net, params, batch)
    chex.assert_trees_all_close(found.statistics, jax.jit(net.settle)(params, batch.image).statistics, rtol=1e-4)


def test_weights_in_training_are_not_tested(started):
    data, net, params = started
    with pytest.raises(dc.InputError, match="frozen statistics, but these are the weights of one in training"):
        accuracy(net, params, data.test)


def test_students_with_batch_norm_learn():
    data = small_data()
    net = convnet(data.image_shape)
    condensed = data.sample(jax.random.key(1), 4)
    scores = dc.evaluate(jax.random.key(0), net, condensed, data.test, recipe=dc.dc_recipe(30), num_students=2)
    assert scores.min() > 0.8


@pytest.mark.parametrize(
    ("objective", "trajectory"),
    [
        *((name, "expert") for name in OBJECTIVES),
        *(("gradient_matching", name) for name in TRAJECTORIES if fits("gradient_matching", name)),
    ],
)
def test_batch_norm_goes_with_everything(objective, trajectory, started):
    data, net, _ = started
    members = (OBJECTIVES[objective](net), TRAJECTORIES[trajectory](net))
    condenser = dc.condenser(dc.pixels(2), *members, optax.sgd(0.1))
    key = jax.eval_shape(lambda: jax.random.key(0))
    draw = jax.eval_shape(source_of(data, net, 8).draw, key)
    state = jax.eval_shape(condenser.init, key, draw)
    assert jax.eval_shape(condenser.step, key, state, draw)[0] == state


def test_matching_under_batch_norm_is_divided():
    data = small_data()
    net = convnet(data.image_shape, width=4)
    condenser = dc.condenser(dc.pixels(2), dc.gradient_matching(net), TRAJECTORIES["on_synthetic"](net), optax.sgd(0.1))

    def image(devices):
        with sharding.across(devices):
            source = sharding.replicate(dc.source(data.train, real_per_class=4))
            state = jax.jit(condenser.init)(jax.random.key(0), source.draw(jax.random.key(2)))
            return np.asarray(dc.iteration(condenser, steps=2)(jax.random.key(1), state, source, 0)[0].syn["image"])

    np.testing.assert_allclose(image(4), image(1), rtol=0, atol=1e-5)


def resnet18_of_dc(num_classes):
    return dc.networks.ResNet18(num_classes, norm="batch", downsampling="avg_pool")


@pytest.mark.parametrize(("shape", "features"), [((32, 32, 3), 512 * 16), ((28, 28, 1), 512 * 9)], ids=str)
def test_the_classifier_of_dc_s_resnet18_sees_the_last_maps_whole(shape, features):
    with backend.answering_for("gpu"):
        net = dc.network(resnet18_of_dc(10), shape)
        params = jax.eval_shape(net.init, jax.random.key(0))
        assert params["dense"]["kernel"].shape == (features, 10)
        assert not net.per_image


def test_dc_s_resnet18_equals_pytorch_s():
    torch = pytest.importorskip("torch")
    from test_networks import TorchLayers

    class Layers(TorchLayers):
        def norm(self, x, name, block=None):
            layer = self._layer(name, block)
            return self.functional.batch_norm(x, None, None, layer["scale"], layer["bias"], training=True)

    net = dc.network(resnet18_of_dc(3), (16, 16, 1))
    params = jax.tree.map(
        lambda x: x + 0.1 * jnp.sin(jnp.arange(x.size).reshape(x.shape)), jax.jit(net.init)(jax.random.key(0))
    )
    image = np.random.default_rng(0).standard_normal((4, 16, 16, 1), np.float32)
    layers, x = Layers(torch, params), torch.tensor(image).permute(0, 3, 1, 2)
    half = functools.partial(torch.nn.functional.avg_pool2d, kernel_size=2)
    x = layers.norm(layers.conv(x, "conv_stem", padding=1), "norm_stem").relu()
    for i in range(8):
        name, pool = f"block{i}", half if i in (2, 4, 6) else lambda x: x
        out = pool(layers.norm(layers.conv(x, "conv0", 1, 1, name), "norm0", name).relu())
        out = layers.norm(layers.conv(out, "conv1", 1, 1, name), "norm1", name)
        if i in (2, 4, 6):
            x = layers.norm(pool(layers.conv(x, "conv_shortcut", 0, 1, name)), "norm_shortcut", name)
        x = (out + x).relu()
    assert relative_error(jax.jit(net.apply)(params, image), layers.dense(layers.flat(x)).numpy()) < 1e-4
