"""Does IDC's step in PyTorch, organised as the published code is (Kim et al. 2022): the peer of the kind `idc`.

Each class in turn decodes its images, augments them together with real ones, takes two gradients and makes a step of the images.
Then the network trains on real images in batches of 64. MNIST has neither cutout nor CutMix, as published.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.peer import DEVICE, class_loss, drawn, new_net, random_classes
from benchmarks.workload import FACTOR, NETWORK_BATCH, Workload


class Condensation:
    """The state of a run of IDC, and its step."""

    def __init__(
        self,
        work: Workload,
        real: Sequence[torch.Tensor] = (),
        start: torch.Tensor | None = None,
        normalise: Callable[[torch.Tensor], torch.Tensor] = lambda image: image,
    ):
        """Starts from uniform pixels, or from `start`.

        Args:
            work: the sizes.
            real: the images of every class, NCHW, as networks see them; random when not given.
            start: the images to begin with, pixels [K, M, C, H, W].
            normalise: turns pixels into what networks see.
        """
        self.work, self.normalise = work, normalise
        self.real = real or random_classes(work)
        self.all = torch.cat([*self.real])
        counts = torch.tensor([len(images) for images in self.real])
        self.labels = torch.arange(work.classes).repeat_interleave(counts).to(DEVICE)
        uniform = torch.rand((work.classes, work.ipc, *self.all.shape[1:]), device=DEVICE)
        self.images = (uniform if start is None else start.clone()).requires_grad_()
        self.optimizer = torch.optim.SGD([self.images], lr=1e-5 * work.ipc, momentum=0.5)
        self.distance = absolute_error if work.shape == "mnist" else squared_error
        self.restart()

    def restart(self) -> None:
        """Begins a new network, before which pixels are clamped."""
        with torch.no_grad():
            self.images.clamp_(0, 1)
        self.net = new_net(self.work)
        self.trainer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step(self) -> float:
        """Makes a step of the images of every class, then trains the network; gives the sum of the losses."""
        total = 0.0
        for label in range(self.work.classes):
            real, syn = drawn(self.real[label], self.work.real), self.normalise(decode(self.images[label]))
            both = augment(torch.cat([real, syn]), shared=True, cut=self.work.shape != "mnist")
            loss = class_loss(self.net, label, both[len(real) :], both[: len(real)], self.distance)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        for _ in range(self.work.network_steps):
            chosen = np.random.permutation(len(self.all))[:NETWORK_BATCH]
            self.train(self.all[chosen], self.labels[chosen])
        return total

    def train(self, image: torch.Tensor, label: torch.Tensor) -> None:
        criterion = nn.CrossEntropyLoss()
        with torch.no_grad():
            image = augment(image, shared=False)
        share, other = 1.0, label
        if self.work.shape != "mnist" and np.random.rand() < 0.5:
            image, other, share = cutmix(image, label)
        logits = self.net(image)
        loss = criterion(logits, label) * share + criterion(logits, other) * (1 - share)
        self.trainer.zero_grad()
        loss.backward()
        self.trainer.step()


def decode(image: torch.Tensor) -> torch.Tensor:
    """Cuts images [M, C, H, W] into cells and enlarges them, [FACTOR^2 M, C, H, W]."""
    size = image.shape[-1]
    cell = size // FACTOR
    cells = [image[..., i : i + cell, j : j + cell] for i in range(0, size, cell) for j in range(0, size, cell)]
    return F.interpolate(torch.cat(cells), size=(size, size), mode="bilinear")


def augment(image: torch.Tensor, shared: bool, cut: bool = False) -> torch.Tensor:
    """Changes brightness, saturation, contrast and crop, then cuts out if asked to; draws for the batch or for each image."""
    count = 1 if shared else len(image)

    def draw():
        return torch.rand(count, 1, 1, 1, device=DEVICE)

    image = image + (draw() - 0.5)
    mean = image.mean(1, keepdim=True)
    image = (image - mean) * (2 * draw()) + mean
    mean = image.mean((1, 2, 3), keepdim=True)
    image = (image - mean) * (draw() + 0.5) + mean
    image = _cropped(image, count)
    return image * _hole(image.shape[-1]) if cut else image


def _cropped(image, count):
    size = image.shape[-1]
    margin = int(size * 0.125 + 0.5)
    shift = torch.randint(-margin, margin + 1, (2, count, 1, 1), device=DEVICE)
    batch, row, column = torch.meshgrid(
        torch.arange(len(image), device=DEVICE), *[torch.arange(size, device=DEVICE)] * 2, indexing="ij"
    )
    row, column = (torch.clamp(place + move + 1, 0, size + 1) for place, move in zip((row, column), shift))
    return F.pad(image, (1, 1, 1, 1)).permute(0, 2, 3, 1)[batch, row, column].permute(0, 3, 1, 2)


def _hole(size):
    mask, (top, left) = torch.ones(size, size, device=DEVICE), np.random.randint(0, size + 1, 2) - size // 4
    mask[max(top, 0) : max(top + size // 2, 0), max(left, 0) : max(left + size // 2, 0)] = 0
    return mask


def cutmix(image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Gives the images with a box of others, the others' labels, and the share that is left of the first."""
    size, order = image.shape[-1], torch.randperm(len(image), device=DEVICE)
    half = int(size * np.sqrt(np.random.beta(1, 1))) // 2
    centre = np.random.randint(0, size, 2)
    (top, left), (bottom, right) = np.clip(centre - half, 0, size), np.clip(centre + half, 0, size)
    mixed = image.clone()
    mixed[..., top:bottom, left:right] = image[order][..., top:bottom, left:right]
    return mixed, label[order], 1 - (bottom - top) * (right - left) / size**2


def absolute_error(gradients: list[torch.Tensor], targets: list[torch.Tensor]) -> torch.Tensor:
    """Computes the absolute error of convolution kernels alone."""
    return sum((a - b).abs().sum() for a, b in zip(gradients, targets) if a.dim() == 4)


def squared_error(gradients: list[torch.Tensor], targets: list[torch.Tensor]) -> torch.Tensor:
    """Computes the squared error of convolution kernels alone."""
    return sum((a - b).square().sum() for a, b in zip(gradients, targets) if a.dim() == 4)
