"""Work is divided along one axis of any mesh, and rows that are laid out for it are sent nowhere. conftest.py makes four devices."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import dense_net, small_data
from jax.sharding import AxisType, PartitionSpec

import dcjax as dc
from dcjax import training
from dcjax.sharding import across, by_rows, device_count, over_devices, replicate, whole

AUTO, EXPLICIT = AxisType.Auto, AxisType.Explicit


def mesh_of(shape, names, types=AUTO):
    types = types if isinstance(types, tuple) else (types,) * len(shape)
    return jax.make_mesh(shape, names, types, devices=jax.devices()[: int(np.prod(shape))])


MESHES = {
    "one axis": mesh_of((4,), ("data",)),
    "another axis after": mesh_of((2, 2), ("data", "model")),
    "another axis before": mesh_of((2, 2), ("model", "data")),
    "a single device along it": mesh_of((1, 4), ("data", "model")),
    "an Explicit axis beside": mesh_of((2, 2), ("data", "model"), (AUTO, EXPLICIT)),
}


def rows_seen(shared, x):
    return jnp.full(x.shape[0], x.shape[0]) + shared.astype(int)


@pytest.mark.parametrize("name", MESHES)
def test_work_is_divided_along_the_named_axis(name):
    mesh = MESHES[name]
    count = mesh.shape["data"]
    with across(mesh=mesh, axis="data"):
        assert device_count() == count
        out = jax.jit(lambda x: over_devices(rows_seen)(jnp.zeros(()), x))(jnp.arange(7))
        tree = jax.jit(lambda x: whole(x))(replicate(jnp.arange(3)))
    assert device_count() == 1
    assert out.tolist() == [-(-7 // count)] * 7
    assert tree.tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", MESHES)
def test_a_gradient_on_a_mesh_is_that_of_one_device(name):
    data = small_data()
    net = dense_net(data)
    loss, params, batch = training.cross_entropy(net), net.init(jax.random.key(0)), data.train.batch()
    expected = jax.jit(jax.grad(loss))(params, batch)
    with across(mesh=MESHES[name], axis="data"):
        actual = jax.jit(lambda p, b: training.batch_gradient(loss, p, b))(*replicate((params, batch)))
    for ours, theirs in zip(jax.tree.leaves(actual), jax.tree.leaves(expected)):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_one_function_on_two_axes_is_traced_for_each():
    mesh = mesh_of((4, 1), ("data", "model"))
    run = jax.jit(lambda x: over_devices(rows_seen)(jnp.zeros(()), x))
    found = []
    for axis in ("data", "model", "data"):
        with across(mesh=mesh, axis=axis):
            found.append(run(jnp.arange(8)).tolist()[0])
    assert found == [2, 8, 2]


def test_nothing_is_divided_inside_a_shard_map_over_another_axis():
    with across(mesh=MESHES["another axis after"], axis="data"):
        spec = PartitionSpec("model")
        inside = jax.shard_map(
            lambda x: x + device_count(), in_specs=spec, out_specs=spec, axis_names={"model"}, check_vma=False
        )
        assert jax.jit(inside)(jnp.zeros(4)).tolist() == [1] * 4


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (mesh_of((4,), ("model",)), r"axis 'data', but its axes are \['model'\]: name one of them"),
        (mesh_of((4,), ("data",), EXPLICIT), "axis 'data' is Explicit: make the mesh with axis_types"),
    ],
)
def test_a_mesh_that_cannot_be_divided_is_refused(mesh, message):
    with pytest.raises(dc.InputError, match=message):
        across(mesh=mesh, axis="data")


def gathered(data, chosen):
    return by_rows((data[chosen], jnp.zeros(chosen.shape)))


def test_rows_are_drawn_where_they_are_needed():
    data, chosen = jnp.arange(120.0).reshape(40, 3), jnp.arange(20).reshape(4, 5)
    with across(4):
        image, other = jax.jit(gathered)(replicate(data), chosen)
    assert [shard.data.shape for shard in image.addressable_shards] == [(1, 5, 3)] * 4
    assert [shard.data.shape for shard in other.addressable_shards] == [(1, 5)] * 4
    np.testing.assert_array_equal(image, np.asarray(data)[np.asarray(chosen)])
    assert gathered(data, chosen)[0].sharding.num_devices == 1


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 7])  # one for all, fewer than devices, as many, no multiple of them
def test_no_row_is_sent_between_drawing_and_using_it(rows):
    data, chosen = jnp.arange(1200.0).reshape(400, 3), jnp.arange(5 * rows).reshape(rows, 5)

    def use(data, chosen):
        return over_devices(lambda shared, x: jnp.sin(shared * x).sum((1, 2)))(jnp.ones(()), gathered(data, chosen)[0])

    with across(4):
        compiled = jax.jit(use).lower(replicate(data), chosen).compile()
        out = compiled(replicate(data), chosen)
    np.testing.assert_allclose(out, use(data, chosen), rtol=1e-5)
    sent = re.findall(r"= (\S+?)\{\S* (?:all-|collective|reduce-scatter)", compiled.as_text())
    assert all(shape.count(",") == 0 for shape in sent), sent  # the results, [rows], are; the images are not
    (drawn,) = re.findall(r"= f32\[(\S+?)\]\S* gather", compiled.as_text())
    assert math.prod(map(int, drawn.split(","))) == 3 * 5 * -(-rows // 4)  # values of the device's own rows


def test_keys_are_rows_too():
    with across(4):
        keys = jax.random.split(jax.random.key(0), 6)
        draw = jax.vmap(jax.random.uniform)
        out = jax.jit(lambda keys: over_devices(lambda _, keys: draw(keys))(None, keys))(keys)
    np.testing.assert_array_equal(out, jax.vmap(jax.random.uniform)(jax.random.split(jax.random.key(0), 6)))
