"""The unrolled objective equals the published programs and its steps written out, whatever its order, window and rates."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, golden, golden_params, in_double, relative_error, small_data

import dcjax as dc
from dcjax import backend, minibatches, rates, training
from dcjax.parameterizations import class_labels
from dcjax.sharding import across, replicate


def everything(key, shape, steps):
    """An order that takes all images at every step."""
    return jnp.broadcast_to(jnp.arange(shape[0] * shape[1]), (steps, shape[0] * shape[1]))


@pytest.fixture(name="published", scope="module")
def _published():
    arrays = golden("rtp_memory_bptt")
    net = dc.network(dc.networks.ConvNet(num_classes=3, width=8), arrays["real"].shape[1:])
    memory = dc.addressable_memory(num_bases=4, recalls=2, downsample=2)
    syn = {"bases": jnp.asarray(arrays["bases"]), "addresses": jnp.asarray(arrays["coefficients"]).swapaxes(0, 1)}
    return arrays, net, memory, syn


def test_recalled_images_are_the_published_ones(published):
    arrays, _, memory, syn = published
    batch = memory.decode(syn)
    chex.assert_trees_all_close(batch.image.reshape(arrays["recalled"].shape), arrays["recalled"], atol=1e-6)
    chex.assert_trees_all_equal(batch.label, class_labels(3, 2))


def test_inner_losses_are_the_published_ones(published):
    arrays, net, memory, syn = published
    loss, start = training.cross_entropy(net), golden_params(arrays)
    batch = memory.decode(syn)

    def at(steps):
        how = {"steps": steps, "order": everything, "rate": jnp.array(0.01)}
        params = training.unroll(jax.random.key(0), loss, start, batch, optax.sgd(1.0, momentum=0.9), **how)
        return loss(params, training.flatten(batch))

    chex.assert_trees_all_close(
        jnp.stack([jax.jit(at, static_argnums=0)(t) for t in range(4)]), arrays["inner_losses"], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("memory", "micro_batch"),
    [
        pytest.param(1, 4, id="in segments, in micro-batches"),
        pytest.param(2**40, None, id="all states kept, all at once"),
        pytest.param(1, None, id="in segments, all at once", marks=pytest.mark.slow),
        pytest.param(2**40, 4, id="all states kept, in micro-batches", marks=pytest.mark.slow),
    ],
)
def test_outer_loss_and_both_gradients_are_the_published_ones(published, micro_batch, memory):
    """In single precision as XLA divides programs of itself: otherwise rounding may take an activation over ReLU's kink."""
    with backend.answering_for("cpu", micro_batch=micro_batch, memory=memory):
        check_outer(published, {"xla_cpu_parallel_codegen_split_count": 32}, 1e-5, 1e-4)


def test_in_double_precision_they_are_so_to_the_published_numbers_own_rounding(published):
    arrays, *parts, syn = published
    with jax.enable_x64(True):
        check_outer((in_double(arrays), *parts, in_double(syn)), {}, 1e-6, 1e-6)


def check_outer(published, options, of_loss, of_gradients):
    arrays, net, parameterization, syn = published
    objective = dc.unrolled(net, optax.sgd(1.0, momentum=0.9), steps=4, order=everything, rate=rates.fixed(0.01))
    label = jnp.eye(3)[np.asarray(arrays["real_labels"])]
    same = (jnp.stack([x] * 3) for x in (arrays["real"], label))  # the mean of three times the same is the same
    real = dc.Batch(*same)

    def loss(syn):
        point = dc.Point(golden_params(arrays))
        return objective.loss(jax.random.key(0), (), point, parameterization.decode(syn), real)[0]

    value, gradient = jax.jit(jax.value_and_grad(loss), compiler_options=options)(syn)
    assert gradient["bases"].dtype == syn["bases"].dtype
    assert value == pytest.approx(float(arrays["outer_loss"]), rel=of_loss)
    assert relative_error(gradient["bases"], arrays["grad_bases"]) < of_gradients
    assert relative_error(gradient["addresses"].swapaxes(0, 1), arrays["grad_coefficients"]) < of_gradients


DATA = small_data()


def problem(ipc=4):
    net = dense_net(DATA)
    real = DATA.train.sample(jax.random.key(1), 5)
    syn = dc.pixels(ipc, dc.from_real).init(jax.random.key(2), DATA.train.sample(jax.random.key(3), ipc))
    params = jax.jit(net.init)(jax.random.key(4))
    return net, params, dc.pixels(ipc).decode(syn), real


def by_hand(net, params, syn, real, indices, rate):
    """The outer loss, with the steps written out at the indices of the order."""
    loss, flat = training.cross_entropy(net), training.flatten(syn)
    for row, r in zip(indices, jnp.broadcast_to(rate, (len(indices),))):
        gradient = jax.grad(loss)(params, jax.tree.map(lambda x, row=row: x[row], flat))
        params = jax.tree.map(lambda p, g, r=r: p - r * g, params, gradient)
    return loss(params, training.flatten(real))


def objective_of(net, **options):
    return dc.unrolled(net, optax.sgd(1.0), **options)


def in_images(objective, params, syn, real, hyper=None):
    hyper = objective.init() if hyper is None else hyper

    def loss(hyper, image):
        point, batch = dc.Point(params), syn._replace(image=image)
        return objective.loss(jax.random.key(0), hyper, point, batch, real)[0]

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(hyper, syn.image)


def test_in_order_replays_the_images_of_each_step_at_its_own_rate():
    net, params, syn, real = problem(ipc=4)
    order = minibatches.in_order(2)
    rows = np.array(order(None, (3, 4), 5))
    assert rows.tolist() == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]] * 2 + [[0, 1, 4, 5, 8, 9]]
    rate = rates.learned(0.05, steps=5)
    hyper = {"raw_rate": rates.raw(0.05) + jnp.linspace(-1, 1, 5)}
    objective = objective_of(net, steps=5, order=order, rate=rate)
    value, (of_rate, of_image) = in_images(objective, params, syn, real, hyper)

    def expected(hyper, image):
        return by_hand(net, params, syn._replace(image=image), real, rows, rate.value(hyper))

    expected_value, expected_gradient = jax.jit(jax.value_and_grad(expected, argnums=(0, 1)))(hyper, syn.image)
    assert value == pytest.approx(float(expected_value), rel=1e-5)
    chex.assert_trees_all_close((of_rate, of_image), expected_gradient, rtol=1e-3, atol=1e-6)
    assert of_rate["raw_rate"].shape == (5,)


def test_balanced_takes_some_images_of_every_class_and_others_at_every_step():
    rows = np.array(minibatches.balanced(2)(jax.random.key(0), (3, 4), 50)).reshape(50, 3, 2)
    assert (rows // 4 == np.arange(3)[None, :, None]).all()
    assert all(len(set(of_class)) == 2 for step in rows for of_class in step)
    assert len({tuple(row) for row in rows[:, 0]}) > 6
    alone = np.array(minibatches.balanced(9)(jax.random.key(0), (3, 4), 2))
    assert alone.tolist() == [[*range(12)]] * 2


@pytest.mark.parametrize("steps", [3, 5])
def test_a_window_at_the_end_takes_the_steps_before_it_as_constants(steps):
    net, params, syn, real = problem()
    rows = np.array(minibatches.in_order(1)(None, (3, 4), steps))
    objective = objective_of(net, steps=steps, order=minibatches.in_order(1), rate=rates.fixed(0.1), window=3)
    value, (_, gradient) = in_images(objective, params, syn, real)
    before, after = rows[: steps - 3], rows[steps - 3 :]

    def expected(image):
        loss, flat = training.cross_entropy(net), training.flatten(syn)
        start = params
        for row in before:
            step = jax.grad(loss)(start, jax.tree.map(lambda x, row=row: x[row], flat))
            start = jax.tree.map(lambda p, g: p - 0.1 * g, start, step)
        return by_hand(net, start, syn._replace(image=image), real, after, 0.1)

    expected_value, expected_gradient = jax.jit(jax.value_and_grad(expected))(syn.image)
    assert value == pytest.approx(float(expected_value), rel=1e-5)
    chex.assert_trees_all_close(gradient, expected_gradient, rtol=1e-3, atol=1e-6)


def test_a_window_anywhere_ends_training_where_it_ends():
    net, params, syn, real = problem()
    how = {"order": minibatches.in_order(1), "rate": rates.fixed(0.1)}
    run = jax.jit(
        lambda key: objective_of(net, steps=6, window=2, place=dc.unroll.anywhere, **how).loss(
            key, (), dc.Point(params), syn, real
        )[0]
    )
    found = {round(float(run(key)), 5) for key in jax.random.split(jax.random.key(0), 40)}
    whole = {
        round(
            float(objective_of(net, steps=steps, **how).loss(jax.random.key(0), (), dc.Point(params), syn, real)[0]), 5
        )
        for steps in range(2, 7)
    }
    assert found == whole


def test_no_learning_no_gradient():
    """At a vanishing rate the images do not matter."""
    net, params, syn, real = problem()
    how = {"steps": 3, "order": minibatches.balanced(2)}
    tiny, usual = (
        in_images(objective_of(net, rate=rates.fixed(rate), **how), params, syn, real)[1][1] for rate in (1e-12, 0.1)
    )
    assert np.abs(tiny).max() < 1e-9 * np.abs(usual).max()


@pytest.mark.parametrize("per_class", [4, 3], ids=["12 images", "9 images"])
def test_one_task_divides_its_minibatch_among_devices(per_class):
    net, params, syn, real = problem()
    how = {"steps": 3, "order": minibatches.balanced(per_class), "rate": rates.learned(0.1)}
    alone = in_images(objective_of(net, **how), params, syn, real)
    with across(4):
        divided = in_images(objective_of(net, **how), *replicate((params, syn, real)))
    chex.assert_trees_all_close(divided, alone, rtol=1e-4, atol=1e-7)


def test_learned_labels_get_the_gradient_of_the_steps_written_out():
    net, params, syn, real = problem()
    labelled = dc.soft_labels(dc.pixels(4))
    learned = {"image": syn.image, "label_logits": jax.random.normal(jax.random.key(5), syn.label.shape)}
    rows = np.array(minibatches.in_order(2)(None, (3, 4), 4))
    objective = objective_of(net, steps=4, order=minibatches.in_order(2), rate=rates.fixed(0.1))

    def ours(learned):
        return objective.loss(jax.random.key(0), (), dc.Point(params), labelled.decode(learned), real)[0]

    with backend.answering_for("cpu", micro_batch=2):
        actual = jax.jit(jax.grad(ours))(learned)
    expected = jax.jit(jax.grad(lambda learned: by_hand(net, params, labelled.decode(learned), real, rows, 0.1)))(
        learned
    )
    chex.assert_trees_all_close(actual, expected, rtol=1e-3, atol=1e-6)


def test_an_inner_optimizer_may_be_any_that_optax_has():
    net, params, syn, real = problem()
    objective = dc.unrolled(
        net, optax.adam(1.0, eps_root=1e-8), steps=3, order=minibatches.balanced(2), rate=rates.learned(1e-3)
    )
    value, gradient = in_images(objective, params, syn, real)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))


def test_a_learned_rate_stays_positive():
    rate = rates.learned(0.02)
    assert rate.value(rate.init()) == pytest.approx(0.02, rel=1e-5)
    assert rate.value({"raw_rate": jnp.array(-30.0)}) > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda net: objective_of(net, steps=0, order=minibatches.balanced(1), rate=rates.fixed(1.0)),
            "at least one step",
        ),
        (lambda net: minibatches.balanced(0), "at least one image of each class"),
        (lambda net: rates.fixed(0.0), "positive, not 0.0"),
        (lambda net: minibatches.in_order(3)(None, (3, 4), 2), "4 images of each class cannot be taken 3 at a time"),
        (lambda net: dc.on_classes(dc.distribution_matching(net), 0), "at least one class"),
        (lambda net: dc.with_tasks(dc.distribution_matching(net), dc.fresh(net), 0), "at least one network"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(dc.InputError, match=words):
        make(dense_net(DATA))
