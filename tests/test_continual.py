"""Networks that learn task after task: what they are trained on, held to and forget."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, small_data, small_net

import dcjax as dc
from dcjax import continual
from dcjax.training import cross_entropy


@pytest.fixture(name="data", scope="module")
def _data():
    return small_data(num_classes=4)


def logits_of(params, image):
    """A network whose logits are its weights times the mean of the image."""
    return image.mean((1, 2, 3))[:, None] * params[None]


LINEAR = dc.Network(lambda key: jnp.zeros(4), logits_of, logits_of)


def batch_of(labels, num_classes=4):
    image = jnp.arange(1.0, len(labels) + 1)[:, None, None, None] * jnp.ones((1, 2, 2, 1))
    return dc.Batch(image, jax.nn.one_hot(jnp.array(labels), num_classes))


def test_forgetting_is_the_best_before_minus_the_last():
    accuracy = np.array([[0.9, np.nan, np.nan], [0.95, 0.8, np.nan], [0.5, 0.9, 1.0]])
    assert continual.forgetting(accuracy) == pytest.approx(((0.95 - 0.5) + (0.8 - 0.9)) / 2)
    assert continual.forgetting(np.array([[0.7]])) == 0


def test_the_order_of_the_classes_is_the_published_one():
    np.random.seed(3)
    assert continual.class_order(3, 10) == tuple(np.random.permutation(10))
    assert continual.class_order(3, 10) != continual.class_order(4, 10)


def test_a_network_of_the_first_classes_leaves_out_the_outputs_of_the_others(data):
    net = dense_net(data)
    first = continual.of_first(net, 2)
    params = net.init(jax.random.key(0))
    image = data.train.batch().image[:5]
    np.testing.assert_array_equal(first.apply(params, image), net.apply(params, image)[:, :2])
    made_anew = dc.network(dc.networks.MLP(data.num_classes), data.image_shape)
    assert first == continual.of_first(made_anew, 2)
    assert first != continual.of_first(net, 3)


def test_memories_are_joined_with_the_labels_of_all_classes():
    first = dc.Batch(jnp.zeros((2, 3, 4, 4, 1)), jnp.broadcast_to(jnp.eye(2)[:, None], (2, 3, 2)))
    second = dc.Batch(jnp.ones((1, 5, 4, 4, 1)), jnp.ones((1, 5, 1)))
    both = continual.joined([first, second], 4)
    np.testing.assert_array_equal(both.label.argmax(-1), [0] * 3 + [1] * 3 + [2] * 5)
    np.testing.assert_array_equal(both.image[:, 0, 0, 0], [0] * 6 + [1] * 5)
    assert both.label.shape == (11, 4)


def test_the_loss_of_distillation_is_the_one_written_out():
    batch = batch_of([0, 3])
    student, teacher = jnp.array([0.3, -0.2, 0.5, 0.1]), jnp.array([1.0, 0.2, -0.4, 9.0])
    expected = 0.0
    for mean, label in ((1.0, 0), (2.0, 3)):
        log_p = jax.nn.log_softmax(mean * student)
        p, q = (jax.nn.softmax(mean * x[:2] / 3) for x in (teacher, student))
        expected += -log_p[label] + 9 * (p * (jnp.log(p) - jnp.log(q))).sum()
    loss = continual.distillation(LINEAR, known=2, temperature=3.0)
    found = loss({"student": student, "teacher": teacher}, batch)
    assert float(found) == pytest.approx(float(expected) / 2, rel=1e-5)


def test_padding_counts_nothing_and_a_student_that_is_its_teacher_has_the_cross_entropy_alone():
    batch, weights = batch_of([1, 2]), jnp.array([0.3, -0.2, 0.5, 0.1])
    loss = continual.distillation(LINEAR, known=3, temperature=2.0)
    alone = cross_entropy(LINEAR)(weights, batch)
    assert float(loss({"student": weights, "teacher": weights}, batch)) == pytest.approx(float(alone), rel=1e-6)
    both = {"student": weights, "teacher": -weights}
    assert float(loss(both, dc.training.pad_to(batch, 5))) == pytest.approx(float(loss(both, batch)), rel=1e-6)


def test_the_teacher_has_no_gradient():
    loss = continual.distillation(LINEAR, known=3, temperature=2.0)
    weights = jnp.array([0.3, -0.2, 0.5, 0.1])
    gradient = jax.grad(loss)({"student": weights, "teacher": -weights}, batch_of([1, 2]))
    chex.assert_trees_all_equal(gradient["teacher"], jnp.zeros(4))
    assert np.abs(gradient["student"]).min() > 0


def test_going_on_is_a_step_of_the_recipe_from_the_weights_given(data):
    net, batch = dense_net(data), data.train.batch()
    params = net.init(jax.random.key(0))
    recipe = dc.constant_recipe(1, batch_size=len(batch.image), learning_rate=0.1, momentum=0.0)
    found = jax.jit(lambda params: continual.go_on(jax.random.key(1), net, params, batch, recipe))(params)
    gradient = jax.grad(cross_entropy(net))(params, batch)
    expected = optax.apply_updates(params, jax.tree.map(lambda g: -0.1 * g, gradient))
    chex.assert_trees_all_close(found, expected, atol=1e-5)


def test_a_replay_is_not_held_to_a_teacher(data):
    net = small_net(data, depth=1)
    params, batch = net.init(jax.random.key(0)), data.train.batch()
    with pytest.raises(dc.InputError, match="A replay takes its own steps"):
        continual.go_on_distilled(jax.random.key(1), net, params, batch, dc.replay_recipe(), known=2)


def test_going_on_trains_the_weights_of_a_settled_network_and_settles_them_again(data):
    net, recipe = small_net(data, norm="batch", depth=1), dc.constant_recipe(2, batch_size=16)
    batch = data.train.batch()
    start = jax.jit(lambda: dc.train_student(jax.random.key(0), net, batch, recipe))()
    for train, how in ((continual.go_on, {}), (continual.go_on_distilled, {"known": 2})):
        go = functools.partial(train, net=net, batch=batch, recipe=recipe, **how)
        params = jax.jit(lambda params, go=go: go(jax.random.key(1), params=params))(start)
        assert jax.tree.structure(params) == jax.tree.structure(start)
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), params, start)
        assert min(jax.tree.leaves(moved.statistics)) > 0
        first = continual.of_first(net, 2)
        assert first.settled.apply(params, batch.image[:3]).shape == (3, 2)


def test_distillation_keeps_answers_that_going_on_alone_would_lose(data):
    """Trained on one class, then on another: what it said of the two first classes stays nearer when it is held to it."""
    net, recipe = dense_net(data), dc.constant_recipe(20, batch_size=64, learning_rate=0.05)
    known = continual.of_first(net, 2)
    start = jax.jit(lambda: dc.train_student(jax.random.key(0), known, data.only([0, 1]).train.batch(), recipe))()
    batch = data.only([2, 1]).train.batch()
    batch = batch._replace(label=jnp.pad(batch.label, [(0, 0), (1, 1)]))

    def moved(train, **how):
        params = jax.jit(lambda params: train(jax.random.key(1), net, params, batch, recipe, **how))(start)
        answers = (jax.nn.softmax(known.apply(weights, batch.image)) for weights in (start, params))
        return float(jnp.abs(jnp.subtract(*answers)).mean())

    assert moved(continual.go_on_distilled, known=2) < 0.5 * moved(continual.go_on)
