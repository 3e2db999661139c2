"""Mixing of pairs: what labels say about pixels, the limits, and padding."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dcjax as dc
from dcjax import augment
from dcjax.augment import _mixing
from dcjax.augment._mixing import _span

REAL, PADDING = 6, 2
VALUES = jnp.arange(1.0, REAL + 1)  # image i is VALUES[i] everywhere, so pixels tell whose they are
BATCH = dc.Batch(
    jnp.concatenate([VALUES, jnp.full(PADDING, 99.0)])[:, None, None, None] * jnp.ones((1, 8, 12, 2)),
    jnp.concatenate([jnp.eye(REAL), jnp.zeros((PADDING, REAL))]),
)
MIXINGS = {"mixup": augment.mixup(), "cutmix": augment.cutmix(probability=1.0)}


@functools.cache
def drawn(mixing, count):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: mixing(key)(BATCH)))(keys))


@pytest.fixture
def quick_beta(monkeypatch):
    """Beta(1, 1) is uniform, and the sampler for any other takes a second to compile."""
    monkeypatch.setattr(_mixing, "_beta", lambda key, parameter: jax.random.uniform(key))


def only(batch):
    return jax.tree.map(lambda x: x[0], batch)


@pytest.fixture(params=MIXINGS)
def mixed(request):
    return drawn(MIXINGS[request.param], 600)


def test_labels_say_what_is_in_the_image(mixed):
    image, label = mixed.image[:, :REAL], mixed.label[:, :REAL]
    np.testing.assert_allclose(label.sum(-1), 1, atol=1e-6)
    assert (label >= 0).all()
    np.testing.assert_allclose(image.mean((2, 3, 4)), label @ np.asarray(VALUES), rtol=1e-5)


def test_padding_neither_gives_nor_receives(mixed):
    assert mixed.image[:, :REAL].max() <= REAL + 1e-4
    np.testing.assert_allclose(
        mixed.image[:, REAL:], np.broadcast_to(BATCH.image[REAL:], (600, 2, 8, 12, 2)), rtol=1e-6
    )
    assert not mixed.label[:, REAL:].any()


@pytest.mark.parametrize("name", MIXINGS)
def test_padding_may_stand_anywhere(name):
    """Rows meet the partners that they meet where padding comes last, and padding stays as it is."""
    order = np.array([0, 6, 1, 2, 7, 3, 4, 5])
    scattered = jax.tree.map(lambda x: x[order], BATCH)
    keys = jax.random.split(jax.random.key(0), 600)
    found = jax.jit(jax.vmap(lambda key: MIXINGS[name](key)(scattered)))(keys)
    expected = drawn(MIXINGS[name], 600)
    chex.assert_trees_all_close(found, jax.tree.map(lambda x: x[:, order], expected), rtol=1e-6)


def test_partners_are_a_permutation_and_the_share_is_one_per_batch(mixed):
    label = mixed.label[:, :REAL]
    np.testing.assert_allclose(label.sum(1), 1, atol=1e-5)  # every image is kept by one row and given to one
    own = np.diagonal(label, axis1=1, axis2=2)
    share = own.min(1, keepdims=True)
    assert (np.isclose(own, share, atol=1e-6) | np.isclose(own, 1, atol=1e-6)).all()  # one's own partner keeps all
    given = (label * (1 - np.eye(REAL))).sum(0)
    assert (given[~np.eye(REAL, dtype=bool)] > 0).all()  # every pair meets


def test_mixup_s_share_is_uniform_by_default_and_a_half_in_the_limit():
    shares = drawn(MIXINGS["mixup"], 600).label[:, :REAL].min((1, 2), where=np.eye(REAL, dtype=bool), initial=1)
    assert np.abs(np.quantile(shares, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.07
    label = drawn(augment.mixup(1e5), 1).label[0, :REAL]
    assert np.abs(label[label > 0.01][label[label > 0.01] < 0.99] - 0.5).max() < 0.01


def test_a_share_of_one_leaves_the_batch(monkeypatch):
    monkeypatch.setattr(_mixing, "_beta", lambda key, parameter: jnp.ones(()))
    chex.assert_trees_all_equal(only(drawn(augment.mixup(), 1)), BATCH)


@pytest.mark.parametrize("mixing", [augment.no_mixing, augment.cutmix(probability=0.0)])
def test_no_mixing_leaves_the_batch(quick_beta, mixing):
    chex.assert_trees_all_equal(only(drawn(mixing, 1)), BATCH)


def test_cutmix_pastes_one_box_of_a_single_partner_into_all():
    image, label = drawn(MIXINGS["cutmix"], 600)
    foreign = image[:, :REAL] != np.asarray(VALUES)[:, None, None, None]
    assert (image == np.round(image)).all()  # pixels are pasted, not blended
    box = foreign.any(1)  # [draws, H, W, C]
    assert (foreign == (box[:, None] & foreign.any((2, 3, 4), keepdims=True))).all()
    assert (
        box == box.any((2, 3), keepdims=True) & box.any((1, 3), keepdims=True)
    ).all()  # a rectangle, in all channels
    given = np.where(np.eye(REAL, dtype=bool), 0, label[:, :REAL]).max(-1)
    np.testing.assert_allclose(given, foreign.mean((2, 3, 4)), atol=1e-6)


def test_cutmix_spares_batches_with_its_probability(quick_beta):
    label = drawn(augment.cutmix(probability=0.3), 600).label[:, :REAL]
    always = drawn(MIXINGS["cutmix"], 600).label[:, :REAL]
    changed = [(x != np.eye(REAL)).any((1, 2)).mean() for x in (label, always)]
    assert changed[0] == pytest.approx(0.3 * changed[1], abs=0.06)
    assert changed[1] > 0.8


@pytest.mark.parametrize("side", [0.0, 0.3, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("size", [8, 13])
def test_a_span_is_the_published_one(side, size):
    for middle in range(size):
        half = int(size * side) // 2
        expected = np.zeros(size, bool)
        expected[max(middle - half, 0) : min(middle + half, size)] = True
        np.testing.assert_array_equal(_span((middle + 0.5) / size, side, size), expected)


def test_one_draw_is_a_deterministic_function(quick_beta):
    @functools.partial(jax.jit, static_argnums=0)
    def twice(mixing, key):
        draw = mixing(key)
        return draw(BATCH), draw(BATCH)

    for mixing in MIXINGS.values():
        chex.assert_trees_all_equal(*twice(mixing, jax.random.key(1)))


def test_gradients_flow_to_the_images_by_the_share(quick_beta):
    @jax.jit
    @jax.grad
    def gradient_of(image):
        return augment.mixup()(jax.random.key(1))(BATCH._replace(image=image)).image[:REAL].sum()

    gradient = gradient_of(BATCH.image)
    np.testing.assert_allclose(gradient[:REAL], 1, rtol=1e-5)  # kept by one row and given to one
    assert not gradient[REAL:].any()


@pytest.mark.parametrize("mixing", [augment.mixup, augment.cutmix])
def test_a_parameter_of_zero_is_refused(mixing):
    with pytest.raises(dc.InputError, match="got 0"):
        mixing(0)
