"""Losses, image gradients and inner steps equal those of the published DC implementation."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import golden, golden_params, relative_error

import dcjax as dc
from benchmarks import rounding
from dcjax.parameterizations import class_labels
from dcjax.training import cross_entropy, fit, flatten

FILES = ("dc_gray28", "dc_rgb32")
DISTANCES = {
    "layerwise_cosine": dc.distances.filterwise_cosine,
    "squared_error": dc.distances.squared_error,
    "cosine": dc.distances.cosine,
    "idc_mse": dc.distances.of_convolutions(dc.distances.squared_error),
    "idc_l1": dc.distances.of_convolutions(dc.distances.absolute_error),
}


@pytest.fixture(params=FILES)
def published(request):
    return golden(request.param)


def small_convnet(published):
    return dc.network(dc.networks.ConvNet(num_classes=3, width=8), published["real"].shape[2:])


def labelled(image):
    return dc.Batch(jnp.asarray(image), class_labels(*image.shape[:2]))


def test_logits(published):
    net = small_convnet(published)
    logits = net.apply(golden_params(published), flatten(labelled(published["synthetic"])).image)
    chex.assert_trees_all_close(
        logits.reshape(published["logits_synthetic"].shape), published["logits_synthetic"], atol=1e-5
    )


def matching(published, name):
    """The summed loss and its gradient in the synthetic images."""
    objective = dc.gradient_matching(small_convnet(published), distance=DISTANCES[name])
    point = dc.Point(golden_params(published))
    syn, real = (labelled(published[which]) for which in ("synthetic", "real"))

    def loss(image):
        return objective.loss(jax.random.key(0), (), point, syn._replace(image=image), real)[0]

    return jax.jit(jax.value_and_grad(loss))(syn.image)


@pytest.mark.parametrize("name", DISTANCES)
def test_matching_loss_and_image_gradient(published, name):
    value, gradient = matching(published, name)
    assert value == pytest.approx(published[f"loss_{name}"].sum(), rel=1e-4)
    assert relative_error(gradient, published[f"grad_{name}"]) < 1e-4


@pytest.mark.parametrize(
    ("bits", "of_loss", "of_gradient"),
    [(10, 3e-3, 0.05), (7, 1e-2, 0.15)],
    ids=["tensorfloat32", "bfloat16"],
)
def test_what_a_precision_does_to_the_matching_loss(published, bits, of_loss, of_gradient, monkeypatch):
    """What `--precision` costs where a device has it: operands, results and cotangents of convolutions are rounded."""

    monkeypatch.setattr(dc.networks.layers, "convolve", rounding.rounded_convolution(bits))
    value, gradient = matching(published, "layerwise_cosine")
    deviation = relative_error(gradient, published["grad_layerwise_cosine"])
    assert value == pytest.approx(published["loss_layerwise_cosine"].sum(), rel=of_loss)
    assert of_gradient / 5 < deviation < of_gradient


@pytest.mark.parametrize(
    ("precision", "shape", "of_loss", "of_gradient"),
    [
        ("bfloat16", rounding.SHAPES[0], 0.03, 0.35),
        pytest.param("bfloat16", rounding.SHAPES[1], 0.03, 0.35, marks=pytest.mark.slow),
        pytest.param("tensorfloat32", rounding.SHAPES[0], 0.015, 0.16, marks=pytest.mark.slow),
        pytest.param("tensorfloat32", rounding.SHAPES[1], 0.015, 0.16, marks=pytest.mark.slow),
    ],
)
def test_what_a_precision_does_on_other_inputs(precision, shape, of_loss, of_gradient):
    """Bounds are about half as much again as the most of 500 inputs in `python -m benchmarks.rounding`; the golden inputs are mild."""
    loss, gradient = rounding.deviations(jax.random.split(jax.random.key(1), 12), shape, precision).T
    assert len({*gradient.tolist()}) == 12
    assert of_loss / 40 < np.median(loss) < loss.max() < of_loss
    assert of_gradient / 6 < np.median(gradient) < gradient.max() < of_gradient


def test_five_inner_steps(published):
    syn = flatten(labelled(published["synthetic"]))
    loss = cross_entropy(small_convnet(published))
    train = jax.jit(lambda params: fit(jax.random.key(0), loss, params, syn, optax.sgd(0.01), epochs=5))
    trained = train(golden_params(published))
    before = golden_params(published)
    after = golden_params(published, "after5_")
    for layer in after:
        for leaf in after[layer]:
            if layer.startswith("conv") and leaf == "bias":
                continue  # instance norm takes a convolution's bias away: its gradient is rounding noise
            moved = after[layer][leaf] - before[layer][leaf]
            assert relative_error(trained[layer][leaf] - before[layer][leaf], moved) < 1e-3, (layer, leaf)
    chex.assert_trees_all_close(trained, after, atol=1e-5, rtol=1e-4)
