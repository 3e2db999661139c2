"""Augments mini-batches as the published programs do, which draw or compute some things once for all images of one.

An augmentation sees one image, a mixing a whole mini-batch. So these are mixings: give one as `mix`, with `identity` as the augmentation.
"""

from collections.abc import Callable, Collection, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from dcjax.augment._combinators import chain, independent, one_of
from dcjax.augment._dc import dc_crop, dc_noise, dc_rotate, dc_scale
from dcjax.augment._dsa import color, crop, cutout, flip, operators_of_dsa, rotate, scale
from dcjax.base import Augmentation, InputError, Mixing


def each(augmentation: Augmentation) -> Mixing:
    """Turns an augmentation into a mixing that augments every image with a draw of its own."""

    def draw(key):
        numbers, kind = jax.random.key_data(key), jax.random.key_impl(key)  # used again for every batch of the draw

        def apply(batch):
            key = jax.random.wrap_key_data(numbers, impl=kind)
            return batch._replace(image=independent(augmentation, key, batch.image))

        return apply

    return draw


def one_for_all(augmentations: Sequence[Augmentation]) -> Mixing:
    """Draws one of several augmentations for a whole mini-batch; every image then has a strength or place of its own.

    Only the chosen one is computed, unless several networks that train side by side under `vmap` choose apart.
    """
    if not augmentations:
        raise InputError("one_for_all chooses among augmentations, but was given none: pass at least one.")

    def draw(key):
        choice_key, key = jax.random.split(key)
        choice = jax.random.randint(choice_key, (), 0, len(augmentations))
        drawn = [each(augmentation)(key) for augmentation in augmentations]
        return lambda batch: lax.switch(choice, drawn, batch)

    return draw


def dsa_batch(without: Collection[Callable] = ()) -> Mixing:
    """Applies one of DSA's operators to all images of a mini-batch, as DSA's program trains networks (arXiv:2102.08259).

    Args:
        without: operators to leave out, as for `dsa`.
    """
    return one_for_all(operators_of_dsa(without))


def idc_batch() -> Mixing:
    """Applies `idc`, with one of `crop`, `scale` and `rotate` for all images, as IDC's program does (arXiv:2205.14959)."""
    return chain((each(flip()), idc_digits_batch()))


def idc_digits_batch() -> Mixing:
    """Applies `idc_batch` without `flip`."""
    return chain((each(color()), one_for_all((crop(), scale(), rotate()))))


def idc_digits_cutout_batch() -> Mixing:
    """Applies `idc_digits_batch` with `cutout` at its end."""
    return chain((idc_digits_batch(), each(cutout())))


def dc_digits_batch() -> Mixing:
    """Applies `dc_digits`, with the mini-batch's mean where that has each image's own, as DC's program does (arXiv:2006.05929)."""
    return _filled(lambda mean: one_of((dc_crop(4, fill=mean), dc_scale(0.2), dc_rotate(45, fill=mean.mean()))))


def dc_crop_noise_batch() -> Mixing:
    """Applies `dc_crop_noise`, with the mini-batch's mean where that has each image's own, as DC's program does."""
    return _filled(lambda mean: one_of((dc_crop(4, fill=mean), dc_noise(0.001))))


def _filled(augmentation):
    """Makes a mixing of an augmentation that takes the mean of the mini-batch."""
    return lambda key: lambda batch: each(augmentation(_mean(batch)))(key)(batch)


def _mean(batch):
    """Computes the mean of every channel, [C], over the images of a batch that are no padding: those with a label."""
    weight = batch.label.any(-1).astype(batch.image.dtype)
    return weight @ batch.image.mean((1, 2)) / jnp.maximum(weight.sum(), 1)
