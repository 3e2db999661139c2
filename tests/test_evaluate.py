"""Students are trained by the recipe, scored on every test image, and repeatable."""

import importlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, small_data

import dcjax as dc
from dcjax import training
from dcjax.backend import answering_for
from dcjax.evaluate import accuracy, train_student
from dcjax.normalisation import MeanStd
from dcjax.recipe import Phase
from dcjax.sharding import across

DATA = small_data()
NET = dense_net(DATA)
RECIPE = dc.dc_recipe(epochs=20)


@pytest.mark.parametrize(("epochs", "full", "tenth"), [(300, 152, 149), (1000, 502, 499), (1, 2, 0), (0, 1, 0)])
def test_dc_recipe_lowers_the_rate_where_the_published_loop_does(epochs, full, tenth):
    recipe = dc.dc_recipe(epochs)
    assert [phase.epochs for phase in recipe.phases] == [full, tenth]
    for phase, rate in zip(recipe.phases, (0.01, 0.001)):
        params, gradient = jnp.array(2.0), jnp.array(3.0)
        optimizer = phase.optimizer(1, recipe.rate(()))
        state = optimizer.init(params)
        first, state = optimizer.update(gradient, state, params)
        second, _ = optimizer.update(gradient, state, params)
        decayed = 3 + 5e-4 * 2
        assert (first, second) == (pytest.approx(-rate * decayed), pytest.approx(-rate * (1.9 * decayed)))


def test_a_student_is_trained_phase_by_phase():
    batch = DATA.sample(jax.random.key(0), 4)
    recipe = dc.Recipe(
        (Phase(lambda *_: optax.sgd(0.1), 3), Phase(lambda *_: optax.sgd(0.01), 2)), 256, dc.augment.identity
    )
    key = jax.random.key(1)
    (score,) = dc.evaluate(key, NET, batch, DATA.test, recipe=recipe, num_students=1)
    init_key, *_ = jax.random.split(jax.random.split(jax.random.key(1), 1)[0], 3)
    params, flat = NET.init(init_key), training.flatten(batch)
    for phase in recipe.phases:  # full batches: the order of images does not matter
        loss = training.cross_entropy(NET)
        params = training.fit(jax.random.key(9), loss, params, flat, phase.optimizer(1, None), epochs=phase.epochs)
    predicted = NET.apply(params, DATA.test.batch().image).argmax(-1)
    assert score == pytest.approx((np.asarray(predicted) == DATA.test.label).mean())


@pytest.mark.parametrize("size", [12, 4, 5])  # the test set has 12 images: whole, in equal parts, with a rest
def test_accuracy_counts_every_test_image_once(size):
    truth = NET._replace(apply=lambda params, image: image.reshape(image.shape[0], -1)[:, :3])
    image = np.zeros((12, 2, 2, 1), np.uint8)
    predicted = [0, 1, 2] * 4
    image.reshape(12, 4)[np.arange(12), predicted] = 255
    split = dc.data.Split(jnp.asarray(image), (4, 4, 4), MeanStd((0.5,), (0.5,)))
    expected = np.mean(np.array(predicted) == split.label)
    with answering_for("cpu", forward_batch=size):
        assert accuracy(truth, {}, split) == pytest.approx(expected)


def test_students_learn_the_real_images_and_repeat():
    batch = DATA.sample(jax.random.key(0), 8)
    scores = [dc.evaluate(jax.random.key(1), NET, batch, DATA.test, recipe=RECIPE, num_students=2) for _ in range(2)]
    assert scores[0].mean() > 0.8
    chex.assert_trees_all_equal(*scores)


def test_the_first_students_are_the_same_whatever_their_number(monkeypatch):
    """Students that are not trained but remember their key, and their images."""
    module = importlib.import_module("dcjax.evaluate")  # the package has a function of this name
    monkeypatch.setattr(
        module, "train_student", lambda key, net, batch, recipe, hyper: (jax.random.uniform(key), batch.image)
    )
    monkeypatch.setattr(module, "accuracy", lambda net, seen, test: seen[0] + jnp.abs(seen[1]).mean())

    def on_one_set(students):
        return dc.evaluate(jax.random.key(1), NET, BATCH, DATA.test, num_students=students)

    def on_draws(students):
        keys = jax.random.key(2), jax.random.key(3)
        return dc.evaluate_draws(*keys, NET, DATA.train, 1, DATA.test, num_students=students)

    for evaluate in (on_one_set, on_draws):
        few, many = evaluate(2), evaluate(5)
        np.testing.assert_allclose(few, many[:2], rtol=1e-6)
        assert len({*many.tolist()}) == 5


def test_one_student_for_each_set_is_a_student_on_that_set():
    draws = [DATA.sample(jax.random.key(seed), 1) for seed in (0, 1)]
    sets = jax.tree.map(lambda *x: jnp.stack(x), *draws)
    each = dc.evaluate_each(jax.random.key(2), NET, sets, DATA.test, recipe=RECIPE)
    alone = [
        dc.evaluate(jax.random.key(2), NET, draw, DATA.test, recipe=RECIPE, num_students=2)[i]
        for i, draw in enumerate(draws)
    ]
    np.testing.assert_allclose(each, alone, atol=0.1)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_student_on_random_images_is_tested_on_a_draw_of_its_own(devices, monkeypatch):
    """Students that are not trained but remember what they should be."""
    module = importlib.import_module("dcjax.evaluate")  # the package has a function of this name
    monkeypatch.setattr(module, "train_student", lambda key, net, batch, recipe, hyper: batch.image)
    monkeypatch.setattr(module, "accuracy", lambda net, image, test: jnp.abs(image).mean())
    draws = [DATA.sample(key, 2).image for key in jax.random.split(jax.random.key(5), 3)]
    with across(devices):
        data, how = DATA.replicated(), {"num_students": 3, "finished": [7.0]}
        drawn = dc.evaluate_draws(jax.random.key(2), jax.random.key(5), NET, data.train, 2, data.test, **how)
    np.testing.assert_allclose(drawn, [7, *(np.abs(image).mean() for image in draws[1:])], rtol=1e-5)
    assert drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda batch: batch._replace(label=batch.label[..., :2]),
            "The set has 2 classes and images .* but the test has 3",
        ),
        (lambda batch: batch._replace(image=batch.image[..., :3, :]), r"images \(\d+, 3, 1\), but the test has 3"),
        (lambda batch: batch._replace(image=batch.image.astype("uint8")), "normalised floats, not uint8"),
    ],
)
def test_a_set_of_other_data_than_the_test_is_refused(change, message):
    with pytest.raises(dc.InputError, match=message):
        dc.evaluate(jax.random.key(1), NET, change(BATCH), DATA.test, num_students=1)


def test_no_more_students_are_given_than_are_asked_for():
    done = dc.evaluate(jax.random.key(1), NET, BATCH, DATA.test, num_students=1, finished=[0.1, 0.2, 0.3])
    np.testing.assert_array_equal(done, [0.1])


def test_a_student_that_diverged_has_no_accuracy():
    batch = DATA.sample(jax.random.key(0), 1)
    recipe = dc.Recipe((Phase(lambda *_: optax.sgd(jnp.inf), 3),), 256, dc.augment.identity)
    assert np.isnan(dc.evaluate(jax.random.key(1), NET, batch, DATA.test, recipe=recipe, num_students=1)).all()


def test_the_host_may_stop_between_students():
    class Enough(Exception):
        pass

    def stop(scores):
        raise Enough(len(scores))

    batch = DATA.sample(jax.random.key(0), 1)
    with pytest.raises(Enough, match="1"):
        dc.evaluate(jax.random.key(1), NET, batch, DATA.test, recipe=RECIPE, num_students=3, on_scores=stop)


BATCH = DATA.sample(jax.random.key(0), 4)
ADAPTIVE = (dc.dc_recipe(20), dc.idc_recipe(12).plain())


def test_what_is_evaluated_is_a_trained_student():
    (score,) = dc.evaluate(jax.random.key(1), NET, BATCH, DATA.test, recipe=RECIPE, num_students=1)
    (key,) = jax.random.split(jax.random.key(1), 1)
    params = jax.jit(lambda key, batch: train_student(key, NET, batch, RECIPE))(key, training.flatten(BATCH))
    assert score == pytest.approx(float(accuracy(NET, params, DATA.test)))


@pytest.mark.parametrize("recipe", ADAPTIVE, ids=["dc", "idc"])
def test_a_student_at_a_learned_rate_is_one_at_that_rate(recipe):
    flat = training.flatten(BATCH)
    learned = recipe.at_learned_rate("rate")

    @jax.jit
    def at(rate):
        return train_student(jax.random.key(2), NET, flat, learned, {"rate": rate})

    given = jax.jit(lambda: train_student(jax.random.key(2), NET, flat, recipe))()
    chex.assert_trees_all_close(at(0.01), given, rtol=1e-4, atol=1e-6)
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), at(0.02), given)
    assert max(jax.tree.leaves(moved)) > 1e-3


def test_students_at_several_learned_rates_share_one_program():
    traces = []

    def apply(params, image):
        traces.append(None)
        return NET.apply(params, image)

    net = NET._replace(apply=apply)

    def scores(rate, made):
        recipe = made(20).at_learned_rate("rate")
        hyper = {"rate": np.float32(rate)}
        return dc.evaluate(jax.random.key(1), net, BATCH, DATA.test, recipe=recipe, hyper=hyper, num_students=2)

    first = scores(0.01, dc.dc_recipe)
    count = len(traces)
    second = scores(1e-9, dc.dc_recipe)
    again = scores(0.01, lambda epochs: dc.dc_recipe(epochs=epochs))
    assert len(traces) == count > 0
    np.testing.assert_allclose(
        first, dc.evaluate(jax.random.key(1), NET, BATCH, DATA.test, recipe=RECIPE, num_students=2), atol=0.1
    )
    chex.assert_trees_all_equal(first, again)
    assert first.mean() > second.mean() + 0.2  # at a rate of almost zero nothing is learned


def test_each_of_several_sets_is_trained_on_at_the_learned_rate():
    sets = jax.tree.map(lambda *x: jnp.stack(x), BATCH, DATA.sample(jax.random.key(3), 4))
    recipe, hyper = RECIPE.at_learned_rate("rate"), {"rate": jnp.float32(0.01)}
    each = dc.evaluate_each(jax.random.key(2), NET, sets, DATA.test, recipe=recipe, hyper=hyper)
    np.testing.assert_allclose(each, dc.evaluate_each(jax.random.key(2), NET, sets, DATA.test, recipe=RECIPE), atol=0.1)


def test_a_recipe_that_asks_for_a_rate_that_is_not_given_says_so():
    with pytest.raises(dc.InputError, match="trains at the learned 'rate', but nothing was learned"):
        dc.evaluate(jax.random.key(1), NET, BATCH, DATA.test, recipe=RECIPE.at_learned_rate("rate"), num_students=1)
