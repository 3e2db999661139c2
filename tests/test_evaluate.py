"""Students are trained by the recipe, scored on every test image, and repeatable."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, small_data

import dcjax as dc
from dcjax import training
from dcjax.evaluate import accuracy
from dcjax.recipes import Phase

DATA = small_data()
NET = dense_net(DATA)
RECIPE = dc.dc_recipe(epochs=20)


@pytest.mark.parametrize(("epochs", "full", "tenth"), [(300, 152, 149), (1000, 502, 499), (1, 2, 0), (0, 1, 0)])
def test_dc_recipe_lowers_the_rate_where_the_published_loop_does(epochs, full, tenth):
    recipe = dc.dc_recipe(epochs)
    assert [phase.epochs for phase in recipe.phases] == [full, tenth]
    for phase, rate in zip(recipe.phases, (0.01, 0.001)):
        params, gradient = jnp.array(2.0), jnp.array(3.0)
        state = phase.optimizer(1).init(params)
        first, state = phase.optimizer(1).update(gradient, state, params)
        second, _ = phase.optimizer(1).update(gradient, state, params)
        decayed = 3 + 5e-4 * 2
        assert (first, second) == (pytest.approx(-rate * decayed), pytest.approx(-rate * (1.9 * decayed)))


def test_a_student_is_trained_phase_by_phase():
    batch = DATA.sample(jax.random.key(0), 4)
    recipe = dc.Recipe(
        (Phase(lambda _: optax.sgd(0.1), 3), Phase(lambda _: optax.sgd(0.01), 2)), 256, dc.augment.identity
    )
    key = jax.random.key(1)
    (score,) = dc.evaluate(key, NET, batch, DATA.test, recipe=recipe, num_students=1)
    init_key, *_ = jax.random.split(jax.random.split(jax.random.key(1), 1)[0], 3)
    params, flat = NET.init(init_key), training.flatten(batch)
    for phase in recipe.phases:  # full batches: the order of images does not matter
        loss = training.cross_entropy(NET)
        params = training.fit(jax.random.key(9), loss, params, flat, phase.optimizer(1), epochs=phase.epochs)
    predicted = NET.apply(params, DATA.test.batch().image).argmax(-1)
    assert score == pytest.approx((np.asarray(predicted) == DATA.test.label).mean())


@pytest.mark.parametrize("size", [None, 4, 5])  # the test set has 12 images: whole, in equal parts, with a rest
def test_accuracy_counts_every_test_image_once(size, monkeypatch):
    monkeypatch.setattr(training, "default_micro_batch", lambda: size)
    truth = NET._replace(apply=lambda params, image: image.reshape(image.shape[0], -1)[:, :3])
    image = np.zeros((12, 2, 2, 1), np.uint8)
    predicted = [0, 1, 2] * 4
    image.reshape(12, 4)[np.arange(12), predicted] = 255
    split = dc.data.Split(jnp.asarray(image), (4, 4, 4), (0.5,), (0.5,))
    expected = np.mean(np.array(predicted) == split.label)
    assert accuracy(truth, {}, split) == pytest.approx(expected)


def test_students_learn_the_real_images_and_repeat():
    batch = DATA.sample(jax.random.key(0), 8)
    scores = [dc.evaluate(jax.random.key(1), NET, batch, DATA.test, recipe=RECIPE, num_students=2) for _ in range(2)]
    assert scores[0].mean() > 0.8
    chex.assert_trees_all_equal(*scores)


def test_one_student_for_each_set_is_a_student_on_that_set():
    draws = [DATA.sample(jax.random.key(seed), 1) for seed in (0, 1)]
    sets = jax.tree.map(lambda *x: jnp.stack(x), *draws)
    each = dc.evaluate_each(jax.random.key(2), NET, sets, DATA.test, recipe=RECIPE)
    alone = [
        dc.evaluate(jax.random.key(2), NET, draw, DATA.test, recipe=RECIPE, num_students=2)[i]
        for i, draw in enumerate(draws)
    ]
    np.testing.assert_allclose(each, alone, atol=0.1)


def test_a_student_that_diverged_has_no_accuracy():
    batch = DATA.sample(jax.random.key(0), 1)
    recipe = dc.Recipe((Phase(lambda _: optax.sgd(jnp.inf), 3),), 256, dc.augment.identity)
    assert np.isnan(dc.evaluate(jax.random.key(1), NET, batch, DATA.test, recipe=recipe, num_students=1)).all()


def test_the_host_may_stop_between_students():
    class Enough(Exception):
        pass

    def stop(scores):
        raise Enough(len(scores))

    batch = DATA.sample(jax.random.key(0), 1)
    with pytest.raises(Enough, match="1"):
        dc.evaluate(jax.random.key(1), NET, batch, DATA.test, recipe=RECIPE, num_students=3, on_scores=stop)
