"""Chunks change nothing but memory, and their size follows from it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import TRAJECTORIES, small_data, small_net

import dcjax as dc
from dcjax import chunks


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_chunks_do_not_change_a_map(size, monkeypatch):
    monkeypatch.setattr(chunks, "chunk_size", lambda *args: size)
    x, y = jnp.arange(12.0).reshape(6, 2), jnp.arange(6.0)
    out = chunks.map_in_chunks(lambda s, a, b: (s * a * b, b), jnp.array(2.0), x, y)
    chex.assert_trees_all_equal(out, (2 * x * y[:, None], y))


def test_one_at_a_time_on_a_cpu():
    assert chunks.chunk_size(lambda s, x: x, None, jnp.zeros((6, 1000)), memory=10**9) == 1


@pytest.mark.parametrize(
    ("rows", "fitting", "expected"),
    [(100, 1000, 100), (100, 37, 25), (100, 1, 1), (7, 5, 5), (10, 6, 5), (10, 0.1, 1), (1, 5, 1)],
)
def test_as_many_as_half_of_the_memory_holds_in_equal_parts_where_that_is_cheap(rows, fitting, expected, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    one = chunks.working_bytes(lambda s, x: x + 1, None, jnp.zeros(1000))
    memory = int(2 * fitting * one) + 1
    assert chunks.chunk_size(lambda s, x: x + 1, None, jnp.zeros((rows, 1000)), memory=memory) == expected


def test_memory_unknown_means_all_at_once(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert chunks.chunk_size(lambda s, x: x, None, jnp.zeros((6, 4))) == 6


def test_working_bytes_counts_what_is_alive_together():
    x = jnp.zeros(1000)
    assert chunks.working_bytes(lambda x: (x + 1).sum(), x) == 4000 + 4
    assert chunks.working_bytes(lambda x: ((x + 1) + 1) + 1, x) == 8000  # one read, one written
    assert chunks.working_bytes(lambda x: (x + 1) * jnp.sin(x), x) == 12000
    looped = chunks.working_bytes(lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c + 1), None), x, length=50)[0], x)
    assert looped == 4000 + 8000  # the result, and one turn at its fullest


def test_working_bytes_bounds_what_a_compiled_gradient_takes():
    def gradient(w, x):
        return jax.grad(lambda w: jnp.tanh(jnp.tanh(x @ w) @ w).sum())(w)

    w, x = jnp.zeros((64, 64)), jnp.zeros((512, 64))
    compiled = jax.jit(gradient).lower(w, x).compile().memory_analysis().temp_size_in_bytes
    assert compiled <= chunks.working_bytes(gradient, w, x) <= 8 * np.maximum(compiled, x.nbytes)


def test_classes_in_chunks_that_fit_give_the_same_step(monkeypatch):
    """As on a GPU with room for two of four classes."""
    data = small_data(4)
    net = small_net(data, width=4)
    condenser = dc.condenser(
        dc.pixels(2), dc.gradient_matching(net), TRAJECTORIES["on_synthetic_untrained"](net), optax.sgd(0.1)
    )
    state = condenser.init(jax.random.key(0), data.sample(jax.random.key(2), 4))
    real = data.sample(jax.random.key(3), 8)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    sizes = []

    def fitting(*args, memory=None):
        one = chunks.working_bytes(args[0], args[1], *jax.tree.map(lambda x: x[0], args[2:]))
        sizes.append(chunk_size(*args, memory=memory or 4 * one))
        return sizes[-1]

    chunk_size = chunks.chunk_size
    together, _ = jax.jit(condenser.step)(jax.random.key(1), state, real)
    monkeypatch.setattr(chunks, "chunk_size", fitting)
    chunked, _ = jax.jit(lambda *args: condenser.step(*args))(jax.random.key(1), state, real)
    assert sizes == [2]
    chex.assert_trees_all_close(chunked.syn, together.syn, atol=1e-5)
