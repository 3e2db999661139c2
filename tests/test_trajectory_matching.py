"""Trajectory matching equals the published program and its steps written out, and what TESLA leaves out is what it says."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, golden, golden_params, relative_error, small_data

import dcjax as dc
from dcjax import minibatches, rates, scans, training

DATA = small_data()


def everything(key, shape, steps):
    """An order that takes all images at every step."""
    return jnp.broadcast_to(jnp.arange(np.prod(shape)), (steps, np.prod(shape)))


@pytest.fixture(name="published", scope="module")
def _published():
    """The published loss and gradients; and ours as a function of the scan."""
    arrays = golden("mtt")
    net = dc.network(dc.networks.ConvNet(num_classes=3, width=8), arrays["synthetic"].shape[1:])
    point = dc.Point(golden_params(arrays), golden_params(arrays, "target_"))
    rate = float(arrays["student_lr"])
    label = jnp.eye(3)[arrays["labels"]]

    def ours(scan):
        # A learned rate that is the stored one itself, so that its gradient is that in the rate.
        itself = rates.InnerRate(lambda: {"rate": jnp.array(rate)}, lambda hyper: hyper["rate"])
        objective = dc.trajectory_matching(net, steps=3, order=everything, rate=itself, scan=scan)

        def loss(hyper, image):
            syn = dc.Batch(image[:, None], label[:, None])
            return objective.loss(jax.random.key(0), hyper, point, syn, syn)[0]

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(objective.init(), jnp.asarray(arrays["synthetic"]))

    return arrays, ours


def test_loss_and_gradients_are_the_published_ones(published):
    arrays, ours = published
    value, (of_rate, of_image) = ours(scans.in_segments)
    assert value == pytest.approx(float(arrays["loss"]), rel=1e-5)
    assert relative_error(of_image, arrays["grad_synthetic"]) < 1e-4
    assert of_rate["rate"] == pytest.approx(float(arrays["grad_lr"]), rel=1e-4)


def test_tesla_s_gradient_is_near_the_whole_one_and_is_not_it(published):
    arrays, ours = published
    value, (of_rate, of_image) = ours(scans.unlinked)
    assert value == pytest.approx(float(arrays["loss"]), rel=1e-5)
    assert 0.03 < relative_error(of_image, arrays["grad_synthetic"]) < 0.07
    assert 0.01 < abs(of_rate["rate"] / float(arrays["grad_lr"]) - 1) < 0.05


def problem():
    net = dense_net(DATA)
    syn = dc.pixels(2).decode({"image": DATA.train.sample(jax.random.key(3), 2).image})
    start, target = (jax.jit(net.init)(jax.random.key(seed)) for seed in (4, 5))
    return net, syn, dc.Point(start, target)


def loss_of(objective, point, syn):
    def loss(hyper, image):
        batch = syn._replace(image=image)
        return objective.loss(jax.random.key(0), hyper, point, batch, syn)[0]

    return loss


def test_tesla_s_gradient_is_that_of_steps_at_constant_weights():
    net, syn, point = problem()
    objective = dc.trajectory_matching(net, steps=4, order=everything, rate=rates.learned(0.1), scan=scans.unlinked)
    inner, flat = training.cross_entropy(net), training.flatten(syn)

    def by_hand(hyper, image):
        params, rate = point.params, rates.learned(0.1).value(hyper)
        for _ in range(4):
            batch = flat._replace(image=image.reshape(flat.image.shape))
            gradient = jax.grad(inner)(jax.lax.stop_gradient(params), batch)
            params = jax.tree.map(lambda p, g: p - rate * g, params, gradient)
        return dc.distances.squared_error(params, point.target) / dc.distances.squared_error(point.params, point.target)

    how = {"argnums": (0, 1)}
    ours = jax.jit(jax.value_and_grad(loss_of(objective, point, syn), **how))(objective.init(), syn.image)
    expected = jax.jit(jax.value_and_grad(by_hand, **how))(objective.init(), syn.image)
    chex.assert_trees_all_close(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scan", [scans.in_segments, scans.unlinked])
def test_one_step_has_one_gradient_and_the_limits_are_one_and_zero(scan):
    net, syn, point = problem()
    how = {"steps": 1, "order": everything, "scan": scan}
    reached = training.unroll(
        jax.random.key(0),
        training.cross_entropy(net),
        point.params,
        training.flatten(syn),
        optax.sgd(1.0),
        rate=jnp.array(0.3),
        **how,
    )
    at = dc.trajectory_matching(net, rate=rates.fixed(0.3), **how)
    assert loss_of(at, point._replace(target=reached), syn)((), syn.image) == pytest.approx(0, abs=1e-9)
    still = dc.trajectory_matching(net, rate=rates.fixed(1e-12), **how)
    assert loss_of(still, point, syn)((), syn.image) == pytest.approx(1, rel=1e-6)
    whole = dc.trajectory_matching(net, rate=rates.fixed(0.3), steps=1, order=everything)
    gradient = [jax.jit(jax.grad(loss_of(each, point, syn), argnums=1))((), syn.image) for each in (at, whole)]
    chex.assert_trees_all_close(*gradient, rtol=1e-5, atol=1e-7)


def test_what_is_missing_is_named():
    net, syn, point = problem()
    how = {"steps": 2, "order": minibatches.reshuffled(2), "rate": rates.fixed(0.1)}
    with pytest.raises(dc.InputError, match="needs an expert's later weights"):
        loss_of(dc.trajectory_matching(net, **how), dc.Point(point.params), syn)((), syn.image)
    with pytest.raises(dc.InputError, match="A network of a pool cannot begin a segment"):
        dc.with_pool(dc.with_segments(dc.source(DATA.train, real_per_class=2), {}, {}), {})
    with pytest.raises(dc.InputError, match="at least one real image of each class, not 0"):
        dc.source(DATA.train, real_per_class=0)
    with pytest.raises(dc.InputError, match="at least one step"):
        dc.trajectory_matching(net, **(how | {"steps": 0}))
    with pytest.raises(dc.InputError, match="with_segments"):
        dc.expert().init(jax.random.key(0), dc.source(DATA.train, real_per_class=2).draw(jax.random.key(1)))
    momentum = optax.sgd(1.0, momentum=0.9)
    unroll = (jax.random.key(0), training.cross_entropy(net), point.params, training.flatten(syn), momentum)
    with pytest.raises(dc.InputError, match="one for all or for each of 2 steps"):
        training.unroll(*unroll, steps=2, order=everything, rate=jnp.ones(3))
    with pytest.raises(dc.InputError, match="plain gradient descent"):
        training.unroll(*unroll, steps=2, order=everything, rate=jnp.array(0.1), scan=scans.unlinked)


def test_a_draw_brings_the_start_and_the_end_of_one_segment():
    net = dense_net(DATA)
    starts, targets = (jax.vmap(net.init)(jax.random.split(jax.random.key(seed), 5)) for seed in (0, 1))
    source = dc.with_segments(dc.source(DATA.train, real_per_class=2), starts, targets)
    seen = set()
    for seed in range(20):
        draw = source.draw(jax.random.key(seed))
        point = dc.expert().init(jax.random.key(0), draw)
        (which,) = np.flatnonzero(
            np.asarray(starts["dense"]["kernel"][:, 0, 0]) == float(point.params["dense"]["kernel"][0, 0])
        )
        chex.assert_trees_all_equal(point.target, jax.tree.map(lambda x, i=which: x[i], targets))
        seen.add(which)
    assert len(seen) > 2
