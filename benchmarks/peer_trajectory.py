"""Does the steps of MTT and of HaBa in PyTorch, organised as the published code is: the peer of the kinds `trajectory`, `hallucinated`.

The network's weights are one flat vector. It is trained from an expert's weights, and the graph of all steps is kept until the loss,
the normalised distance to the expert's later weights, is differentiated through them. Neither side augments images.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from benchmarks.peer import DEVICE, new_net, random_images
from benchmarks.workload import HALLUCINATORS, STUDENT_BATCH, Workload

RATE, TEMPERATURE = 0.01, 0.07


class Matching:
    """The state of a run of MTT, and its step."""

    def __init__(self, work: Workload):
        self.work, self.net = work, new_net(work)
        self.start, self.target = (flat(new_net(work)) for _ in range(2))
        self.images = random_images(work.classes * work.ipc, work).requires_grad_()
        self.labels = torch.arange(work.classes, device=DEVICE).repeat_interleave(work.ipc)
        self.rate = torch.tensor(RATE, device=DEVICE, requires_grad=True)
        self.optimizers = [torch.optim.SGD([self.images], 1000.0, 0.5), torch.optim.SGD([self.rate], 1e-5, 0.5)]

    def step(self) -> None:
        chosen = chunks(len(self.images), self.work.network_steps)
        loss = matched(self.net, self.start, self.target, self.rate, chosen, self.taken) + self.extra()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        loss.item()

    def taken(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[chosen], self.labels[chosen]

    def extra(self) -> torch.Tensor | float:
        """Computes what is minimised beside the distance."""
        return 0.0


class Factorised(Matching):
    """The state of a run of HaBa, and its step: each step sees the bases through one hallucinator, and an adversary is trained."""

    def __init__(self, work: Workload):
        super().__init__(work)
        self.hallucinators = nn.ModuleList(Hallucinator(work.image_shape) for _ in range(HALLUCINATORS)).to(DEVICE)
        self.critic = new_net(work)
        learned = [[self.images], self.hallucinators.parameters()]
        self.optimizers = [*(torch.optim.SGD(each, 100.0, 0.95) for each in learned), self.optimizers[1]]
        self.trainer = torch.optim.SGD(self.critic.parameters(), 0.001, 0.9)

    def step(self) -> None:
        drawn = np.random.permutation(HALLUCINATORS)[:2]
        self.pair = [self.hallucinators[i](self.images) for i in drawn]
        super().step()
        features = [self.critic.blocks(image.detach()).flatten(1) for image in self.pair]
        classified = F.cross_entropy(self.critic.dense(torch.cat(features)), self.labels.repeat(2))
        loss = classified + 0.1 * (1 - likeness(*features)) + 0.1 * contrast(*features, self.labels)
        self.trainer.zero_grad()
        loss.backward()
        self.trainer.step()

    def taken(self, chosen):
        return self.hallucinators[np.random.randint(HALLUCINATORS)](self.images[chosen]), self.labels[chosen]

    def extra(self):
        return 0.1 * likeness(*(self.critic.blocks(image).flatten(1) for image in self.pair))


class Hallucinator(nn.Module):
    """A convolution, a scale and a shift of every value, and a transposed convolution."""

    def __init__(self, image_shape: tuple[int, int, int]):
        super().__init__()
        height, width, channels = image_shape
        self.encoder, self.decoder = nn.Conv2d(channels, channels, 3), nn.ConvTranspose2d(channels, channels, 3)
        self.scale = nn.Parameter(torch.ones(1, channels, height - 2, width - 2))
        self.shift = nn.Parameter(torch.zeros(1, channels, height - 2, width - 2))

    def forward(self, base: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(base) * self.scale + self.shift)


def chunks(count: int, steps: int) -> Iterator[torch.Tensor]:
    """Yields the images of each step: parts of a permutation, which is drawn anew when it is used up."""
    waiting = []
    for _ in range(steps):
        waiting = waiting or list(torch.randperm(count, device=DEVICE).split(STUDENT_BATCH))
        yield waiting.pop()


def matched(net, start, target, rate, chosen, taken: Callable) -> torch.Tensor:
    """Trains the network from `start` on what `taken` gives of every element of `chosen`, and measures how far it stays from `target`."""
    weights = start.clone().requires_grad_()
    for which in chosen:
        image, label = taken(which)
        loss = F.cross_entropy(functional_call(net, _named(net, weights), (image,)), label)
        (gradient,) = torch.autograd.grad(loss, weights, create_graph=True)
        weights = weights - rate * gradient
    return (weights - target).square().sum() / (start - target).square().sum()


def flat(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def _named(net, weights):
    named = dict(net.named_parameters())
    parts = weights.split([p.numel() for p in named.values()])
    return {name: part.view(p.shape) for (name, p), part in zip(named.items(), parts)}


def likeness(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return ((F.cosine_similarity(a, b) + 1) / 2).mean()


def contrast(a: torch.Tensor, b: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Computes the supervised contrastive loss of two views."""
    rows, labels = F.normalize(torch.cat([a, b])), labels.repeat(2)
    itself = torch.eye(len(rows), dtype=torch.bool, device=DEVICE)
    alike = (labels[:, None] == labels) & ~itself
    cosines = rows @ rows.T / TEMPERATURE
    log_share = cosines - cosines.masked_fill(itself, -torch.inf).logsumexp(1, keepdim=True)
    return -((alike * log_share).sum(1) / alike.sum(1)).mean()
