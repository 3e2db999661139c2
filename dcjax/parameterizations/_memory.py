"""Learns bases that all classes share, and addresses that recall images from them (Remember the Past).

Deng & Russakovsky, Remember the Past: Distilling Datasets into Addressable Memories, NeurIPS 2022 (arXiv:2206.02916).
"""

import math

import jax
import jax.numpy as jnp

from dcjax.base import Array, Batch, InputError, Parameterization, Syn
from dcjax.parameterizations._pixels import Start, class_labels, glorot

_NOISE = 0.1  # deviation of addresses around the base that they begin at, where bases begin as images


def addressable_memory(
    num_bases: int, recalls: int, downsample: int = 1, start: Start | None = None
) -> Parameterization:
    """Learns `{"bases": [b, h, w, C], "addresses": [r, K, b]}`: image r of class k is a weighted sum of all bases, then enlarged.

        image[k, r] = upsample(sum over j of  addresses[r, k, j] bases[j])

    The stored values grow with K by the addresses alone; `recall` takes any label, not only those of the classes.

    Args:
        num_bases: b, images that all classes share, at least 1.
        recalls: r, images recalled for every class; `recalls_within` says how many a budget has place for.
        downsample: a base has a side of H / `downsample`, and what is recalled is enlarged bilinearly.
        start: makes the images that bases begin as, with addresses near one base of the class each. When None, bases and
            addresses are drawn as published: uniformly, by Glorot & Bengio's rule.
    """
    if min(num_bases, recalls, downsample) < 1:
        raise InputError(
            f"A memory has at least one base, one recall of each class and a downsampling of at least 1, not {num_bases}, {recalls} "
            f"and {downsample}."
        )

    def init(key, real):
        bases_key, addresses_key = jax.random.split(key)
        num_classes, _, height, width, channels = real.image.shape
        _check_sides((height, width), downsample)
        shape = (num_bases, height // downsample, width // downsample, channels)
        address_shape = (recalls, num_classes, num_bases)
        if start is None:
            return {"bases": glorot(bases_key, shape), "addresses": glorot(addresses_key, address_shape)}
        images = start(bases_key, real, -(-num_bases // num_classes))
        inside_out = images.swapaxes(0, 1).reshape(-1, *images.shape[2:])  # the classes in turn
        bases = jax.image.resize(inside_out[:num_bases], shape, "linear")
        return {"bases": bases, "addresses": _near_one(addresses_key, address_shape)}

    def decode(syn):
        image = recall(syn, jnp.eye(syn["addresses"].shape[1]), downsample)
        return Batch(image, class_labels(*image.shape[:2]))

    return Parameterization(init, decode)


def grown_memory(
    num_bases: int, recalls: int, downsample: int = 1, start: Start | None = None, known: Array | None = None
) -> Parameterization:
    """Learns a memory of further classes that shares the bases of an earlier one: `{"known": [b0, h, w, C], "bases": ..., "addresses": [r, K, b0 + b]}`.

    The earlier bases stay as they are, so that earlier classes are recalled as before; what is stored beside them is as in
    `addressable_memory`, with addresses into all bases. Those into the earlier ones begin at zero.

    Args:
        num_bases: b, further bases.
        recalls: r, images recalled for every further class.
        downsample: as the earlier memory has it.
        start: as in `addressable_memory`.
        known: the bases of the earlier memory; decoding needs none, as they are among what it decodes.
    """
    own = addressable_memory(num_bases, recalls, downsample, start)

    def init(key, real):
        syn = own.init(key, real)
        if known is None or known.shape[1:] != syn["bases"].shape[1:]:
            raise InputError(
                f"A memory grows from bases of {list(syn['bases'].shape[1:])}, not {None if known is None else list(known.shape[1:])}: give those "
                "of a memory of the same images and downsampling."
            )
        addresses = jnp.pad(syn["addresses"], [(0, 0), (0, 0), (len(known), 0)])
        return {"known": jnp.asarray(known), "bases": syn["bases"], "addresses": addresses}

    def decode(syn):
        bases = jnp.concatenate([jax.lax.stop_gradient(syn["known"]), syn["bases"]])
        return own.decode({"bases": bases, "addresses": syn["addresses"]})

    return Parameterization(init, decode)


def recall(syn: Syn, label: Array, downsample: int = 1) -> Array:
    """Recalls the images of any labels: the x' = y^T A [b_1 ... b_K] of the paper.

    Args:
        syn: the memory, `{"bases": ..., "addresses": ...}`.
        label: label vectors, [..., K]; a row of one-hot labels recalls what `decode` gives, mixed labels something in between.
        downsample: as the memory was made with.

    Returns:
        Images [..., r, H, W, C].
    """
    bases, addresses = syn["bases"], syn["addresses"]
    num_classes = addresses.shape[1]
    if label.ndim < 1 or label.shape[-1] != num_classes:
        raise InputError(
            f"This memory recalls by label vectors of {num_classes} classes, but those given are {list(label.shape)}: give [..., {num_classes}]."
        )
    weights = jnp.einsum("...k,rkb->...rb", label, addresses)
    small = (weights.reshape(-1, weights.shape[-1]) @ bases.reshape(bases.shape[0], -1)).reshape(-1, *bases.shape[1:])
    sides = (downsample * side for side in bases.shape[1:3])
    image = jax.image.resize(small, (small.shape[0], *sides, bases.shape[-1]), "linear")
    return image.reshape(*weights.shape[:-1], *image.shape[1:])


def recalls_within(
    ipc: int, num_classes: int, image_shape: tuple[int, ...], *, num_bases: int, downsample: int = 1, known: int = 0
) -> int:
    """Counts the recalls of every class for which a memory takes no more bytes than `ipc` images of every class.

    `known` bases of an earlier memory take nothing, but every recall has an address into each of them, too.

    Raises:
        InputError: the bases leave no place for an address of every class.
    """
    budget = ipc * num_classes * math.prod(image_shape)
    bases = num_bases * math.prod(image_shape) // downsample**2
    recalls = (budget - bases) // (num_classes * (known + num_bases))
    if recalls < 1:
        raise InputError(
            f"{num_bases} bases of side 1/{downsample} take {bases} of the {budget} values of {ipc} image(s) per class, which leaves no "
            "place for addresses: take fewer or smaller bases."
        )
    return recalls


def _near_one(key, shape):
    """Draws addresses [r, K, b] near one base each, of the class's own in turn: base j is of class j mod K.

    Where there are fewer bases than classes, class k of those without a base begins at base k mod b.
    """
    recalls, num_classes, num_bases = shape
    turn, classes = jnp.arange(recalls)[:, None], jnp.arange(num_classes)[None]
    own = jnp.maximum((num_bases - 1 - classes) // num_classes + 1, 1)  # bases of each class
    chosen = (turn % own * num_classes + classes) % num_bases
    return jax.nn.one_hot(chosen, num_bases) + _NOISE * jax.random.normal(key, shape)


def _check_sides(sides, downsample):
    if any(side % downsample for side in sides):
        raise InputError(
            f"Images of {' x '.join(map(str, sides))} cannot be learned at 1/{downsample} of their side: give a downsampling that divides it."
        )
