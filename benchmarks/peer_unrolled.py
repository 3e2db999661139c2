"""Does the step of Remember the Past in PyTorch, organised as the published code is: the peer of the kind `unrolled`.

A new network is trained on images recalled from a memory, and the weights and velocity of every step are kept, on the host. The reverse pass
is written by hand: it takes each step's weights, last first, computes that step's gradient again with a graph, and differentiates it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from benchmarks.peer import DEVICE, new_net, random_images
from benchmarks.workload import BASES, DOWNSAMPLE, UNROLLED_BATCH, Workload

RATE, MOMENTUM, CLIP = 0.01, 0.9, 2.0


class Kept(NamedTuple):
    """What the reverse pass needs of one step: the weights before it, on the host, and the images that it takes."""

    weights: list[torch.Tensor]
    chosen: torch.Tensor


class Condensation:
    """The state of a run of Remember the Past, and its step."""

    def __init__(self, work: Workload):
        self.work = work
        height, width, channels = work.image_shape
        small = (BASES, channels, height // DOWNSAMPLE, width // DOWNSAMPLE)
        self.bases = (0.1 * torch.randn(small, device=DEVICE)).requires_grad_()
        self.addresses = (0.1 * torch.randn((work.classes, work.recalls, BASES), device=DEVICE)).requires_grad_()
        self.labels = torch.arange(work.classes, device=DEVICE).repeat_interleave(work.recalls)
        self.real = random_images(work.classes * work.per_class, work)
        self.of_class = np.arange(len(self.real)).reshape(work.classes, -1)
        self.optimizer = torch.optim.SGD([self.bases, self.addresses], lr=0.1, momentum=0.5)

    def step(self) -> None:
        self.optimizer.zero_grad()
        for _ in range(self.work.tasks):
            chosen = [self.draw() for _ in range(self.work.network_steps)]
            backpropagate(new_net(self.work), self.recall, self.labels, chosen, *self.draw_real())
        nn.utils.clip_grad_norm_([self.bases, self.addresses], CLIP)
        self.optimizer.step()

    def recall(self, chosen: torch.Tensor) -> torch.Tensor:
        return recalled(self.bases, self.addresses.flatten(0, 1)[chosen])

    def draw(self) -> torch.Tensor:
        """Chooses some recalls of every class."""
        count = min(UNROLLED_BATCH, self.work.recalls)
        of_class = [np.random.permutation(self.work.recalls)[:count] for _ in range(self.work.classes)]
        return torch.as_tensor(
            np.concatenate([k * self.work.recalls + c for k, c in enumerate(of_class)]), device=DEVICE
        )

    def draw_real(self) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = [np.random.permutation(rows)[: self.work.real] for rows in self.of_class]
        labels = torch.arange(self.work.classes, device=DEVICE).repeat_interleave(self.work.real)
        return self.real[np.concatenate(chosen)], labels


def recalled(bases: torch.Tensor, addresses: torch.Tensor) -> torch.Tensor:
    """Adds up bases [b, C, h, w] by addresses [B, b], and enlarges."""
    small = (addresses @ bases.flatten(1)).unflatten(1, bases.shape[1:])
    return F.interpolate(small, scale_factor=DOWNSAMPLE, mode="bilinear", align_corners=False)


def backpropagate(
    net: nn.Module,
    recall,
    labels: torch.Tensor,
    chosen: Sequence[torch.Tensor],
    real: torch.Tensor,
    target: torch.Tensor,
) -> float:
    """Trains the network for one step on every element of `chosen` and adds the gradient through all of them to the memory's.

    Returns:
        The loss of the trained network on real images.
    """
    names = [name for name, _ in net.named_parameters()]
    weights = [p.detach() for p in net.parameters()]
    kept, weights = forward(net, names, weights, recall, labels, chosen)
    weights = [w.requires_grad_() for w in weights]
    loss = F.cross_entropy(_apply(net, names, weights, real), target)
    of_weights = list(torch.autograd.grad(loss, weights))
    of_velocity = [torch.zeros_like(w) for w in of_weights]
    for step in reversed(kept):
        of_velocity = [v - RATE * w for v, w in zip(of_velocity, of_weights)]
        before = [w.to(DEVICE).requires_grad_() for w in step.weights]
        inner = F.cross_entropy(_apply(net, names, before, recall(step.chosen)), labels[step.chosen])
        gradient = torch.autograd.grad(inner, before, create_graph=True)
        product = sum((g * v).sum() for g, v in zip(gradient, of_velocity))
        product.backward()  # adds to the memory's gradient
        of_weights = [w + b.grad for w, b in zip(of_weights, before)]
        of_velocity = [MOMENTUM * v for v in of_velocity]
    return loss.item()


def forward(net, names, weights, recall, labels, chosen):
    """Trains by gradient descent with momentum, keeping the weights before every step."""
    kept, velocity = [], [torch.zeros_like(w) for w in weights]
    for which in chosen:
        kept.append(Kept([w.detach().cpu() for w in weights], which))
        with torch.no_grad():
            image = recall(which)
        weights = [w.detach().requires_grad_() for w in weights]
        loss = F.cross_entropy(_apply(net, names, weights, image), labels[which])
        gradient = torch.autograd.grad(loss, weights)
        velocity = [MOMENTUM * v + g for v, g in zip(velocity, gradient)]
        weights = [w.detach() - RATE * v for w, v in zip(weights, velocity)]
    return kept, weights


def _apply(net, names, weights, image):
    return functional_call(net, dict(zip(names, weights)), (image,))
