"""Shapes, initialisation and normalisation of the papers' ConvNet."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dcjax as dc
from dcjax.networks import ACTIVATIONS, NORMS, POOLINGS, GroupNorm, default_depth


@pytest.mark.parametrize(("size", "depth"), [(8, 2), (28, 3), (32, 3), (64, 4), (128, 5)])
def test_depth_follows_the_resolution(size, depth):
    assert default_depth(size) == depth


@pytest.mark.parametrize(
    ("shape", "num_features", "count"),
    [((28, 28, 1), 2048, 317706), ((32, 32, 3), 2048, 320010)],
)
def test_parameter_count_of_the_published_convnet(shape, num_features, count):
    net = dc.network(dc.networks.ConvNet(num_classes=10), shape)
    params = jax.eval_shape(net.init, jax.random.key(0))
    image = jax.ShapeDtypeStruct((5, *shape), jnp.float32)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    assert jax.eval_shape(net.features, params, image).shape == (5, num_features)
    assert jax.eval_shape(net.apply, params, image).shape == (5, 10)


def test_the_classifier_sees_the_features():
    net = dc.network(dc.networks.ConvNet(3, width=4), (8, 8, 1))
    params = net.init(jax.random.key(0))
    image = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    logits = net.features(params, image) @ params["dense"]["kernel"] + params["dense"]["bias"][None]
    chex.assert_trees_all_close(net.apply(params, image), logits, rtol=1e-5)


def test_initialisation_is_pytorch_s():
    params = dc.network(dc.networks.ConvNet(10, width=64), (32, 32, 3)).init(jax.random.key(0))
    for layer, fan_in in (("conv0", 27), ("conv1", 9 * 64), ("dense", 64 * 16)):
        for leaf in params[layer].values():
            assert np.abs(leaf).max() <= fan_in**-0.5
        assert np.std(params[layer]["kernel"]) == pytest.approx(fan_in**-0.5 / 3**0.5, rel=0.05)


@pytest.mark.parametrize("groups", [1, 4, 8])
def test_norm_equals_flax(groups):
    image = 3 + 2 * jax.random.normal(jax.random.key(0), (2, 5, 4, 8))
    affine = {"scale": jnp.linspace(0.5, 2, 8), "bias": jnp.linspace(-1, 1, 8)}
    reference = nn.GroupNorm(num_groups=groups, epsilon=1e-5, use_fast_variance=False)

    def described(norm):
        """The output, its gradients, and the gradient of their size, which a matching loss needs."""

        def of(variables, image):
            return jnp.sin(norm.apply({"params": variables}, image)).sum()

        def of_gradient(variables, image):
            gradients = jax.grad(of, argnums=(0, 1))(variables, image)
            return sum(jnp.cos(leaf).sum() for leaf in jax.tree.leaves(gradients))

        return norm.apply({"params": affine}, image), *(
            jax.grad(function, argnums=(0, 1))(affine, image) for function in (of, of_gradient)
        )

    with jax.numpy_rank_promotion("allow"):
        expected = described(reference)
    chex.assert_trees_all_close(described(GroupNorm(groups)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "combine"), [("avg", np.mean), ("max", np.max)])
@pytest.mark.parametrize("shape", [(6, 4), (7, 5)])
def test_pooling_is_over_two_by_two_windows(name, combine, shape):
    image = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    expected = [
        [combine(image[:, i : i + 2, j : j + 2], axis=(1, 2)) for j in range(0, shape[1] - 1, 2)]
        for i in range(0, shape[0] - 1, 2)
    ]
    np.testing.assert_allclose(POOLINGS[name](image), np.moveaxis(expected, 2, 0), rtol=1e-6)


@pytest.mark.parametrize(
    "field",
    [*(("norm", n) for n in NORMS), *(("activation", a) for a in ACTIVATIONS), *(("pooling", p) for p in POOLINGS)],
    ids=str,
)
def test_variants_treat_every_image_by_itself(field):
    net = dc.network(dc.networks.ConvNet(3, width=4, **dict([field])), (9, 9, 1))
    params = net.init(jax.random.key(0))
    image = jax.random.normal(jax.random.key(1), (2, 9, 9, 1))
    alone = jnp.concatenate([net.apply(params, image[i : i + 1]) for i in range(2)])
    chex.assert_trees_all_close(net.apply(params, image), alone, atol=1e-5)
    assert np.abs(alone[0] - alone[1]).max() > 1e-4


def test_a_depth_that_leaves_nothing_is_refused():
    with pytest.raises(dc.InputError, match="4 blocks pool 8x8 images to nothing: lower the depth"):
        dc.network(dc.networks.ConvNet(3, depth=4), (8, 8, 1)).init(jax.random.key(0))
