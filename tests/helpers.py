"""What several tests share: the golden networks and the registries of everything that composes."""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> dict[str, np.ndarray]:
    """Inputs and outputs of the published implementations."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def golden_params(arrays: dict[str, np.ndarray], prefix: str = "") -> dict:
    """A ConvNet's weights from names such as `conv0_kernel`."""
    layers = [f"{kind}{i}" for kind in ("conv", "norm") for i in range(3)] + ["dense"]
    leaves = {"conv": ("kernel", "bias"), "norm": ("scale", "bias"), "dens": ("kernel", "bias")}
    return {layer: {leaf: arrays[f"{prefix}{layer}_{leaf}"] for leaf in leaves[layer[:4]]} for layer in layers}
