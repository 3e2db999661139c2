"""Makes augmentations of augmentations."""

from collections.abc import Callable, Sequence

import jax
from jax import lax

from dcjax.base import Array, Augmentation, InputError, Key


def identity(key: Key) -> Callable[[Array], Array]:
    """Leaves images as they are."""
    del key
    return lambda image: image


def independent(augment: Augmentation, key: Key, image: Array) -> Array:
    """Augments every image of [B, H, W, C] with a draw of its own."""
    return jax.vmap(lambda key, image: augment(key)(image))(jax.random.split(key, image.shape[0]), image)


def one_of(augmentations: Sequence[Augmentation]) -> Augmentation:
    """Applies one of several, chosen uniformly at each draw.

    A single draw runs the chosen one alone; draws that are vmapped, as in `independent`, run all and select.
    """
    if not augmentations:
        raise InputError(
            "one_of chooses among augmentations, but was given none: pass at least one, `identity` perhaps."
        )

    def draw(key):
        choice_key, *keys = jax.random.split(key, 1 + len(augmentations))
        choice = jax.random.randint(choice_key, (), 0, len(augmentations))
        drawn = [augmentation(key) for augmentation, key in zip(augmentations, keys)]
        return lambda image: lax.switch(choice, drawn, image)

    return draw


def chain(augmentations: Sequence[Augmentation]) -> Augmentation:
    """Applies all of several, augmentations or mixings, one after the other in the order given, each with a draw of its own."""

    def draw(key):
        keys = jax.random.split(key, len(augmentations))
        drawn = [augmentation(key) for augmentation, key in zip(augmentations, keys)]

        def apply(seen):
            for augment in drawn:
                seen = augment(seen)
            return seen

        return apply

    return draw
