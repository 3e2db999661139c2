"""Learns a few bases and a few small networks, hallucinators, that each restyle every base (HaBa).

Liu, Wang, Yang, Ye & Wang, Dataset Distillation via Factorization, NeurIPS 2022 (arXiv:2210.16774).
"""

import math

import jax
import jax.numpy as jnp

from dcjax.base import Array, Batch, InputError, Key, Parameterization, Syn
from dcjax.networks import torch_uniform
from dcjax.parameterizations._pixels import Start, class_labels, from_real

ENCODER, DECODER = "encoder", "decoder"


def hallucinated(
    ipc: int,
    num_hallucinators: int,
    channels: int | None = None,
    kernel_size: int = 3,
    start: Start = from_real,
) -> Parameterization:
    """Learns bases [K, ipc, H, W, c] and networks that restyle them: an image for every pair, `num_hallucinators` x `ipc` of a class.

        image[h, k, m] = decode_h(scale_h * encode_h(base[k, m]) + shift_h)

    A hallucinator is linear: a valid convolution, a scale and a shift of every value, and a transposed valid convolution back to the
    size of the image. All classes share it, so its bytes do not grow with them: `bases_within` says how many bases a budget leaves
    place for. Images come with the hallucinators outermost.

    Args:
        ipc: bases of every class, at least 1.
        num_hallucinators: h, at least 1.
        channels: c of a base: as many as the images have when None, or 1, which leaves colour to the hallucinators.
        kernel_size: side of both convolutions.
        start: makes the images that bases begin as, `from_real` as published; their mean over channels where a base has one.
    """
    if min(ipc, num_hallucinators, kernel_size) < 1:
        raise InputError(
            f"There is at least one base, one hallucinator and one pixel in a kernel, not {ipc}, {num_hallucinators} and {kernel_size}."
        )
    if channels not in (None, 1):
        raise InputError(f"A base has one channel, or when `channels` is None as many as an image, not {channels}.")

    def init(key, real):
        base_key, network_key = jax.random.split(key)
        keys = jax.random.split(network_key, num_hallucinators)
        images = start(base_key, real, ipc)
        check_size(images.shape[2:4], kernel_size)
        base = images if channels is None else images.mean(-1, keepdims=True)
        sizes = (images.shape[2:], base.shape[-1], kernel_size)
        return {"image": base, **jax.vmap(lambda key: _hallucinator(key, *sizes))(keys)}

    def decode(syn):
        base = syn["image"]
        restyled = jax.vmap(restyle, in_axes=(0, None))(_networks(syn), base)  # [h, K, ipc, H, W, C]
        image = restyled.swapaxes(0, 1).reshape(base.shape[0], -1, *restyled.shape[3:])
        return Batch(image, class_labels(*image.shape[:2]))

    return Parameterization(init, decode)


def restyle(hallucinator: Syn, base: Array) -> Array:
    """Restyles bases [..., H, W, c] by one hallucinator."""
    flat = base.reshape(-1, *base.shape[-3:])
    image = jax.vmap(_restyled, in_axes=(None, 0))(hallucinator, flat)
    return image.reshape(*base.shape[:-1], image.shape[-1])


def _restyled(hallucinator, base):
    encoder, decoder = (hallucinator[f"{name}_kernel"] for name in (ENCODER, DECODER))
    hidden = _convolved(base, encoder) + hallucinator[f"{ENCODER}_bias"].reshape(1, 1, -1)
    hidden = hidden * hallucinator["scale"] + hallucinator["shift"]
    margin = decoder.shape[0] - 1  # a transposed convolution is a valid one of an image with margins
    wide = jnp.pad(hidden, [(margin, margin), (margin, margin), (0, 0)])
    return _convolved(wide, decoder) + hallucinator[f"{DECODER}_bias"].reshape(1, 1, -1)


def hallucinator_size(image_shape: tuple[int, ...], channels: int | None = None, kernel_size: int = 3) -> int:
    """Counts the values of one hallucinator."""
    sizes = (image_shape, channels or image_shape[-1], kernel_size)
    shapes = jax.eval_shape(lambda: _hallucinator(jax.random.key(0), *sizes))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def bases_within(
    ipc: int,
    num_classes: int,
    image_shape: tuple[int, ...],
    *,
    num_hallucinators: int,
    channels: int | None = None,
    kernel_size: int = 3,
) -> int:
    """Counts the bases of every class that take, with the hallucinators, no more bytes than `ipc` images of every class.

    Raises:
        InputError: the hallucinators leave no place for a base of every class.
    """
    check_size(image_shape[:2], kernel_size)
    budget = ipc * num_classes * math.prod(image_shape)
    networks = num_hallucinators * hallucinator_size(image_shape, channels, kernel_size)
    base = math.prod(image_shape[:2]) * (channels or image_shape[-1])
    fit = (budget - networks) // (num_classes * base)
    if fit < 1:
        raise InputError(
            f"{num_hallucinators} hallucinators take {networks} of the {budget} values of {ipc} image(s) per class, which leaves no place "
            f"for a base of {base} values of every class: take fewer hallucinators{'' if channels == 1 else ' or bases of one channel'}."
        )
    return fit


def check_size(sides: tuple[int, int], kernel_size: int) -> None:
    if kernel_size > min(sides):
        raise InputError(
            f"A kernel of {kernel_size} is larger than images of {sides[0]} x {sides[1]}: take a smaller one."
        )


def _hallucinator(key: Key, image_shape, channels, kernel_size):
    """Begins one, as published: convolutions as PyTorch does, the scale at 1 and the shift at 0."""
    height, width, colours = image_shape
    encoder_key, decoder_key = jax.random.split(key)
    hidden = (height - kernel_size + 1, width - kernel_size + 1, colours)
    return {
        **_convolution(ENCODER, encoder_key, kernel_size, channels, colours),
        "scale": jnp.ones(hidden),
        "shift": jnp.zeros(hidden),
        **_convolution(DECODER, decoder_key, kernel_size, colours, colours),
    }


def _convolution(name, key, size, inputs, outputs):
    kernel_key, bias_key = jax.random.split(key)
    draw = torch_uniform(size**2 * inputs)
    return {
        f"{name}_kernel": draw(kernel_key, (size, size, inputs, outputs)),
        f"{name}_bias": draw(bias_key, (outputs,)),
    }


def _networks(syn):
    return {name: leaf for name, leaf in syn.items() if name != "image"}


def _convolved(x, kernel):
    """Convolves an image [H, W, c] without margins: with so few channels, a sum of shifted images is quickest."""
    size = kernel.shape[0]
    height, width = (side - size + 1 for side in x.shape[:2])
    return sum(x[i : i + height, j : j + width] @ kernel[i, j] for i in range(size) for j in range(size))
