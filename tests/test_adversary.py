"""The adversary's losses are the published ones; it makes views alike, and the data learn to make them differ."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from helpers import OBJECTIVES, TRAJECTORIES, dense_net, golden, small_data, source_of

import dcjax as dc
from dcjax import adversary

DATA = small_data()
NET = dense_net(DATA)
SOURCE = source_of(DATA, NET, 4)


def test_losses_are_the_published_ones():
    arrays = golden("haba")
    a, b, label = arrays["features_a"], arrays["features_b"], jnp.eye(3)[arrays["feature_labels"] % 3]
    alike = adversary.likeness(a, b)
    assert alike == pytest.approx(float(arrays["diversity_loss"]), rel=1e-4)
    assert 1 - alike == pytest.approx(float(arrays["likelihood_loss"]), rel=1e-4)
    assert adversary.supervised_contrast(a, b, jnp.concatenate([label, label])) == pytest.approx(
        float(arrays["supcon_loss"]), rel=1e-4
    )


def test_padding_counts_nothing_in_what_the_adversary_learns():
    images = DATA.sample(jax.random.key(0), 4)  # two views of two sources
    padded = dc.Batch(*(jnp.insert(x, jnp.array([2, 4]), 5.0, axis=1) for x in images))
    padded = padded._replace(label=padded.label.at[:, jnp.array([2, 5])].set(0.0))
    trajectory = dc.with_adversary(dc.fresh(NET), NET, 2, optimizer=optax.sgd(0.1))
    draw = SOURCE.draw(jax.random.key(1))
    start = trajectory.init(jax.random.key(2), draw)
    critics = [trajectory.advance(jax.random.key(3), start, syn, draw).critic for syn in (images, padded)]
    chex.assert_tree_all_finite(critics[1])
    chex.assert_trees_all_close(*critics, rtol=1e-4, atol=1e-6)


def test_two_views_are_the_same_sources_seen_twice():
    image = jnp.arange(2 * 6).reshape(2, 6, 1, 1, 1) * jnp.ones((1, 1, 1, 1, 1))
    syn = dc.Batch(image, jnp.broadcast_to(jnp.eye(2)[:, None], (2, 6, 2)))
    seen = set()
    for seed in range(20):
        first, second = adversary.two_views(jax.random.key(seed), syn, 3)
        views = [{int(x) % 6 // 2 for x in batch.image.ravel()} for batch in (first, second)]
        assert all(len(view) == 1 for view in views)
        assert views[0] != views[1]
        assert [int(x) % 2 for x in first.image.ravel()] == [int(x) % 2 for x in second.image.ravel()] == [0, 1, 0, 1]
        chex.assert_trees_all_equal(first.label, second.label)
        seen |= views[0]
    assert seen == {0, 1, 2}


def test_data_learn_to_be_diverse():
    """Only the likeness is minimised, and the adversary stands still: views come to differ more than those of new hallucinators."""
    nothing = dc.Objective(lambda: (), lambda key, hyper, point, syn, real: (0 * syn.image.sum(), {}))
    images = dc.hallucinated(2, 3)
    objective = dc.with_diversity(nothing, NET, views=3, weight=1.0)
    trajectory = dc.with_adversary(dc.fresh(NET), NET, views=3, optimizer=optax.sgd(0.0))
    condenser = dc.condenser(images, objective, trajectory, optax.sgd(1.0))
    state = condenser.init(jax.random.key(0), SOURCE.draw(jax.random.key(1)))
    run = dc.iteration(condenser, steps=20)
    start = state
    state, first = run(jax.random.key(2), state, SOURCE, 0)
    for t in range(1, 4):
        state, last = run(jax.random.key(2), state, SOURCE, t)
    assert last["likeness"] < first["likeness"] - 0.05

    def spread(syn):
        image = images.decode(syn).image.reshape(3, 3, 2, -1)
        return float(image.std(1).mean())

    assert spread(state.syn) > 1.2 * spread(start.syn)


def test_a_step_of_an_adversary_is_the_one_written_out():
    images, draw = dc.hallucinated(2, 3), SOURCE.draw(jax.random.key(1))
    syn = images.decode(images.init(jax.random.key(0), draw.real))
    label = jax.nn.softmax(
        jax.random.normal(jax.random.key(4), syn.label.shape)
    )  # of its own for every view, as if learned
    syn = syn._replace(label=label)
    trajectory = dc.with_adversary(dc.fresh(NET), NET, views=3, optimizer=optax.sgd(0.1))
    point = trajectory.init(jax.random.key(2), draw)

    def loss(critic, first, second):
        a, b = (NET.features(critic, batch.image) for batch in (first, second))
        classified = [optax.softmax_cross_entropy(NET.apply(critic, x.image), x.label).mean() for x in (first, second)]
        contrast = adversary.supervised_contrast(a, b, jnp.concatenate([first.label, second.label]))
        return sum(classified) / 2 + 0.1 * (1 - adversary.likeness(a, b)) + 0.1 * contrast

    after = jax.jit(trajectory.advance)(jax.random.key(3), point, syn, draw)
    pair = adversary.two_views(jax.random.split(jax.random.key(3))[1], syn, 3)
    gradient = jax.jit(jax.grad(loss))(point.critic, *pair)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, point.critic, gradient)
    chex.assert_trees_all_close(after.critic, expected, rtol=1e-4, atol=1e-6)


def test_an_adversary_learns_to_see_views_as_alike():
    trajectory = dc.with_adversary(dc.fresh(NET), NET, views=3, optimizer=optax.adam(0.01))
    images = dc.hallucinated(2, 3)
    syn = images.decode(images.init(jax.random.key(0), SOURCE.draw(jax.random.key(1)).real))
    draw = SOURCE.draw(jax.random.key(1))
    first = point = trajectory.init(jax.random.key(2), draw)
    advance = jax.jit(trajectory.advance)
    for seed in range(20):
        point = advance(jax.random.key(seed), point, syn, draw)

    def alike(point):
        pair = adversary.two_views(jax.random.key(5), syn, 3)
        return adversary.likeness(*(NET.features(point.critic, batch.image) for batch in pair))

    assert alike(point) > alike(first)


@pytest.mark.parametrize(
    "names", [*((name, "expert") for name in OBJECTIVES), *(("distribution_matching", name) for name in TRAJECTORIES)]
)
def test_both_wrap_everything(names):
    objective, trajectory = names
    objective = dc.with_diversity(OBJECTIVES[objective](NET), NET, views=3)
    trajectory = dc.with_adversary(TRAJECTORIES[trajectory](NET), NET, views=3)
    condenser = dc.condenser(dc.hallucinated(2, 3), objective, trajectory, optax.sgd(0.1))
    key = jax.eval_shape(lambda: jax.random.key(0))
    draw = jax.eval_shape(source_of(DATA, NET, 8).draw, key)
    state = jax.eval_shape(condenser.init, key, draw)
    after, metrics = jax.eval_shape(condenser.step, key, state, draw)
    described = jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), (state, after))
    assert described[0] == described[1]
    assert metrics["likeness"].shape == ()


def test_the_comparison_itself_is_not_changed():
    objective, trajectory = OBJECTIVES["distribution_matching"](NET), TRAJECTORIES["on_synthetic"](NET)
    wrapped = dc.with_adversary(trajectory, NET, views=2)
    draw = SOURCE.draw(jax.random.key(0))
    syn = DATA.train.sample(jax.random.key(1), 4)
    point = wrapped.init(jax.random.key(2), draw)
    inside = jax.random.split(jax.random.key(2))[0]
    chex.assert_trees_all_equal(point.params, trajectory.init(inside, draw).params)
    value, metrics = dc.with_diversity(objective, NET, 2).loss(jax.random.key(3), (), point, syn, draw.real)
    alone, own = objective.loss(jax.random.split(jax.random.key(3))[0], (), point, syn, draw.real)
    assert metrics["loss"] == pytest.approx(float(own["loss"]), rel=1e-6)
    assert value == pytest.approx(float(alone + 0.1 * metrics["likeness"]), rel=1e-6)


def test_what_cannot_be_is_refused():
    syn = DATA.train.sample(jax.random.key(1), 4)
    for wrap in (
        lambda: dc.with_diversity(OBJECTIVES["unrolled"](NET), NET, 1),
        lambda: dc.with_adversary(dc.fresh(NET), NET, 1),
    ):
        with pytest.raises(dc.InputError, match="at least two"):
            wrap()
    objective = dc.with_diversity(dc.distribution_matching(NET), NET, 3)
    point = dc.Point(jax.jit(NET.init)(jax.random.key(0)))
    with pytest.raises(dc.InputError, match="with_adversary"):
        objective.loss(jax.random.key(0), (), point, syn, syn)
    with pytest.raises(dc.InputError, match="4 images of each class are not 3 views"):
        adversary.two_views(jax.random.key(0), syn, 3)
