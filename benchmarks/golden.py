"""Checks, before anything is timed, that both sides give the published values, and each other's image gradients at a width that is timed.

The golden values are of a narrow network, which takes other convolutions than a wide one does.
`python -m benchmarks.golden ours|peer` prints one side's deviation from the published values.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

FILES = ("dc_gray28", "dc_rgb32")
DISTANCES = ("layerwise_cosine", "idc_mse", "idc_l1")  # of DC and IDC, by the names in the files
GOLDEN = Path(__file__).parent.parent / "tests" / "golden"
TOLERANCE = 1e-4  # relative, as in the tests
ONE_RELU = (
    1e-2  # relative, where the input of a ReLU is zero within rounding: all images of its class jump by some 1e-3
)
WIDE = 32


def wide() -> dict[str, np.ndarray]:
    """Draws random weights and images in the golden layout, with more real images than one micro-batch holds."""
    generator = np.random.default_rng(0)
    kernels = {f"conv{i}_kernel": (3, 3, 1 if i == 0 else WIDE, WIDE) for i in range(3)}
    vectors = {f"{layer}{i}_bias": (WIDE,) for layer in ("conv", "norm") for i in range(3)}
    images = {"real": (3, 40, 28, 28, 1), "synthetic": (3, 2, 28, 28, 1)}
    shapes = kernels | vectors | {"dense_kernel": (16 * WIDE, 3), "dense_bias": (3,)} | images
    arrays = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name in arrays.keys() - images.keys():
        arrays[name] *= 0.05  # about the size of weights at the start of training
    return arrays | {f"norm{i}_scale": np.ones(WIDE, np.float32) for i in range(3)}


def ours(arrays: dict[str, np.ndarray], precision: str, distance: str) -> tuple[float, np.ndarray]:
    import jax

    import dcjax as dc
    from dcjax.parameterizations import class_labels

    jax.config.update("jax_default_matmul_precision", precision)
    params = {}
    for name, value in arrays.items():
        layer, _, leaf = name.partition("_")
        if layer[:4] in ("conv", "norm", "dens"):
            params.setdefault(layer, {})[leaf] = value
    real, syn = (dc.Batch(arrays[n], class_labels(*arrays[n].shape[:2])) for n in ("real", "synthetic"))
    net = dc.network(dc.networks.ConvNet(3, params["dense"]["kernel"].shape[0] // 16), real.image.shape[2:])
    of_convolutions = dc.distances.of_convolutions
    distances = {
        "layerwise_cosine": dc.distances.filterwise_cosine,
        "idc_mse": of_convolutions(dc.distances.squared_error),
        "idc_l1": of_convolutions(dc.distances.absolute_error),
    }
    loss = dc.gradient_matching(net, distance=distances[distance]).loss

    def of_images(image):
        return loss(jax.random.key(0), (), dc.Point(params), syn._replace(image=image), real)[0]

    value, gradient = jax.jit(jax.value_and_grad(of_images))(syn.image)
    return float(value), np.asarray(gradient)


def peer(arrays: dict[str, np.ndarray], precision: str, distance: str) -> tuple[float, np.ndarray]:
    import torch

    from benchmarks import peer_idc
    from benchmarks.peer import DEVICE, filterwise_cosine, matching_loss, set_precision

    distances = {
        "layerwise_cosine": filterwise_cosine,
        "idc_mse": peer_idc.squared_error,
        "idc_l1": peer_idc.absolute_error,
    }

    set_precision(precision)
    real, syn = (torch.tensor(arrays[n]).permute(0, 1, 4, 2, 3).to(DEVICE) for n in ("real", "synthetic"))
    syn.requires_grad_()
    loss = matching_loss(published_net(arrays), list(syn), list(real), distances[distance])
    (gradient,) = torch.autograd.grad(loss, syn)
    return loss.item(), gradient.permute(0, 1, 3, 4, 2).cpu().numpy()


def published_net(arrays: dict[str, np.ndarray]):
    """Makes the peer's network with the weights of a golden file."""
    import torch

    from benchmarks.peer import DEVICE, ConvNet

    size, channels = arrays["real"].shape[-2], arrays["real"].shape[-1]
    width = len(arrays["conv0_bias"])
    net = ConvNet(3, width, (size, size, channels))
    with torch.no_grad():
        for block in range(3):
            convolution, norm = net.blocks[4 * block], net.blocks[4 * block + 1]
            convolution.weight.copy_(torch.tensor(arrays[f"conv{block}_kernel"]).permute(3, 2, 0, 1))
            convolution.bias.copy_(torch.tensor(arrays[f"conv{block}_bias"]))
            norm.weight.copy_(torch.tensor(arrays[f"norm{block}_scale"]))
            norm.bias.copy_(torch.tensor(arrays[f"norm{block}_bias"]))
        dense = torch.tensor(arrays["dense_kernel"]).reshape(4, 4, width, 3)  # flattened H, W, C there; C, H, W here
        net.dense.weight.copy_(dense.permute(3, 2, 0, 1).flatten(1))
        net.dense.bias.copy_(torch.tensor(arrays["dense_bias"]))
    return net.to(DEVICE)


SIDES: dict[str, Callable] = {"ours": ours, "peer": peer}


def check(side: str, precision: str = "float32") -> float:
    """Computes the largest relative deviation from the published values."""
    worst = 0.0
    for file in FILES:
        with np.load(GOLDEN / f"{file}.npz") as stored:
            arrays = dict(stored)
        for distance in DISTANCES:
            expected = arrays[f"loss_{distance}"].sum(), arrays[f"grad_{distance}"]
            worst = max(worst, _deviation(SIDES[side](arrays, precision, distance), expected))
    return worst


def check_in_processes(sides: tuple[str, ...]) -> dict[str, float]:
    """Gives deviations from the published values and, at a width that is timed, from ours; ends the program if one is too large.

    Each side works in a process of its own, so that no two frameworks share a device.
    """
    found, values = {}, {}
    for side in sides:
        command = [sys.executable, "-m", "benchmarks.golden", side, "--wide"]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if ran.returncode:
            raise SystemExit(f"{' '.join(command)} failed: its error is above.")
        found[side], loss, gradient = json.loads(ran.stdout)
        values[side] = loss, np.array(gradient)
        found[f"{side}, width {WIDE}"] = _of_median_image(values[side][1], values["ours"][1])
        jump = _deviation(values[side], values["ours"])
        if not jump <= ONE_RELU:
            raise SystemExit(f"A side is wrong at width {WIDE}: relative deviation {jump}, allowed {ONE_RELU}.")
    if not max(found.values()) <= TOLERANCE:
        raise SystemExit(f"A side is wrong: relative deviations {found}, allowed {TOLERANCE}.")
    return found


def _deviation(found, expected):
    (loss, gradient), (expected_loss, expected_gradient) = found, expected
    of_gradient = np.linalg.norm(gradient - expected_gradient) / np.linalg.norm(expected_gradient)
    return max(float(abs(loss / expected_loss - 1)), float(of_gradient))


def _of_median_image(found, expected):
    """Computes the median over images of the relative deviation of gradients [K, M, H, W, C]."""
    deviation, size = (np.square(x).sum(axis=(2, 3, 4)) for x in (found - expected, expected))
    return float(np.median(np.sqrt(deviation / size)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--wide", action="store_true", help="also print the loss and gradient at a width that is timed")
    chosen = parser.parse_args()
    if chosen.wide:
        loss, gradient = SIDES[chosen.side](wide(), chosen.precision, DISTANCES[0])
        print(json.dumps([check(chosen.side, chosen.precision), loss, gradient.tolist()]))
    else:
        print(check(chosen.side, chosen.precision))
