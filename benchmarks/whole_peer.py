"""Makes one whole set by a PyTorch peer's steps on real images: `python -m benchmarks.whole_peer METHOD STEPS WIDTH SEED FILE`.

The file holds the images as students see them (normalised, those of IDC decoded), [K, M, H, W, C], and the loss of every step.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import dcjax as dc
from benchmarks import peer, peer_idc
from benchmarks.workload import FACTOR, Workload
from dcjax.files import writing

RESTART = 100  # steps of IDC on one network


def dc_set(steps: int, width: int, data: dc.data.Dataset) -> tuple[torch.Tensor, list[float]]:
    """Makes a set by DC from noise, every step on a new network; gives it with the losses."""
    run = peer.Condensation(Workload("step", data.name, width), real=classes_of(data))
    losses = [run.step() for _ in range(steps)]
    return run.images.detach().unflatten(0, (run.work.classes, -1)), losses


def idc_set(steps: int, width: int, data: dc.data.Dataset) -> tuple[torch.Tensor, list[float]]:
    """Makes a set by IDC from real images made smaller, with a new network after every hundred steps."""
    real, work = classes_of(data), Workload("idc", data.name, width, real=64, network_steps=8)
    mean, std = (
        torch.tensor(values, device=peer.DEVICE).reshape(-1, 1, 1) for values in dc.data.PAPER_STATISTICS[data.name]
    )
    start = torch.stack([mixed(images * std + mean) for images in real])
    run = peer_idc.Condensation(work, real, start, normalise=lambda image: (image - mean) / std)
    losses = []
    for step in range(steps):
        if step and step % RESTART == 0:
            run.restart()
        losses.append(run.step())
    pixels = run.images.detach().clamp(0, 1)
    return torch.stack([(peer_idc.decode(images) - mean) / std for images in pixels]), losses


def classes_of(data: dc.data.Dataset) -> list[torch.Tensor]:
    """Gives the training images of every class, normalised, NCHW."""
    image = torch.tensor(np.asarray(data.train.batch().image)).permute(0, 3, 1, 2).contiguous()
    return [*image.to(peer.DEVICE).split(list(data.train.counts))]


def mixed(images: torch.Tensor) -> torch.Tensor:
    """Makes one image of several of a class, each made smaller by leaving out rows and columns: [1, C, H, W]."""
    cell = images.shape[-1] // FACTOR
    small = F.interpolate(peer.drawn(images, FACTOR**2), size=(cell, cell), mode="nearest")
    rows = [torch.cat([*row], -1) for row in small.unflatten(0, (FACTOR, FACTOR))]
    return torch.cat(rows, -2)[None]


MAKERS = {"dc": dc_set, "idc": idc_set}


def main(method: str, steps: str, width: str, seed: str, path: str) -> None:
    np.random.seed(int(seed))
    torch.manual_seed(int(seed))
    images, losses = MAKERS[method](int(steps), int(width), dc.data.load("mnist"))
    with writing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, images=images.permute(0, 1, 3, 4, 2).cpu().numpy(), losses=losses)


if __name__ == "__main__":
    main(*sys.argv[1:])
