"""Real images that wait as bytes are the images, in a quarter of the memory."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, small_data, small_net

import dcjax as dc
from benchmarks.compile import shapes_of
from dcjax import chunks, packing
from dcjax.base import Point
from dcjax.normalisation import MeanStd, normalised_bytes, zca

DATA = small_data(channels=3)
OBJECTIVES = {"gradients": dc.gradient_matching, "features": dc.distribution_matching}


def test_every_byte_comes_back():
    image = jnp.arange(256, dtype=jnp.uint8).repeat(3).reshape(1, 16, 16, 3)
    for normalisation in (MeanStd((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)), MeanStd((0.0,) * 3, (1.0,) * 3)):
        packed = packing.as_bytes(normalisation)
        seen = normalised_bytes(normalisation, image)
        assert packed.pack(seen).dtype == jnp.uint8
        np.testing.assert_array_equal(packed.pack(seen), image)
        np.testing.assert_array_equal(packed.unpack(packed.pack(seen)), seen)


def test_whitened_images_stay_as_they_are():
    whitening = zca()(np.asarray(DATA.train.image) / np.float32(255))
    assert packing.as_bytes(whitening) is packing.as_they_are


def compared(name, data, packed):
    """The loss and the gradient in the condensed images of a step."""
    net = dense_net(data)
    objective = OBJECTIVES[name](net, augment=dc.augment.dsa(), packing=packed)
    real, syn = data.sample(jax.random.key(0), 4), data.sample(jax.random.key(1), 2)
    point = Point(net.init(jax.random.key(2)))

    def loss(image, real):
        return objective.loss(jax.random.key(3), (), point, syn._replace(image=image), real)[0]

    return jax.jit(jax.value_and_grad(loss)), (syn.image, real)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_comparison_is_the_same(name):
    results = []
    for packed in (packing.as_they_are, packing.as_bytes(DATA.train.normalisation)):
        function, args = compared(name, DATA, packed)
        results.append(function(*args))
    chex.assert_trees_all_close(*results, rtol=1e-4, atol=1e-5)


def looped_over(jaxpr):
    """Yields what every loop in a program takes, however deep."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "scan":
            yield from (v.aval for v in eqn.invars)
        for inner in chunks._programs_in(eqn):
            yield from looped_over(inner)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_classes_are_looped_over_as_bytes(name):
    for packed, kind in ((packing.as_they_are, jnp.float32), (packing.as_bytes(DATA.train.normalisation), jnp.uint8)):
        function, args = compared(name, DATA, packed)
        kinds = {x.dtype for x in looped_over(jax.make_jaxpr(function)(*args).jaxpr) if x.shape == args[1].image.shape}
        assert kinds == {jnp.dtype(kind)}


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_draw_waits_in_less_memory(name, optimized):
    """The images of a step are drawn and compared in one program, in which they are never all there unpacked."""
    data = small_data(num_classes=32, size=64, channels=3)
    net, taken = small_net(data), []
    source = dc.source(data.train, real_per_class=10)
    for packed in (packing.as_they_are, packing.as_bytes(data.train.normalisation)):
        condenser = dc.condenser(dc.pixels(1), OBJECTIVES[name](net, packing=packed), dc.fresh(net), optax.sgd(0.1))
        with jax.debug_key_reuse(False):  # shapes are asked for with one key
            run = dc.iteration(condenser, steps=1).lower(*shapes_of(condenser, source)).compile()
        taken.append(run.memory_analysis().temp_size_in_bytes)
    floats = 4 * 32 * 10 * 64 * 64 * 3
    assert taken[0] > floats
    assert taken[0] - taken[1] > 0.6 * floats
