"""Both sides give the published loss and image gradient before either is timed: `python -m benchmarks.golden ours|peer|...`."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

FILES = ("dc_gray28", "dc_rgb32")
GOLDEN = Path(__file__).parent.parent / "tests" / "golden"
TOLERANCE = 1e-4  # relative, as in the tests


def ours(arrays: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
    import jax

    import dcjax as dc
    from dcjax.parameterizations import class_labels
    from dcjax.trajectories import AgedPoint

    jax.config.update("jax_default_matmul_precision", "float32")
    params = {}
    for name, value in arrays.items():
        layer, _, leaf = name.partition("_")
        if layer[:4] in ("conv", "norm", "dens"):
            params.setdefault(layer, {})[leaf] = value
    real, syn = (dc.Batch(arrays[n], class_labels(*arrays[n].shape[:2])) for n in ("real", "synthetic"))
    net = dc.network(dc.networks.ConvNet(num_classes=3, width=8), real.image.shape[2:])
    loss = dc.gradient_matching(net).loss

    def of_images(image):
        return loss(jax.random.key(0), (), AgedPoint(params, np.int32(0)), syn._replace(image=image), real)[0]

    value, gradient = jax.jit(jax.value_and_grad(of_images))(syn.image)
    return float(value), np.asarray(gradient)


def peer(arrays: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
    import torch

    from benchmarks.peer import DEVICE, ConvNet, matching_loss, set_precision

    set_precision("float32")
    size, channels = arrays["real"].shape[2], arrays["real"].shape[-1]
    net = ConvNet(3, 8, (size, size, channels))
    with torch.no_grad():
        for block in range(3):
            convolution, norm = net.blocks[4 * block], net.blocks[4 * block + 1]
            convolution.weight.copy_(torch.tensor(arrays[f"conv{block}_kernel"]).permute(3, 2, 0, 1))
            convolution.bias.copy_(torch.tensor(arrays[f"conv{block}_bias"]))
            norm.weight.copy_(torch.tensor(arrays[f"norm{block}_scale"]))
            norm.bias.copy_(torch.tensor(arrays[f"norm{block}_bias"]))
        dense = torch.tensor(arrays["dense_kernel"]).reshape(4, 4, 8, 3)  # flattened H, W, C there; C, H, W here
        net.dense.weight.copy_(dense.permute(3, 2, 0, 1).flatten(1))
        net.dense.bias.copy_(torch.tensor(arrays["dense_bias"]))
    real, syn = (torch.tensor(arrays[n]).permute(0, 1, 4, 2, 3).to(DEVICE) for n in ("real", "synthetic"))
    syn.requires_grad_()
    loss = matching_loss(net.to(DEVICE), list(syn), list(real))
    (gradient,) = torch.autograd.grad(loss, syn)
    return loss.item(), gradient.permute(0, 1, 3, 4, 2).cpu().numpy()


SIDES: dict[str, Callable] = {"ours": ours, "peer": peer}


def check(side: str) -> float:
    """The largest relative deviation from the published values; at most `TOLERANCE`."""
    worst = 0.0
    for file in FILES:
        with np.load(GOLDEN / f"{file}.npz") as stored:
            arrays = dict(stored)
        value, gradient = SIDES[side](arrays)
        loss, expected = arrays["loss_layerwise_cosine"].sum(), arrays["grad_layerwise_cosine"]
        deviation = np.linalg.norm(gradient - expected) / np.linalg.norm(expected)
        worst = max(worst, float(abs(value / loss - 1)), float(deviation))
    if not worst <= TOLERANCE:
        raise SystemExit(f"{side} departs from the published values by {worst:.1e} (allowed {TOLERANCE}).")
    return worst


def check_in_processes(sides: tuple[str, ...]) -> dict[str, float]:
    """As `check`, each side in a process of its own, so that no two frameworks share a device."""
    found = {}
    for side in sides:
        command = [sys.executable, "-m", "benchmarks.golden", side]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if ran.returncode:
            raise SystemExit(f"{' '.join(command)} failed: its error is above.")
        found[side] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    print(check(parser.parse_args().side))
