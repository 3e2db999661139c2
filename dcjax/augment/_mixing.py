"""Mixes pairs of images: `key -> (batch -> batch)`, for a flat batch of images [B, H, W, C] with labels [B, K].

Every image meets a partner, and their labels are mixed as the images are. Partners are a random permutation of the real
rows. Rows whose label is all zeros are padding; wherever they stand, they keep their place and mix with themselves alone.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dcjax.base import Batch, InputError, Key, Mixing


def no_mixing(key: Key) -> Callable[[Batch], Batch]:
    """Leaves batches as they are."""
    del key
    return lambda batch: batch


def mixup(alpha: float = 1.0) -> Mixing:
    """Blends images and labels, x <- s x + (1 - s) x', with one s ~ Beta(alpha, alpha) per batch (arXiv:1710.09412)."""
    _check_positive("mixup", alpha)

    def draw(key):
        share_key, partner_key = jax.random.split(key)
        share = _beta(share_key, alpha)
        return lambda batch: _blend(share, batch, _partners(partner_key, batch))

    return draw


def cutmix(beta: float = 1.0, probability: float = 0.5) -> Mixing:
    """Pastes a box of the partner into every image: one box per batch (Yun et al., ICCV 2019, arXiv:1905.04899).

    The box has the image's proportions and the share a ~ Beta(beta, beta) of its area, its centre is uniform over the
    pixels, and what lies outside is cut off. Labels are mixed by the share of pixels that the box then has. With
    probability 1 - `probability` a batch stays as it is.
    """
    _check_positive("cutmix", beta)

    def draw(key):
        choice_key, area_key, centre_key, partner_key = jax.random.split(key, 4)
        is_mixed = jax.random.uniform(choice_key) < probability
        side = jnp.sqrt(_beta(area_key, beta))
        centre = jax.random.uniform(centre_key, (2,))

        def apply(batch):
            partner = _partners(partner_key, batch)
            rows, columns = (_span(c, side, size) for c, size in zip(centre, batch.image.shape[1:3]))
            box = is_mixed & rows[:, None] & columns[None]
            image = jnp.where(jnp.expand_dims(box, (0, 3)), partner.image, batch.image)
            return Batch(image, _blend(1 - box.mean(), batch.label, partner.label))

        return apply

    return draw


def _beta(key, parameter):
    """Draws from Beta(parameter, parameter)."""
    return jax.random.beta(key, parameter, parameter)


def _span(centre, side, size):
    """Makes a mask [size] within half of `side` (a share of the axis) of `centre` (in [0, 1)), both in whole pixels."""
    half = jnp.floor(jnp.floor(size * side) / 2)
    place = jnp.arange(size) - jnp.floor(size * centre)
    return (place >= -half) & (place < half)


def _partners(key, batch):
    """Puts a batch's real rows in random order. The key is cloned because one draw serves any number of batches."""
    is_real = batch.label.any(-1)
    drawn = jax.random.uniform(jax.random.clone(key), is_real.shape)
    place = jnp.argsort(jnp.argsort(~is_real))  # of every row among the real ones, behind which comes padding
    shuffled = jnp.argsort(jnp.where(is_real, drawn[place], 1))  # stable, as the others: padding keeps its order
    return jax.tree.map(lambda x: x[shuffled[place]], batch)


def _blend(share, first, second):
    return jax.tree.map(lambda x, y: share * x + (1 - share) * y, first, second)


def _check_positive(name, parameter):
    if parameter <= 0:
        raise InputError(f"{name} draws from Beta(p, p) with p > 0, got {parameter}: pass `no_mixing` for none.")
