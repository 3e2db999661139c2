"""Convolves in the way that suits the backend, and differentiably in reverse as often as one likes.

XLA's own convolution is slow on a CPU inside a loop and slower still in its derivatives. There, a 3x3 kernel over many channels is
computed by Winograd's minimal filtering F(2x2, 3x3) with 2.25 times fewer multiplications (Lavin & Gray 2016, arXiv:1509.09308), any
other kernel as patches and one matrix product. Where results have fewer channels than images, as in the gradient of a colour image,
patches of many channels would be gathered for a narrow product: there the product comes first, and what it gives at each place of the
kernel is added up. On other backends XLA's convolution is used as it is.

A convolution is bilinear, and its two transposes are again a convolution and a weight gradient. With `*` the
convolution of `x` [B, H, W, C] with `k` [h, w, C, O] and `<., .>` the inner product,

    <x * k, g> = <x, g * flip(k)> = <k, weight_gradient(x, g)>,

so at stride 1 the pair below is closed under differentiation and no derivative of any order scatters into an image. A weight gradient
is also that of `g` with `x`, flipped, so that patches are gathered of whichever has fewer channels. Longer strides are rare in a
network: patches and one matrix product, differentiated as they are.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dcjax.backend import current
from dcjax.base import Array

_WINOGRAD_MIN_CHANNELS = 16  # with fewer, transforming the tiles costs more than it saves

# F(2, 3): two outputs of a three-tap filter from a tile of four inputs, as OUTPUT @ ((KERNEL @ k) * (INPUT @ x)).
_INPUT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OUTPUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
_KERNEL_2D = np.kron(_KERNEL, _KERNEL).astype(np.float32)  # [16, 9]


def convolve(image: Array, kernel: Array, padding: int, stride: int = 1) -> Array:
    """Cross-correlates `image` [B, H, W, C] with `kernel` [h, w, C, O], zero-padded by `padding` on all four sides.

    Returns:
        [B, H', W', O] with H' = (H + 2 padding - h) // stride + 1, and W' likewise.
    """
    if current().convolves_well:
        margins, layout = [(padding, padding)] * 2, ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(image, kernel, (stride, stride), margins, dimension_numbers=layout)
    if stride == 1:
        return _convolve(image, kernel, (padding, padding))
    return _product(_patches(image, kernel.shape[:2], (padding, padding), stride), kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(image, kernel, padding):
    if _is_winograd(kernel.shape[:2], *kernel.shape[2:]):
        return _winograd_convolve(image, kernel, padding)
    if kernel.shape[3] < kernel.shape[2]:
        return _sum_of_shifted(image, kernel, padding)
    return _product(_patches(image, kernel.shape[:2], padding), kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _weight_gradient(image, cotangent, window, padding):
    if _is_winograd(window, image.shape[-1], cotangent.shape[-1]):
        return _winograd_weight_gradient(image, cotangent, padding)
    if cotangent.shape[-1] < image.shape[-1]:
        swapped = _product_of_patches(cotangent, image, window, _flipped(window, padding))
        return jnp.flip(swapped, (0, 1)).swapaxes(2, 3)
    return _product_of_patches(image, cotangent, window, padding)


def _product_of_patches(image, cotangent, window, padding):
    patches = _patches(image, window, padding)
    flat = patches.reshape(-1, patches.shape[-1]).T @ cotangent.reshape(-1, cotangent.shape[-1])
    return flat.reshape(*window, image.shape[-1], cotangent.shape[-1])


def _image_gradient(cotangent, kernel, padding):
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return _convolve(cotangent, flipped, _flipped(kernel.shape, padding))


def _flipped(window, padding):
    """Gives the margins of the convolution by the flipped kernel, which leads back to the size of the image."""
    return tuple(size - 1 - p for size, p in zip(window, padding))


def _convolve_backward(padding, residuals, cotangent):
    image, kernel = residuals
    return (
        _image_gradient(cotangent, kernel, padding),
        _weight_gradient(image, cotangent, kernel.shape[:2], padding),
    )


def _weight_gradient_backward(window, padding, residuals, kernel_cotangent):
    del window
    image, cotangent = residuals
    return (
        _image_gradient(cotangent, kernel_cotangent, padding),
        _convolve(image, kernel_cotangent, padding),
    )


_convolve.defvjp(
    lambda image, kernel, padding: (_convolve(image, kernel, padding), (image, kernel)), _convolve_backward
)
_weight_gradient.defvjp(
    lambda image, cotangent, *static: (_weight_gradient(image, cotangent, *static), (image, cotangent)),
    _weight_gradient_backward,
)


def _patches(image, window, padding, stride=1):
    """Gathers what the window covers at every place: [B, H, W, C] -> [B, H', W', h*w*C]."""
    image = _pad(image, [(p, p) for p in padding])
    height, width = (size - w + 1 for size, w in zip(image.shape[1:3], window))
    rows = [image[:, i : i + height : stride] for i in range(window[0])]
    return jnp.concatenate([row[:, :, j : j + width : stride] for row in rows for j in range(window[1])], axis=-1)


def _product(patches, kernel):
    return _matmul(patches, kernel.reshape(-1, kernel.shape[-1]))


def _sum_of_shifted(image, kernel, padding):
    """Multiplies every pixel by the kernel at all its places, and adds each place's product up where the kernel has it."""
    window, outputs = kernel.shape[:2], kernel.shape[3]
    products = _matmul(image, kernel.transpose(2, 0, 1, 3).reshape(kernel.shape[2], -1))
    products = _pad(products, [(p, p) for p in padding])
    height, width = (size - w + 1 for size, w in zip(products.shape[1:3], window))
    places = [(i, j) for i in range(window[0]) for j in range(window[1])]
    return sum(
        products[:, i : i + height, j : j + width, n * outputs : (n + 1) * outputs] for n, (i, j) in enumerate(places)
    )


def _is_winograd(window, *channels):
    return tuple(window) == (3, 3) and min(channels) >= _WINOGRAD_MIN_CHANNELS


def _winograd_convolve(image, kernel, padding):
    height, width = (size + 2 * p - 2 for size, p in zip(image.shape[1:3], padding))
    kernels = (_KERNEL_2D @ kernel.reshape(9, -1)).reshape(16, *kernel.shape[2:])
    products = [_matmul(tile, k) for tile, k in zip(_input_tiles(image, padding), kernels)]  # 16 of [B, H/2, W/2, O]
    columns = [_combine(_OUTPUT, products[i::4]) for i in range(4)]  # [4][2]
    grid = [_combine(_OUTPUT, [column[row] for column in columns]) for row in range(2)]
    out = jnp.stack([jnp.stack(row, axis=3) for row in grid], axis=2)  # [B, H/2, 2, W/2, 2, O]
    return out.reshape(out.shape[0], 2 * out.shape[1], 2 * out.shape[3], -1)[:, :height, :width]


def _winograd_weight_gradient(image, cotangent, padding):
    channels = image.shape[-1], cotangent.shape[-1]
    even = _pad(cotangent, [(0, size % 2) for size in cotangent.shape[1:3]])
    rows = _combine(_OUTPUT.T, [even[:, i::2] for i in range(2)])
    tiles = [tile for row in rows for tile in _combine(_OUTPUT.T, [row[:, :, j::2] for j in range(2)])]
    products = [
        x.reshape(-1, channels[0]).T @ g.reshape(-1, channels[1]) for x, g in zip(_input_tiles(image, padding), tiles)
    ]
    return (_KERNEL_2D.T @ jnp.stack(products).reshape(16, -1)).reshape(3, 3, *channels)


def _input_tiles(image, padding):
    """Transforms tiles of 4x4: [B, H, W, C] -> 16 arrays [B, H'/2, W'/2, C], one for each element of a tile, row by row."""
    counts = [-(-(size + 2 * p - 2) // 2) for size, p in zip(image.shape[1:3], padding)]
    image = _pad(image, [(p, 2 * n + 2 - size - p) for n, size, p in zip(counts, image.shape[1:3], padding)])
    taps = [slice(i, i + 2 * n - 1, 2) for n in counts for i in range(4)]
    rows = _combine(_INPUT, [image[:, tap] for tap in taps[:4]])
    return [tile for row in rows for tile in _combine(_INPUT, [row[:, :, tap] for tap in taps[4:]])]


def _combine(matrix, terms):
    """Computes `matrix @ terms` for a small constant matrix and a list of arrays, without multiplying by its zeros and ones."""
    return [sum(_scaled(c, term) for c, term in zip(row, terms) if c) for row in matrix]


def _scaled(constant, term):
    return term if constant == 1 else -term


def _matmul(image, matrix):
    """Multiplies [..., C] by [C, O] as one flat matrix product, which XLA:CPU runs faster than one with many axes."""
    return (image.reshape(-1, image.shape[-1]) @ matrix).reshape(*image.shape[:-1], -1)


def _pad(image, margins):
    """Zero-pads height and width; a negative margin crops."""
    return lax.pad(image, jnp.zeros((), image.dtype), [(0, 0, 0), *((a, b, 0) for a, b in margins), (0, 0, 0)])
