"""Chunks change nothing but memory, and their size follows from it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import TRAJECTORIES, dense_net, small_data

import dcjax as dc
from dcjax import backend, chunks


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_chunks_do_not_change_a_map(size, monkeypatch):
    monkeypatch.setattr(chunks, "chunk_size", lambda *args: size)
    x, y = jnp.arange(12.0).reshape(6, 2), jnp.arange(6.0)
    out = chunks.map_in_chunks(lambda s, a, b: (s * a * b, b), jnp.array(2.0), x, y)
    chex.assert_trees_all_equal(out, (2 * x * y[:, None], y))


def test_one_at_a_time_on_a_cpu():
    with backend.answering_for("cpu", memory=10**9):
        assert chunks.chunk_size(lambda s, x: x, None, jnp.zeros((6, 1000))) == 1


@pytest.mark.parametrize(
    ("rows", "fitting", "expected"),
    [(100, 1000, 100), (100, 37, 25), (100, 1, 1), (7, 5, 5), (10, 6, 5), (10, 0.1, 1), (1, 5, 1)],
)
def test_as_many_as_half_of_the_memory_holds_in_equal_parts_where_that_is_cheap(rows, fitting, expected):
    one = chunks.working_bytes(lambda s, x: x + 1, None, jnp.zeros(1000))
    with backend.answering_for("gpu", memory=int(2 * fitting * one) + 1):
        assert chunks.chunk_size(lambda s, x: x + 1, None, jnp.zeros((rows, 1000))) == expected


def test_memory_unknown_means_all_at_once():
    with backend.answering_for("gpu"):
        assert chunks.chunk_size(lambda s, x: x, None, jnp.zeros((6, 4))) == 6


def test_programs_for_two_backends_are_never_mixed_up():
    """One compiled function, and a loop inside it, are traced for each backend, and once for each."""
    traced = []

    def square(carry, x):
        traced.append(backend.current())
        return carry, jnp.square(x)

    @jax.jit
    def squares(x):
        return jax.lax.scan(square, 0, x)[1]

    here = backend.current()
    answers = [here, here._replace(platform="tpu", memory=1), here._replace(platform="tpu", memory=2), here]
    for answer in answers:
        with backend.answering_for(**answer._asdict()):
            assert squares(jnp.arange(3)).tolist() == [0, 1, 4]
    squares(jnp.arange(3))
    assert traced == [*answers[:3], here]  # at last as untold, which is another key
    assert backend.current() == here


def test_every_accelerator_is_answered_for_alike_and_processes_share_no_memory():
    with backend.answering_for("tpu", memory=7):
        tpu = backend.current()
    with backend.answering_for("gpu"):
        assert backend.current() == tpu._replace(platform="gpu", memory=None)
    one, two = (backend._of_machine("cpu", processes, None) for processes in (1, 2))
    assert backend.current() == one
    assert two == one._replace(shares_memory=False) != one


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
    net = dense_net(data)
    condenser = dc.condenser(
        dc.pixels(2), dc.gradient_matching(net), TRAJECTORIES["on_synthetic_untrained"](net), optax.sgd(0.1)
    )
    draw = dc.source(data.train, real_per_class=8).draw(jax.random.key(3))
    state = condenser.init(jax.random.key(0), draw)
    needed = []

    def watched(*args):
        needed.append((working_bytes(*args), len(needed)))
        return needed[-1][0]

    working_bytes = chunks.working_bytes
    monkeypatch.setattr(chunks, "working_bytes", watched)
    step = jax.jit(condenser.step)
    with backend.answering_for("gpu", memory=2**40):
        together, _ = step(jax.random.key(1), state, draw)
    ((one, _),) = needed
    with backend.answering_for("gpu", memory=4 * one):
        chunked, _ = step(jax.random.key(1), state, draw)
    assert len(needed) == 2
    chex.assert_trees_all_close(chunked.syn, together.syn, atol=1e-5)
