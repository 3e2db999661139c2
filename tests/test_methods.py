"""Objectives, trajectories and whole steps against the obvious program."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, small_data, small_net

import dcjax as dc
from dcjax.training import cross_entropy, descend, fit, flatten

DATA = small_data()
NET = small_net(DATA)
DENSE = dense_net(DATA)  # quicker to compile, for what does not depend on the network


def point():
    """A network that was not trained."""
    return dc.Point(NET.init(jax.random.key(5)))


def matching(distance):
    return lambda augment: dc.gradient_matching(NET, distance=distance, augment=augment)


OBJECTIVES = [
    matching(dc.distances.filterwise_cosine),
    matching(dc.distances.squared_error),
    matching(dc.distances.cosine),
    lambda augment: dc.distribution_matching(NET, augment=augment),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=["filterwise_cosine", "squared_error", "cosine", "distribution"])
def test_matching_is_zero_when_the_condensed_data_are_the_real_ones(objective):
    real = DATA.sample(jax.random.key(0), 4)
    objective = objective(dc.augment.crop(0.25))
    loss = jax.jit(lambda syn: objective.loss(jax.random.key(1), (), point(), syn, real)[0])
    swapped = dc.Batch(jnp.flip(real.image, 0), real.label)
    assert abs(loss(real)) < 1e-3 * loss(swapped)  # not 0 exactly: DC adds 1e-6 to the product of norms


@pytest.mark.parametrize("objective", OBJECTIVES, ids=["filterwise_cosine", "squared_error", "cosine", "distribution"])
def test_padding_counts_nothing_in_a_comparison(objective):
    real, syn = DATA.sample(jax.random.key(0), 5), DATA.sample(jax.random.key(1), 2)
    padded = dc.Batch(*(jnp.pad(x, [(0, 0), (0, 1), *[(0, 0)] * (x.ndim - 2)]) for x in syn))
    padded = padded._replace(image=padded.image.at[:, 2].set(5.0))  # with an image, but without a label
    values = [
        objective(dc.augment.identity).loss(jax.random.key(0), (), point(), each, real)[0] for each in (syn, padded)
    ]
    assert values[1] == pytest.approx(float(values[0]), rel=1e-5)


def test_distribution_matching_is_the_squared_distance_of_mean_features():
    real, syn = DATA.sample(jax.random.key(0), 5), DATA.sample(jax.random.key(1), 2)
    params = point().params

    def loop(image):
        means = [(NET.features(params, a).mean(0), NET.features(params, b).mean(0)) for a, b in zip(image, real.image)]
        return sum(((a - b) ** 2).sum() for a, b in means)

    def matching(image):
        return dc.distribution_matching(NET).loss(jax.random.key(0), (), point(), syn._replace(image=image), real)

    (value, metrics), slope = jax.jit(jax.value_and_grad(matching, has_aux=True))(syn.image)
    expected, expected_slope = jax.jit(jax.value_and_grad(loop))(syn.image)
    assert value == pytest.approx(float(expected), rel=1e-5)
    assert metrics["loss"] == pytest.approx(float(expected) / DATA.num_classes, rel=1e-5)
    chex.assert_trees_all_close(slope, expected_slope, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected_slope).max()))


def test_a_fresh_network_is_another_at_every_step():
    trajectory = dc.fresh(DENSE)
    draw = dc.Draw(DATA.sample(jax.random.key(0), 2))
    first = trajectory.init(jax.random.key(0), draw)
    second = trajectory.advance(jax.random.key(1), first, draw.real, draw)
    chex.assert_trees_all_equal(second, trajectory.init(jax.random.key(1), draw))
    assert (first.params["dense0"]["kernel"] != second.params["dense0"]["kernel"]).all()


def test_matching_equals_a_loop_over_classes():
    real = DATA.sample(jax.random.key(0), 5)
    syn = DATA.sample(jax.random.key(1), 2)
    params, gradient = point().params, jax.grad(cross_entropy(NET))

    def loop(image):
        total = 0.0
        for k in range(DATA.num_classes):
            ours = gradient(params, dc.Batch(image[k], syn.label[k]))
            theirs = gradient(params, dc.Batch(real.image[k], real.label[k]))
            total += dc.distances.filterwise_cosine(ours, theirs)
        return total

    def matching(image):
        return dc.gradient_matching(NET).loss(jax.random.key(0), (), point(), syn._replace(image=image), real)

    (value, metrics), slope = jax.jit(jax.value_and_grad(matching, has_aux=True))(syn.image)
    expected, expected_slope = jax.jit(jax.value_and_grad(loop))(syn.image)
    assert value == pytest.approx(float(expected), rel=1e-5)
    assert metrics["loss"] == pytest.approx(float(expected) / DATA.num_classes, rel=1e-5)
    chex.assert_trees_all_close(slope, expected_slope, rtol=1e-3, atol=1e-5 * float(jnp.abs(expected_slope).max()))


def test_a_network_is_trained_between_comparisons_and_replaced_after_the_last():
    optimizer = optax.sgd(0.1)
    trajectory = dc.on_synthetic(DENSE, optimizer, epochs=3, restart_every=3)
    syn = DATA.sample(jax.random.key(0), 2)
    advance = jax.jit(trajectory.advance)
    points = [trajectory.init(jax.random.key(1), dc.Draw(syn))]
    for key in jax.random.split(jax.random.key(2), 3):
        points.append(advance(key, points[-1], syn, dc.Draw(syn)))
    assert [int(p.carry) for p in points] == [0, 1, 2, 0]
    trained = points[0].params
    for i in (1, 2):
        trained = fit(jax.random.key(9), cross_entropy(DENSE), trained, flatten(syn), optimizer, epochs=3)
        chex.assert_trees_all_close(points[i].params, trained, atol=1e-5)
    fresh = DENSE.init(jax.random.split(jax.random.key(2), 3)[2])
    chex.assert_trees_all_equal(points[3].params, fresh)


def test_a_network_is_trained_on_real_images_and_its_optimizer_goes_on():
    optimizer = optax.sgd(0.1, momentum=0.9)
    trajectory = dc.on_real(DENSE, optimizer, steps=2, batch_size=100, restart_every=3)  # the whole draw in every step
    draw = dc.Draw(DATA.sample(jax.random.key(0), 2))
    advance = jax.jit(trajectory.advance)
    points = [trajectory.init(jax.random.key(1), draw)]
    for key in jax.random.split(jax.random.key(2), 3):
        points.append(advance(key, points[-1], None, draw))
    assert [int(p.carry.age) for p in points] == [0, 1, 2, 0]
    trained = fit(jax.random.key(9), cross_entropy(DENSE), points[0].params, flatten(draw.real), optimizer, epochs=4)
    chex.assert_trees_all_close(points[2].params, trained, atol=1e-4)
    fresh = DENSE.init(jax.random.split(jax.random.key(2), 3)[2])
    chex.assert_trees_all_equal(points[3].params, fresh)
    chex.assert_trees_all_equal(points[3].carry.opt_state, optimizer.init(fresh))


def test_every_network_is_warmed_up_on_the_draw_also_the_first():
    optimizer = optax.sgd(0.1, momentum=0.9)
    draw = dc.Draw(DATA.sample(jax.random.key(0), 2))
    warm = dc.on_real(DENSE, optimizer, steps=1, batch_size=4, restart_every=1, warm_up_epochs=3)
    init = jax.jit(warm.init)
    first = init(jax.random.key(2), draw)
    init_key, train_key = jax.random.split(jax.random.key(2))
    params = DENSE.init(init_key)
    how = {"steps": 6, "batch_size": 4}  # six images in batches of four: two steps an epoch
    start = (params, optimizer.init(params))
    trained, _ = descend(train_key, cross_entropy(DENSE), *start, flatten(draw.real), optimizer, **how)
    chex.assert_trees_all_close(first.params, trained, atol=1e-5)
    later = jax.jit(warm.advance)(jax.random.key(2), init(jax.random.key(1), draw), None, draw)
    chex.assert_trees_all_close(later, first, atol=1e-6)
    assert int(first.carry.age) == 0
    with pytest.raises(dc.InputError, match="at least one step between comparisons, not 0"):
        dc.on_real(DENSE, optimizer, steps=0)


def test_a_new_network_comes_from_the_pool():
    pool = jax.vmap(DENSE.init)(jax.random.split(jax.random.key(0), 3))
    source = dc.with_pool(dc.source(DATA.train, real_per_class=2), pool)
    begin = jax.jit(lambda key: dc.fresh(DENSE, begin=dc.drawn).init(key, source.draw(key)).params["dense0"]["kernel"])
    kernels = [begin(jax.random.key(i)) for i in range(20)]
    found = {i for kernel in kernels for i in range(3) if (kernel == pool["dense0"]["kernel"][i]).all()}
    assert found == {0, 1, 2}


def test_a_minibatch_is_some_images_of_every_class():
    seen = []

    def loss(key, hyper, point, syn, real):
        seen.append((syn, real))
        return jnp.zeros(()), {}

    objective = dc.on_minibatch(dc.gradient_matching(NET)._replace(loss=loss), syn=2, real=3)
    syn, real = DATA.sample(jax.random.key(0), 5), DATA.sample(jax.random.key(1), 4)
    for seed in range(8):
        objective.loss(jax.random.key(seed), (), None, syn, real)
    for whole, parts in ((syn, [part for part, _ in seen]), (real, [part for _, part in seen])):
        found = [_indices(np.asarray(part.image[k]), np.asarray(whole.image[k])) for part in parts for k in range(3)]
        assert all(len(set(indices)) == len(indices) for indices in found), "an image is drawn once"
        assert {i for indices in found for i in indices} == set(range(whole.image.shape[1])), "every image has its turn"
        assert all((part.label.argmax(-1) == jnp.arange(3)[:, None]).all() for part in parts)


def _indices(chosen, images):
    return [int((image == images).all((1, 2, 3)).argmax()) for image in chosen]


def test_a_minibatch_as_large_as_the_class_is_all_of_it():
    syn, real = DATA.sample(jax.random.key(0), 2), DATA.sample(jax.random.key(1), 4)
    objective = dc.distribution_matching(NET)
    whole = objective.loss(jax.random.key(0), (), point(), syn, real)[0]
    part = dc.on_minibatch(objective, syn=2, real=9).loss(jax.random.key(0), (), point(), syn, real)[0]
    assert part == pytest.approx(float(whole), rel=1e-6)
    with pytest.raises(dc.InputError, match="at least one image of each class, not 0"):
        dc.on_minibatch(objective, real=0)


def test_pixels_start_where_they_are_told():
    real = DATA.sample(jax.random.key(0), 5)
    noise = dc.pixels(2).init(jax.random.key(1), real)
    assert noise["image"].shape == (3, 2, *DATA.image_shape)
    started = dc.pixels(2, dc.from_real)
    batch = started.decode(started.init(jax.random.key(1), real))
    chex.assert_trees_all_equal(batch, dc.Batch(real.image[:, :2], real.label[:, :2]))
    with pytest.raises(dc.InputError, match="at least ipc = 6 of every class, but the draw holds 5"):
        dc.pixels(6, dc.from_real).init(jax.random.key(1), real)
    with pytest.raises(dc.InputError, match="at least 1, not 0"):
        dc.pixels(0)


def test_a_step_is_one_gradient_step_on_the_loss():
    images, objective = dc.pixels(1), dc.gradient_matching(NET)
    trajectory = dc.on_synthetic(NET, optax.sgd(0.01), epochs=1, restart_every=1)
    condenser = dc.condenser(images, objective, trajectory, optax.sgd(0.5))
    draw = dc.Draw(DATA.sample(jax.random.key(0), 4))
    state = condenser.init(jax.random.key(1), draw)
    after, _ = jax.jit(condenser.step)(jax.random.key(2), state, draw)

    def loss(syn):
        return objective.loss(jax.random.key(3), (), state.point, images.decode(syn), draw.real)[0]

    expected = state.syn["image"] - 0.5 * jax.jit(jax.grad(loss))(state.syn)["image"]
    chex.assert_trees_all_close(after.syn["image"], expected, atol=1e-5)


def test_condensing_teaches_more_than_noise():
    condenser = dc.condenser(
        dc.pixels(1),
        dc.gradient_matching(NET),
        dc.on_synthetic(NET, optax.sgd(0.01), epochs=1, restart_every=1),
        optax.sgd(0.1, momentum=0.5),
    )
    source = dc.source(DATA.train, real_per_class=8)
    state = condenser.init(jax.random.key(0), source.draw(jax.random.key(1)))
    run = dc.iteration(condenser, steps=1)
    noise, losses = dc.pixels(1).decode(state.syn), []
    for t in range(60):
        state, metrics = run(jax.random.key(2), state, source, t)
        losses.append(float(metrics["loss"]))
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    recipe = dc.dc_recipe(epochs=40)
    condensed, before = (
        dc.evaluate(jax.random.key(3), NET, batch, DATA.test, recipe=recipe, num_students=3).mean()
        for batch in (dc.pixels(1).decode(state.syn), noise)
    )
    assert condensed > 0.9 > 0.7 > before
