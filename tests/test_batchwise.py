"""Tests augmentations of mini-batches that draw or compute once for all images what the published programs do."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dcjax as dc
from dcjax import augment
from dcjax.minibatches import picked
from experiments.parts.choices import augmenting, strategic


def keys(count=64):
    return [jax.random.key(seed) for seed in range(count)]


def constant(*values, size=12):
    """Makes a batch of images that have one value everywhere; the last two rows are padding."""
    image = jnp.ones((len(values), size, size, 1)) * jnp.reshape(jnp.array(values), (-1, 1, 1, 1))
    label = jnp.eye(len(values), 3).at[-2:].set(0)
    return dc.Batch(image, label)


def shifted(amount):
    return lambda key: lambda image: image + amount


def noisy(key):
    return lambda image: image + 10 + jax.random.uniform(key)


def test_one_operator_is_drawn_for_all_images_and_every_one_is_drawn():
    mixing = jax.jit(lambda key, batch: augment.one_for_all((shifted(1), shifted(2), shifted(3)))(key)(batch))
    moved = np.array([mixing(key, constant(0, 0, 0, 0, 0)).image[:, 0, 0, 0] for key in keys()])
    assert (moved == moved[:, :1]).all()
    assert {*moved[:, 0]} == {1, 2, 3}


def test_every_image_has_its_own_draw_of_the_operator():
    moved = augment.one_for_all((noisy,))(jax.random.key(0))(constant(0, 0, 0, 0, 0)).image[:, 0, 0, 0]
    assert len({*np.asarray(moved)}) == 5


def test_one_draw_is_a_deterministic_function():
    drawn = augment.dsa_batch()(jax.random.key(0))
    batch = constant(1, 2, 3, 4, 5)
    chex.assert_trees_all_equal(drawn(batch), drawn(batch))


def test_one_operator_alone_is_what_training_does_with_it():
    batch = constant(1, 2, 3, 4, 5)._replace(image=jax.random.normal(jax.random.key(1), (5, 12, 12, 1)))
    chex.assert_trees_all_close(
        augment.each(augment.crop())(jax.random.key(0))(batch).image,
        augment.independent(augment.crop(), jax.random.key(0), batch.image),
    )


def test_digits_are_filled_with_the_mean_of_the_images_that_are_no_padding():
    batch = constant(1.0, 2.0, 6.0, 50.0, 70.0, size=28)
    mixing = jax.jit(lambda key: augment.dc_digits_batch()(key)(batch).image)
    for key in keys(16):
        image = np.asarray(mixing(key))
        for value, seen in zip(
            (1.0, 2.0, 6.0), image
        ):  # its own value, the mean of three, or the zeros of a smaller image
            assert all(min(abs(pixel - np.array([value, 3.0, 0.0]))) < 1e-4 for pixel in seen.ravel())
    assert any((abs(np.asarray(mixing(key))[:3] - 3) < 1e-4).any() for key in keys(16))


def test_a_single_image_is_augmented_as_by_its_own_mean():
    batch = jax.tree.map(lambda x: x[:1], constant(1.0, 2.0, 3.0))
    batch = batch._replace(image=jax.random.normal(jax.random.key(1), (1, 28, 28, 1)))
    by_batch = jax.jit(lambda key: augment.dc_digits_batch()(key)(batch).image)
    by_image = jax.jit(lambda key: augment.independent(augment.dc_digits(), key, batch.image))
    for seed in range(8):
        chex.assert_trees_all_close(by_batch(jax.random.key(seed)), by_image(jax.random.key(seed)), atol=1e-5)


@pytest.mark.parametrize(
    "mixing",
    [
        augment.dsa_batch,
        augment.idc_batch,
        augment.idc_digits_batch,
        augment.idc_digits_cutout_batch,
        augment.dc_digits_batch,
        augment.dc_crop_noise_batch,
    ],
)
def test_labels_and_shapes_stay_and_what_was_augmented_is_mixed(mixing):
    batch = dc.Batch(jax.random.normal(jax.random.key(0), (6, 16, 16, 3)), jnp.eye(6))
    both = augment.chain((mixing(), augment.cutmix(probability=1.0)))
    found = jax.jit(picked(batch, augment.identity, both))(jax.random.key(1), jnp.arange(6))
    assert found.image.shape == batch.image.shape
    chex.assert_trees_all_close(found.label.sum(-1), jnp.ones(6), atol=1e-5)
    alone = jax.jit(picked(batch, augment.identity, mixing()))(jax.random.key(1), jnp.arange(6))
    chex.assert_trees_all_equal(alone.label, batch.label)
    assert (alone.image != batch.image).any((1, 2, 3)).sum() >= 4


def test_none_to_choose_among_is_refused():
    with pytest.raises(dc.InputError, match="at least one"):
        augment.one_for_all(())


def test_a_strategy_goes_with_one_operator_for_all():
    chosen = augmenting(strategic("dsa_batch", ("flip",)), "none")
    assert chosen["augment"] is augment.identity
    batch = constant(1, 2, 3, 4, 5)._replace(image=jax.random.normal(jax.random.key(0), (5, 12, 12, 1)))
    flipped = jax.jit(lambda key: chosen["mix"](key)(batch).image)(jax.random.key(1))
    for image, seen in zip(batch.image, flipped):
        assert (seen == image).all() or (seen == image[:, ::-1]).all()
