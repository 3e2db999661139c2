"""What a step sees from outside comes from a source, and is never a constant of the program."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import dense_net, small_data

import dcjax as dc

DATA = small_data()
NET = dense_net(DATA)
REAL = dc.source(DATA.train, real_per_class=4)
init = jax.jit(jax.vmap(NET.init))


def pool_of(count):
    return init(jax.random.split(jax.random.key(0), count))


def test_a_draw_holds_real_images_of_every_class_and_no_weights():
    draw = REAL.draw(jax.random.key(1))
    chex.assert_trees_all_equal(draw.real, DATA.sample(jax.random.key(1), 4))
    assert (draw.start, draw.target) == ((), ())


@pytest.mark.parametrize("kept_as", [jnp.asarray, np.asarray])
def test_a_pool_brings_one_of_its_networks_beside_the_real_images(kept_as):
    pool = jax.tree.map(kept_as, pool_of(3))
    source = dc.with_pool(REAL, pool)
    draw = jax.jit(lambda key: source.draw(key))
    chosen = []
    for seed in range(20):
        real, start, target = draw(jax.random.key(seed))
        same = [[(x[i] == s).all() for x, s in zip(*map(jax.tree.leaves, (pool, start)))] for i in range(3)]
        chosen.append([all(leaves) for leaves in same].index(True))  # all of its leaves are of one network
        assert target == ()
        chex.assert_trees_all_close(real, REAL.draw(jax.random.key(seed)).real, atol=1e-6)  # as without a pool
    assert set(chosen) == {0, 1, 2}


def lowered(pool):
    """The program of two steps that begin new networks from a pool, as text."""
    condenser = dc.condenser(dc.pixels(1), dc.distribution_matching(NET), dc.fresh(NET, begin=dc.drawn), optax.sgd(0.1))
    source = dc.with_pool(REAL, pool)
    state = jax.eval_shape(condenser.init, jax.random.key(0), source.draw(jax.random.key(0)))
    return dc.iteration(condenser, steps=2).lower(jax.random.key(1), state, source, 0).as_text()


def test_a_larger_pool_makes_no_larger_program():
    few, many = (len(lowered(pool_of(count))) for count in (2, 20))
    assert many == pytest.approx(few, abs=200)  # the digits of its shapes


def test_networks_that_begin_as_drawn_need_a_source_that_draws_them():
    with pytest.raises(dc.InputError, match=r"gives none: add some, for instance by `with_pool\(source, pool\)`\.$"):
        dc.drawn(jax.random.key(0), REAL.draw(jax.random.key(1)))
