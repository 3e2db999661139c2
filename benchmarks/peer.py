"""Does the same work in PyTorch, organised as the published code of DC is (Zhao et al. 2021): the peer that is timed.

Classes come one after another, with two `autograd.grad` calls for each and one backward pass through all of them; real images are
normalised floats, chosen by a permutation; inner training and students use data loaders; digits are augmented image by image on the
host. Written for these benchmarks; `benchmarks.golden` checks its loss and image gradient before it is timed.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from benchmarks.peer_digits import augment_digits
from benchmarks.workload import Workload

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class ConvNet(nn.Module):
    """Three blocks of convolution, instance norm, ReLU and average pooling, then a linear layer."""

    def __init__(self, num_classes: int, width: int, image_shape: tuple[int, int, int]):
        super().__init__()
        layers, channels = [], image_shape[-1]
        for block in range(3):
            padding = 3 if block == 0 and image_shape[0] == 28 else 1
            layers += [
                nn.Conv2d(channels, width, 3, padding=padding),
                nn.GroupNorm(width, width),
                nn.ReLU(inplace=True),
                nn.AvgPool2d(2),
            ]
            channels = width
        self.blocks = nn.Sequential(*layers)
        self.dense = nn.Linear(16 * width, num_classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.dense(self.blocks(image).flatten(1))


def filterwise_cosine(gradients: list[torch.Tensor], targets: list[torch.Tensor]) -> torch.Tensor:
    """Computes DC's distance: 1 - cosine for every output unit of every layer; vectors count nothing."""
    total = torch.zeros((), device=DEVICE)
    for ours, real in zip(gradients, targets):
        if ours.dim() > 1:
            ours, real = ours.flatten(1), real.flatten(1)
            norms = ours.norm(dim=1) * real.norm(dim=1)
            total = total + (1 - (ours * real).sum(1) / (norms + 1e-6)).sum()
    return total


def matching_loss(
    net: nn.Module, syn: list[torch.Tensor], real: list[torch.Tensor], distance: Callable = filterwise_cosine
) -> torch.Tensor:
    """Sums the distances of all classes; `syn[k]` and `real[k]` are the images of class k, NCHW."""
    total = torch.zeros((), device=DEVICE)
    for label, (syn_class, real_class) in enumerate(zip(syn, real)):
        total = total + class_loss(net, label, syn_class, real_class, distance)
    return total


def class_loss(net: nn.Module, label: int, syn: torch.Tensor, real: torch.Tensor, distance: Callable) -> torch.Tensor:
    """Computes the distance of the two gradients of one class."""
    criterion, params = nn.CrossEntropyLoss(), list(net.parameters())

    def gradient(image, create_graph):
        labels = torch.full((len(image),), label, dtype=torch.long, device=DEVICE)
        return torch.autograd.grad(criterion(net(image), labels), params, create_graph=create_graph)

    target = [g.detach().clone() for g in gradient(real, False)]
    return distance(list(gradient(syn, True)), target)


class Condensation:
    """The state of a run of DC, and its steps."""

    def __init__(self, work: Workload, real: Sequence[torch.Tensor] = ()):
        """Starts from noise; `real` has the images of every class, NCHW, which are random when not given."""
        self.work = work
        self.real = real or random_classes(work)
        self.images = torch.randn((work.classes * work.ipc, *self.real[0].shape[1:]), device=DEVICE, requires_grad=True)
        self.labels = torch.arange(work.classes, device=DEVICE).repeat_interleave(work.ipc)
        self.optimizer = torch.optim.SGD([self.images], lr=0.1, momentum=0.5)

    def draw(self, label: int) -> torch.Tensor:
        return drawn(self.real[label], self.work.real)

    def match(self, net: nn.Module) -> float:
        syn = list(self.images.split(self.work.ipc))
        loss = matching_loss(net, syn, [self.draw(label) for label in range(self.work.classes)])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def step(self) -> float:
        return self.match(new_net(self.work))

    def outer(self) -> None:
        net = new_net(self.work)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for t in range(self.work.matches):
            self.match(net)
            if t == self.work.matches - 1 and t > 0:
                break
            images = self.images.detach().clone()
            for _ in range(self.work.epochs):
                train_epoch(net, optimizer, images, self.labels)


def drawn(images: torch.Tensor, count: int) -> torch.Tensor:
    """Draws some of the images of a class by a permutation of all."""
    return images[np.random.permutation(len(images))[:count]]


def new_net(work: Workload) -> nn.Module:
    return ConvNet(work.classes, work.width, work.image_shape).to(DEVICE)


def train_epoch(net, optimizer, images, labels, augment: Callable = lambda image: image) -> None:
    """Trains for one pass in reshuffled batches of 256, keeping count of loss and hits on the host."""
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=256, shuffle=True)
    criterion, total, hits = nn.CrossEntropyLoss(), 0.0, 0
    for image, label in loader:
        logits = net(augment(image))
        loss = criterion(logits, label)
        total += loss.item() * len(label)
        hits += np.sum(logits.detach().cpu().numpy().argmax(1) == label.cpu().numpy())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def random_classes(work: Workload) -> list[torch.Tensor]:
    """Makes random images for every class."""
    return [random_images(work.per_class, work) for _ in range(work.classes)]


def random_images(count: int, work: Workload) -> torch.Tensor:
    height, width, channels = work.image_shape
    return torch.randn((count, channels, height, width), device=DEVICE)


def train_students(work: Workload) -> Callable[[], None]:
    """Gives a function that trains students one after another by SGD with momentum and weight decay, and tests each."""
    images, test = random_images(work.classes * work.ipc, work), random_images(work.test, work)
    labels = torch.arange(work.classes, device=DEVICE).repeat_interleave(work.ipc)

    def run():
        for _ in range(work.students):
            net = new_net(work)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
            for _ in range(work.epochs):
                train_epoch(net, optimizer, images, labels, augment_digits)
            with torch.no_grad():
                for part in test.split(256):
                    net(part).argmax(1).cpu()

    return run


def set_precision(precision: str) -> None:
    """Sets one precision for everything: PyTorch's defaults mix TF32 for convolutions with float32 for matrix products."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"


def prepare(work: Workload) -> Callable[[], float]:
    """Gives a function that does the work once and gives its seconds."""
    from benchmarks import peer_idc, peer_trajectory, peer_unrolled  # import this module

    set_precision(work.precision)
    own = {
        "idc": peer_idc.Condensation,
        "unrolled": peer_unrolled.Condensation,
        "trajectory": peer_trajectory.Matching,
        "hallucinated": peer_trajectory.Factorised,
    }
    if work.kind == "students":
        run = train_students(work)
    elif work.kind in own:
        run = own[work.kind](work).step
    else:
        condensation = Condensation(work)
        run = condensation.outer if work.kind == "outer" else condensation.step

    def timed():
        began = time.perf_counter()
        run()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return timed


def peak_device_bytes() -> int | None:
    return torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else None
