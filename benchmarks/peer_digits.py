"""Augments digits for the peer: image by image on the host, as the published evaluation does."""

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional


def augment_digits(images: torch.Tensor) -> torch.Tensor:
    """Crops, scales or rotates every image, one image after another on the host."""
    out = images.cpu().clone()
    fill = out.mean().item()
    channel_means = out.mean((0, 2, 3))
    for i, image in enumerate(out):
        out[i] = (_crop, _scale, _rotate)[np.random.randint(3)](image, channel_means, fill)
    return out.to(images.device)


def _crop(image, channel_means, fill, pixels=4):
    del fill
    channels, height, width = image.shape
    canvas = channel_means[:, None, None].expand(channels, height + 2 * pixels, width + 2 * pixels).clone()
    canvas[:, pixels : pixels + height, pixels : pixels + width] = image
    row, column = np.random.randint(0, 2 * pixels, 2)
    return canvas[:, row : row + height, column : column + width]


def _scale(image, channel_means, fill, amount=0.2):
    del channel_means, fill
    _, height, width = image.shape
    sizes = [int(np.random.uniform(1 - amount, 1 + amount) * size) for size in (height, width)]
    resized = functional.interpolate(image[None], sizes)[0]
    side = max(*sizes, height, width)
    canvas = torch.zeros((image.shape[0], side, side))
    top, left = ((side - size) // 2 for size in sizes)
    canvas[:, top : top + sizes[0], left : left + sizes[1]] = resized
    top, left = (side - height) // 2, (side - width) // 2
    return canvas[:, top : top + height, left : left + width]


def _rotate(image, channel_means, fill, degrees=45):
    del channel_means
    angle = np.random.randint(-degrees, degrees)
    return torch.tensor(ndimage.rotate(image.numpy(), angle, axes=(-2, -1), reshape=False, cval=fill))
