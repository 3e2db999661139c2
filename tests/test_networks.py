"""The papers' networks: shapes, initialisation, normalisation, and equality with PyTorch builds of them."""

import functools
import itertools
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import relative_error
from jax import lax

import dcjax as dc
from dcjax import backend
from dcjax.networks import ACTIVATIONS, NORMS, POOLINGS, GroupNorm, default_depth
from dcjax.networks.resnet import BasicBlock


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
    params = jax.jit(net.init)(jax.random.key(0))
    image = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    features = jax.jit(net.features)(params, image)
    logits = features @ params["dense"]["kernel"] + params["dense"]["bias"][None]
    chex.assert_trees_all_close(jax.jit(net.apply)(params, image), logits, rtol=1e-5)
    chex.assert_trees_all_close(jax.jit(net.classify)(params, features), logits, rtol=1e-5)
    own = dc.Network(net.init, net.apply, net.features)
    with pytest.raises(dc.InputError, match="give it `classify`"):
        own.classify(params, features)


def test_initialisation_is_pytorch_s():
    params = jax.jit(dc.network(dc.networks.ConvNet(10, width=64), (32, 32, 3)).init)(jax.random.key(0))
    for layer, fan_in in (("conv0", 27), ("conv1", 9 * 64), ("dense", 64 * 16)):
        for leaf in params[layer].values():
            assert np.abs(leaf).max() <= fan_in**-0.5
        assert np.std(params[layer]["kernel"]) == pytest.approx(fan_in**-0.5 / 3**0.5, rel=0.05)


@pytest.mark.parametrize("groups", [1, 4, 8])
def test_norm_equals_flax(groups):
    image = 3 + 2 * jax.random.normal(jax.random.key(0), (2, 5, 4, 8))
    affine = {"scale": jnp.linspace(0.5, 2, 8), "bias": jnp.linspace(-1, 1, 8)}
    reference = nn.GroupNorm(num_groups=groups, epsilon=1e-5, use_fast_variance=False)

    @functools.partial(jax.jit, static_argnums=0)
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
    [
        *(("norm", n) for n in NORMS if n != "batch"),
        *(("activation", a) for a in ACTIVATIONS),
        *(("pooling", p) for p in POOLINGS),
    ],
    ids=str,
)
def test_variants_treat_every_image_by_itself(field):
    net = dc.network(dc.networks.ConvNet(3, width=4, **dict([field])), (9, 9, 1))
    params, apply = jax.jit(net.init)(jax.random.key(0)), jax.jit(net.apply)
    image = jax.random.normal(jax.random.key(1), (2, 9, 9, 1))
    alone = jnp.concatenate([apply(params, image[i : i + 1]) for i in range(2)])
    chex.assert_trees_all_close(apply(params, image), alone, atol=1e-5)
    assert np.abs(alone[0] - alone[1]).max() > 1e-4


def test_a_depth_that_leaves_nothing_is_refused():
    with pytest.raises(dc.InputError, match="4 blocks pool 8x8 images to nothing: lower the depth"):
        dc.network(dc.networks.ConvNet(3, depth=4), (8, 8, 1)).init(jax.random.key(0))


def conv(window, inputs, outputs):
    return window**2 * inputs * outputs + outputs


def bare(window, inputs, outputs):
    """A convolution without bias and the norm after it."""
    return window**2 * inputs * outputs + 2 * outputs


def dense(inputs, outputs):
    return inputs * outputs + outputs


# Of images with so many pixels and channels: the parameters of every layer, for 10 classes.
LAYERS = {
    "MLP": lambda pixels, c: [dense(pixels * c, 128), dense(128, 128), dense(128, 10)],
    "LeNet": lambda _, c: [conv(5, c, 6), conv(5, 6, 16), dense(400, 120), dense(120, 84), dense(84, 10)],
    "AlexNet": lambda _, c: [
        *(conv(5, c, 128), conv(5, 128, 192), conv(3, 192, 256), conv(3, 256, 192), conv(3, 192, 192)),
        dense(192 * 4 * 4, 10),
    ],
    "VGG11": lambda _, c: [
        *(conv(3, a, b) + 2 * b for a, b in itertools.pairwise((c, 64, 128, 256, 256, 512, 512, 512, 512))),
        dense(512, 10),
    ],
    "ResNet18": lambda _, c: [
        *(bare(3, c, 64), bare(3, 64, 64), bare(3, 64, 64), bare(3, 64, 64), bare(3, 64, 64)),
        *(bare(3, 64, 128), bare(3, 128, 128), bare(1, 64, 128), bare(3, 128, 128), bare(3, 128, 128)),
        *(bare(3, 128, 256), bare(3, 256, 256), bare(1, 128, 256), bare(3, 256, 256), bare(3, 256, 256)),
        *(bare(3, 256, 512), bare(3, 512, 512), bare(1, 256, 512), bare(3, 512, 512), bare(3, 512, 512)),
        dense(512, 10),
    ],
    "ResNet10": lambda _, c: [
        *(bare(3, c, 64), bare(3, 64, 64), bare(3, 64, 64)),
        *(bare(3, 64, 128), bare(3, 128, 128), bare(1, 64, 128)),
        *(bare(3, 128, 256), bare(3, 256, 256), bare(1, 128, 256)),
        *(bare(3, 256, 512), bare(3, 512, 512), bare(1, 256, 512)),
        dense(512, 10),
    ],
}
PUBLISHED = [(28, 28, 1), (32, 32, 3)]
TOTALS = {  # of images of these shapes
    "MLP": (118282, 411146),
    "LeNet": (61706, 62006),
    "AlexNet": (1865802, 1872202),
    "VGG11": (9229962, 9231114),
    "ResNet18": (11172810, 11173962),
    "ResNet10": (4902090, 4903242),
}
FEATURES = {  # of images of 28, 32 and 64 pixels a side
    "MLP": (128, 128, 128),
    "LeNet": (84, 84, 84),
    "AlexNet": (192 * 16, 192 * 16, 192 * 64),
    "VGG11": (512, 512, 512 * 4),
    "ResNet18": (512, 512, 512),
    "ResNet10": (512, 512, 512),
}
SHAPES = [(28, 28, 1), (28, 28, 3), (32, 32, 1), (32, 32, 3), (64, 64, 3)]


@pytest.fixture
def _xla_convolution():
    """XLA's convolution, as elsewhere than on a CPU: it is traced and compiled sooner."""
    with backend.answering_for("gpu"):
        yield


def net_of(name, shape, num_classes=10):
    return dc.network(getattr(dc.networks, name)(num_classes), shape)


@pytest.mark.usefixtures("_xla_convolution")
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_and_parameter_counts(name, shape):
    net = net_of(name, shape)
    params = jax.eval_shape(net.init, jax.random.key(0))
    image = jax.ShapeDtypeStruct((5, *shape), jnp.float32)
    num_features = FEATURES[name][(28, 32, 64).index(shape[0])]
    assert jax.eval_shape(net.features, params, image).shape == (5, num_features)
    if shape in PUBLISHED:
        assert jax.eval_shape(net.apply, params, image).shape == (5, 10)
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        assert count == sum(LAYERS[name](shape[0] * shape[1], shape[2])) == TOTALS[name][PUBLISHED.index(shape)]


@pytest.mark.usefixtures("_xla_convolution")
@pytest.mark.parametrize(
    ("name", "least"), [("LeNet", 16), ("AlexNet", 8), ("VGG11", 32), ("ResNet18", 9), ("ResNet10", 9)]
)
def test_images_that_are_too_small_are_refused(name, least):
    jax.eval_shape(net_of(name, (least, least, 1)).init, jax.random.key(0))
    size = least - 1
    message = (
        f"^{name} needs images of {least}x{least} pixels or more, but these are {size}x{least}: "
        "give a larger --image-size or another network."
    )
    with pytest.raises(dc.InputError, match=message):
        jax.eval_shape(net_of(name, (size, least, 1)).init, jax.random.key(0))


@pytest.mark.usefixtures("_xla_convolution")
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_every_network_can_be_matched(name):
    shape = (28, 28, 1)
    net = net_of(name, shape, 2)
    trajectory = dc.on_synthetic(net, optax.sgd(0.01), epochs=1, restart_every=1)
    condenser = dc.condenser(dc.pixels(1), dc.gradient_matching(net), trajectory, optax.sgd(0.1))
    real = dc.Batch(jax.ShapeDtypeStruct((2, 3, *shape), jnp.float32), jax.ShapeDtypeStruct((2, 3, 2), jnp.float32))
    draw = dc.Draw(real)
    state = jax.eval_shape(condenser.init, jax.random.key(0), draw)
    assert jax.eval_shape(condenser.step, jax.random.key(1), state, draw)[0] == state


class Built(NamedTuple):
    """A network and what it makes of two images."""

    name: str
    params: dict
    image: np.ndarray
    logits: np.ndarray  # of both at once
    features: np.ndarray  # of each alone


def random_params(net):
    """Of a size that keeps activations near one, and no norm the identity."""
    generator = np.random.default_rng(0)

    def draw(path, leaf):
        noise = generator.standard_normal(leaf.shape, np.float32)
        if path[-1].key == "kernel":
            return noise * (2 * leaf.shape[-1] / leaf.size) ** 0.5
        return noise / 4 + (path[-1].key == "scale")

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(net.init, jax.random.key(0)))


@pytest.fixture(scope="module", params=LAYERS)
def built(request):
    with backend.answering_for("gpu"):
        net = net_of(request.param, (28, 28, 1), 3)
        params = random_params(net)
        image = np.random.default_rng(1).standard_normal((2, 28, 28, 1), np.float32)

        @jax.jit
        def outputs(params, image):
            return net.apply(params, image), lax.map(lambda image: net.features(params, image[None])[0], image)

        return Built(request.param, params, image, *outputs(params, image))


def test_the_classifier_sees_the_features_of_each_image_alone(built):
    classifier = built.params["dense"]
    logits = built.features @ classifier["kernel"] + classifier["bias"][None]
    assert relative_error(built.logits, logits) < 1e-5
    assert relative_error(logits[0], logits[1]) > 0.01


class TorchLayers:
    """PyTorch's functions with our weights; images are [B, C, H, W], and flattened in our order."""

    def __init__(self, torch, params):
        self.functional, self.params = torch.nn.functional, jax.tree.map(lambda x: torch.tensor(np.asarray(x)), params)

    def conv(self, x, name, padding, stride=1, block=None):
        layer = self._layer(name, block)
        return self.functional.conv2d(x, layer["kernel"].permute(3, 2, 0, 1), layer.get("bias"), stride, padding)

    def norm(self, x, name, block=None):
        layer = self._layer(name, block)
        return self.functional.instance_norm(x, weight=layer["scale"], bias=layer["bias"])

    def dense(self, x, name="dense"):
        layer = self._layer(name, None)
        return self.functional.linear(x, layer["kernel"].T, layer["bias"])

    def flat(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)

    def pool(self, x):
        return self.functional.max_pool2d(x, 2)

    def _layer(self, name, block):
        return (self.params if block is None else self.params[block])[name]


def torch_mlp(net, x):
    x = net.dense(net.flat(x), "dense0").relu()
    return net.dense(net.dense(x, "dense1").relu())


def torch_lenet(net, x):
    x = net.pool(net.conv(x, "conv0", padding=2).relu())
    x = net.pool(net.conv(x, "conv1", padding=0).relu())
    x = net.dense(net.flat(x), "dense0").relu()
    return net.dense(net.dense(x, "dense1").relu())


def torch_alexnet(net, x):
    x = net.pool(net.conv(x, "conv0", padding=4).relu())
    x = net.pool(net.conv(x, "conv1", padding=2).relu())
    for name in ("conv2", "conv3", "conv4"):
        x = net.conv(x, name, padding=1).relu()
    return net.dense(net.flat(net.pool(x)))


def torch_vgg11(net, x):
    for i in range(8):
        x = net.norm(net.conv(x, f"conv{i}", padding=3 if i == 0 else 1), f"norm{i}").relu()
        if i in (0, 1, 3, 5, 7):
            x = net.pool(x)
    return net.dense(net.flat(x))


def torch_resnet(blocks, pooled=False):
    """A residual network with so many blocks in each of four stages; `pooled` puts average pooling in the place of strides."""

    def logits(net, x):
        x = net.norm(net.conv(x, "conv_stem", padding=1), "norm_stem").relu()
        for i in range(4 * blocks):
            block, shrinks = f"block{i}", i in (blocks, 2 * blocks, 3 * blocks)
            stride = 2 if shrinks and not pooled else 1
            pool = functools.partial(net.functional.avg_pool2d, kernel_size=2) if shrinks and pooled else lambda x: x
            out = pool(net.norm(net.conv(x, "conv0", 1, stride, block), "norm0", block).relu())
            out = net.norm(net.conv(out, "conv1", 1, 1, block), "norm1", block)
            if shrinks:
                x = net.norm(pool(net.conv(x, "conv_shortcut", 0, stride, block)), "norm_shortcut", block)
            x = (out + x).relu()
        return net.dense(x.mean((2, 3)))

    return logits


TORCH = {
    "MLP": torch_mlp,
    "LeNet": torch_lenet,
    "AlexNet": torch_alexnet,
    "VGG11": torch_vgg11,
    "ResNet18": torch_resnet(2),
    "ResNet10": torch_resnet(1),
}


def test_logits_equal_pytorch_s(built):
    torch = pytest.importorskip("torch")
    layers = TorchLayers(torch, built.params)
    logits = TORCH[built.name](layers, torch.tensor(built.image).permute(0, 3, 1, 2)).numpy()
    assert relative_error(built.logits, logits) < 1e-4


@pytest.mark.usefixtures("_xla_convolution")
def test_resnet10_with_average_pooling_is_idc_s():
    torch = pytest.importorskip("torch")
    net = dc.network(dc.networks.ResNet10(3, 8, downsampling="avg_pool"), (32, 32, 3))
    params, image = random_params(net), np.random.default_rng(1).standard_normal((2, 32, 32, 3), np.float32)
    logits = torch_resnet(1, pooled=True)(TorchLayers(torch, params), torch.tensor(image).permute(0, 3, 1, 2)).numpy()
    assert relative_error(jax.jit(net.apply)(params, image), logits) < 1e-4


@pytest.mark.usefixtures("_xla_convolution")
def test_kernels_of_resnet10_begin_as_idc_draws_them():
    params = jax.jit(dc.network(dc.networks.ResNet10(3, 32), (32, 32, 3)).init)(jax.random.key(0))
    for kernel in (params["block2"]["conv0"]["kernel"], params["block2"]["conv_shortcut"]["kernel"]):
        window, _, _, channels = kernel.shape
        assert np.std(kernel) == pytest.approx((2 / (window**2 * channels)) ** 0.5, rel=0.05)


@pytest.mark.usefixtures("_xla_convolution")
@pytest.mark.parametrize("name", ["ResNet18", "ResNet10"])
def test_pooling_residual_networks_leave_their_norms_more_than_a_pixel(name):
    module = getattr(dc.networks, name)(3, downsampling="avg_pool")
    jax.eval_shape(dc.network(module, (16, 16, 1)).init, jax.random.key(0))
    with pytest.raises(dc.InputError, match=f"{name} needs images of 16x16 pixels or more"):
        jax.eval_shape(dc.network(module, (15, 15, 1)).init, jax.random.key(0))


@pytest.mark.usefixtures("_xla_convolution")
@pytest.mark.parametrize("name", ["VGG11", "ResNet18", "ResNet10"])
def test_the_norm_can_be_left_out(name):
    net = dc.network(getattr(dc.networks, name)(3, norm="none"), (32, 32, 3))
    leaves, _ = jax.tree_util.tree_flatten_with_path(jax.eval_shape(net.init, jax.random.key(0)))
    assert leaves
    assert all(path[-1].key != "scale" for path, _ in leaves)


MODULES = {
    **{name: functools.partial(getattr(dc.networks, name), 3) for name in LAYERS},
    "ConvNet": functools.partial(dc.networks.ConvNet, 3, width=4, norm="group"),
}


@pytest.mark.parametrize("name", MODULES)
def test_equal_networks_are_compiled_for_once(name):
    traced = []

    @functools.partial(jax.jit, static_argnums=0)
    def probe(pair, x):
        traced.append(pair)
        return x

    first, second = (dc.network(MODULES[name](), (32, 32, 1)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    for net in (first, second):
        probe((net, "recipe"), 1)
    assert len(traced) == 1


def test_networks_that_differ_are_told_apart():
    module = dc.networks.ConvNet
    alike = [module(3), module(4), module(3, width=64), module(3, norm="layer"), module(3, depth=2), dc.networks.MLP(3)]
    nets = [dc.network(module, (16, 16, 1)) for module in alike] + [dc.network(module(3), (16, 16, 3))]
    assert len(set(nets)) == len(nets)


def block(x):
    return BasicBlock(4, 2, "instance", name="block")(x).mean((1, 2))


@pytest.mark.usefixtures("_xla_convolution")
@pytest.mark.parametrize(
    "module",
    [dc.networks.MLP(3), dc.networks.LeNet(3), dc.networks.Classifier(3, block)],
    ids=["MLP", "LeNet", "residual block"],
)
def test_a_gradient_of_a_gradient_is_finite_even_at_a_blank_image(module):
    net = dc.network(module, (16, 16, 1))
    image = np.random.default_rng(1).standard_normal((2, 16, 16, 1), np.float32)
    image[1] = 0

    def loss(params, image):
        return jax.nn.logsumexp(net.apply(params, image), axis=-1).sum()

    def size(params, image):
        return sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(jax.grad(loss)(params, image)))

    gradient = np.array(jax.jit(jax.grad(size, 1))(random_params(net), image))
    assert np.isfinite(gradient).all()
    assert (gradient[0] != 0).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: dc.networks.ConvNet(2, norm="instancenorm"),
            "There is no norm 'instancenorm': choose among instance, ",
        ),
        (lambda: dc.networks.ConvNet(2, pooling="avgpooling"), "There is no pooling 'avgpooling': choose among avg, "),
        (lambda: dc.networks.ConvNet(2, activation="gelu"), "There is no activation 'gelu': choose among relu, "),
        (lambda: dc.networks.ConvNet(2, depth=0), "The depth of a network is at least 1, not 0"),
        (lambda: dc.networks.VGG11(2, width=0), "The width of a network is at least 1, not 0"),
        (lambda: dc.networks.VGG11(2, norm="batchnorm"), "There is no norm 'batchnorm'"),
        (
            lambda: dc.networks.ResNet18(2, downsampling="avgpool"),
            "There is no downsampling 'avgpool': choose among stride",
        ),
        (lambda: dc.networks.ResNet10(2, norm="bn"), "There is no norm 'bn'"),
    ],
)
def test_what_a_network_does_not_know_is_named_with_the_choices(make, message):
    with pytest.raises(dc.InputError, match=message):
        make()


class _Forgetful(nn.Module):
    """A network of a user's own, whose layer keeps what is not a weight."""

    @nn.compact
    def __call__(self, image):
        return nn.Dense(2)(nn.BatchNorm(use_running_average=True)(image.reshape(len(image), -1)))


def test_what_a_network_of_ones_own_would_lose_is_named():
    with pytest.raises(dc.InputError, match="_Forgetful keeps batch_stats beside its weights, which would be lost"):
        dc.network(_Forgetful(), (8, 8, 1))
    with pytest.raises(dc.InputError, match=r"height, width and channels, not the shape \(8, 8\)"):
        dc.network(_Forgetful(), (8, 8))
