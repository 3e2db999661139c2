"""Several devices give what one gives, whatever the number of classes or students. conftest.py makes four of the CPU."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import OBJECTIVES, TRAJECTORIES, dense_net, small_data, source_of

import dcjax as dc
from dcjax import backend, chunks
from dcjax.chunks import map_in_chunks
from dcjax.sharding import across, device_count, over_devices, replicate

TOLERANCE = 1e-5  # absolute, on images of order 1: the partial sums of a step are added in another order


def two_steps(data, devices):
    """The state after one program of two steps, as plain arrays."""
    with across(devices):
        net = dense_net(data)
        objective, trajectory = OBJECTIVES["gradient_matching"](net), TRAJECTORIES["on_synthetic"](net)
        condenser = dc.condenser(dc.pixels(2), objective, trajectory, optax.sgd(0.1, momentum=0.5))
        source = replicate(source_of(data, net, 4))
        state = jax.jit(condenser.init)(jax.random.key(0), source.draw(jax.random.key(2)))
        state, metrics = dc.iteration(condenser, steps=2)(jax.random.key(1), state, source, 0)
        assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(state))
        assert {leaf.sharding.num_devices for leaf in jax.tree.leaves(state)} == {devices}
        return jax.tree.map(np.asarray, (state, metrics))


@pytest.mark.parametrize("num_classes", [3, pytest.param(7, marks=pytest.mark.slow)])  # fewer than devices, no multiple
def test_four_devices_equal_one(num_classes):
    data = small_data(num_classes, size=16)
    four, one = (two_steps(data, devices) for devices in (4, 1))
    chex.assert_trees_all_close(four, one, atol=TOLERANCE)


def test_cores_of_one_memory_share_one_copy():
    given = np.zeros((64, 64), np.float32)
    with across(4):
        key, image, own = replicate((jax.random.key(3), jnp.ones((64, 64)), given))
        given += 1
        assert all(leaf.is_fully_replicated and leaf.sharding.num_devices == 4 for leaf in (key, image, own))
        assert len({shard.data.unsafe_buffer_pointer() for shard in image.addressable_shards}) == 1
        np.testing.assert_array_equal(own, 0)
        assert jnp.array_equal(jax.random.key_data(key), jax.random.key_data(jax.random.key(3)))
        with backend.answering_for("gpu"):  # whose devices have memories of their own
            apart = replicate(image)
    assert len({shard.data.unsafe_buffer_pointer() for shard in apart.addressable_shards}) == 4


DATA = small_data()
NET = dense_net(DATA)


def assert_two_devices_equal_one(function, *args):
    def on(devices):
        with across(devices):
            return jax.tree.map(np.asarray, jax.jit(function)(*replicate(args)))

    for two, one in zip(jax.tree.leaves(on(2)), jax.tree.leaves(on(1)), strict=True):
        largest = max(1, np.abs(one).max())  # sums round by a share of their terms, whichever machine adds them
        np.testing.assert_allclose(two, one, rtol=0, atol=TOLERANCE * largest)


_SWEPT = ("trajectory_matching_unlinked", "gradient_matching_squared_error", "distribution_matching_augmented")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in _SWEPT else ()) for name in OBJECTIVES]
)
def test_every_objective_is_divided(name):
    objective = OBJECTIVES[name](NET)

    def loss(syn, params, real):
        return objective.loss(jax.random.key(1), objective.init(), dc.Point(params, later), syn, real)

    later = NET.init(jax.random.key(4))
    args = DATA.sample(jax.random.key(2), 2), NET.init(jax.random.key(0)), DATA.sample(jax.random.key(3), 4)
    assert_two_devices_equal_one(jax.value_and_grad(loss, has_aux=True), *args)


def test_an_adversary_is_divided():
    nothing = dc.Objective(lambda: (), lambda key, hyper, point, syn, real: (0 * syn.image.sum(), {}))
    objective = dc.with_diversity(nothing, NET, views=3)
    trajectory = dc.with_adversary(dc.fresh(NET), NET, views=3)

    def advanced(syn, draw):
        point = trajectory.init(jax.random.key(0), draw)
        after = trajectory.advance(jax.random.key(1), point, syn, draw)
        return after, jax.grad(lambda syn: objective.loss(jax.random.key(2), (), point, syn, draw.real)[0])(syn)

    draw = source_of(DATA, NET, 4).draw(jax.random.key(2))
    assert_two_devices_equal_one(advanced, DATA.sample(jax.random.key(3), 3), draw)


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_every_trajectory_is_divided(name):
    trajectory = TRAJECTORIES[name](NET)

    def second(syn, draw):
        return trajectory.advance(jax.random.key(1), trajectory.init(jax.random.key(0), draw), syn, draw)

    draw = source_of(DATA, NET, 4).draw(jax.random.key(2))
    assert_two_devices_equal_one(second, DATA.sample(jax.random.key(3), 2), draw)


@pytest.mark.parametrize("num_students", [2, 5])
def test_students_on_four_devices_are_the_students_of_one(num_students):
    data = small_data()
    net, recipe = dense_net(data), dc.dc_recipe(epochs=5)

    def scores(devices):
        with across(devices):
            seen = []
            found = dc.evaluate(
                jax.random.key(1),
                net,
                data.sample(jax.random.key(0), 2),
                data.replicated().test,
                recipe=recipe,
                num_students=num_students,
                on_scores=lambda scores: seen.append(len(scores)),
            )
            return found, seen

    (four, seen), (one, _) = scores(4), scores(1)
    np.testing.assert_allclose(four, one, atol=1 / len(data.test.label))  # one test image may fall on the other side
    assert seen == ([2] if num_students == 2 else [4, 5])


def test_each_device_computes_its_own_rows_only():
    with across(4):

        def rows_seen(shared, x):
            return jnp.full(x.shape[0], x.shape[0]) + shared.sum()

        out = jax.jit(lambda shared, x: over_devices(rows_seen)(shared, x))(jnp.zeros(3), jnp.arange(7))
        assert out.tolist() == [2] * 7
        assert device_count() == 4
    assert device_count() == 1


def test_a_single_row_is_divided_inside():
    with across(4):

        def rows_seen(shared, x):
            return jnp.full(x.shape[0], x.shape[0]) + shared

        def of_row(shared, x):
            return over_devices(rows_seen)(shared, x[0])[None]

        out = jax.jit(lambda x: over_devices(of_row)(jnp.array(0), x))(jnp.arange(8).reshape(1, 8))
    assert out.tolist() == [[2] * 8]


def test_a_map_inside_a_map_over_devices_stays_on_its_device():
    with across(2):

        def outer(shared, row):
            return map_in_chunks(lambda shared, x: shared * x, shared, row)

        out = jax.jit(lambda x: map_in_chunks(outer, jnp.array(3), x))(jnp.arange(8).reshape(4, 2))
    np.testing.assert_array_equal(out, 3 * np.arange(8).reshape(4, 2))


@pytest.mark.parametrize("count", [0, 5])
def test_a_number_of_devices_that_is_not_there_is_refused(count):
    with pytest.raises(dc.InputError, match="4"):
        across(count)


def rows_per_device(monkeypatch):
    """Collects how many rows `map_in_chunks` is given on each device."""
    seen = []

    def counted(function, shared, *rows, **options):
        seen.append(jax.tree.leaves(rows)[0].shape[0])
        return chunk_size(function, shared, *rows, **options)

    chunk_size = chunks.chunk_size
    monkeypatch.setattr(chunks, "chunk_size", counted)
    return seen


def test_a_device_takes_its_share_of_the_classes_and_of_the_students(monkeypatch):
    data = small_data(7, size=16)
    net = dense_net(data)
    condenser = dc.condenser(
        dc.pixels(2), dc.gradient_matching(net), TRAJECTORIES["on_synthetic_untrained"](net), optax.sgd(0.1)
    )
    draw = dc.source(data.train, real_per_class=4).draw(jax.random.key(2))
    state = condenser.init(jax.random.key(0), draw)
    seen = rows_per_device(monkeypatch)
    with across(4):
        jax.eval_shape(condenser.step, jax.random.key(1), state, draw)
        assert seen == [2]  # of 7 classes
        seen.clear()
        dc.evaluate(jax.random.key(1), net, draw.real, data.test, recipe=dc.dc_recipe(0), num_students=4)
        assert seen == [1]
