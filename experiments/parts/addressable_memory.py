"""Holds the settings of addressable memories: bases that all classes share (Deng & Russakovsky, NeurIPS 2022), also those of classes to come."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import optax

import dcjax as dc
from dcjax import InputError
from experiments.parts.part import Context, ParameterizationPart
from experiments.parts.values import MaybeCount, Share, Size


@dataclasses.dataclass(frozen=True)
class AddressableMemory(ParameterizationPart):
    """Learns bases that all classes share, and addresses that recall images from them (Remember the Past)."""

    bases: Size = 16
    """Bases that all classes share."""
    recalls: MaybeCount = None
    """Images recalled for every class; as many as the bytes of --ipc images hold when not given."""
    downsample: Size = 2
    """How many times smaller along each side bases are than images."""
    address_decay: Share = 0.0
    """Weight decay (L2 penalty) of the addresses."""

    decoder = staticmethod(dc.addressable_memory)

    def check(self, settings: Any) -> None:
        if settings.image_space == "pixel":
            raise InputError(
                "--image-space pixel keeps images between bounds, but a memory learns bases that are added up: give --image-space normalised."
            )

    def arguments(self, context: Context) -> dict[str, Any]:
        data, size = context.data, {"num_bases": self.bases, "downsample": self.downsample}
        fit = dc.recalls_within(context.ipc, data.num_classes, data.image_shape, **size, known=len(self.known()))
        if self.recalls and self.recalls > fit:
            raise InputError(
                f"--recalls {self.recalls} takes more bytes than --ipc {context.ipc} images of every class: give at most {fit}."
            )
        return {**size, "recalls": self.recalls or fit}

    def known(self) -> np.ndarray:
        """Gives the bases of an earlier memory that this one shares; none, as long as it does not grow from one."""
        return np.zeros(0)

    def build(self, context: Context) -> dc.Parameterization:
        start = context.start(1)
        return self.decoder(**self.arguments(context), start=None if start is dc.from_glorot else start)

    def real_needed(self, ipc: int, num_classes: int) -> int:
        return -(-self.bases // num_classes)

    def optimizers(self, images: optax.GradientTransformation) -> dict[str, optax.GradientTransformation]:
        decayed = optax.chain(optax.add_decayed_weights(self.address_decay), images) if self.address_decay else images
        return {"bases": images, "addresses": decayed}


@dataclasses.dataclass(frozen=True)
class GrownMemory(AddressableMemory):
    """Learns a memory of further classes, which shares the bases of an earlier memory and leaves them as they are."""

    grows: str | None = None
    """Run directory of the earlier memory."""

    decoder = staticmethod(dc.grown_memory)

    def check(self, settings: Any) -> None:
        super().check(settings)
        if self.grows is None:
            raise InputError(
                "--parameterization grown_memory grows from an earlier memory: give the directory of its run by --grows."
            )

    def known(self) -> np.ndarray:
        file = Path(self.grows).expanduser() / "condensed.npz"
        compact = dc.load_condensed(file).compact
        if "bases" not in compact:
            raise InputError(
                f"{file} has no bases to grow from: give a run with --parameterization addressable_memory."
            )
        return np.concatenate([compact[name] for name in ("known", "bases") if name in compact])

    def build(self, context: Context) -> dc.Parameterization:
        start = context.start(1)
        own = None if start is dc.from_glorot else start
        return self.decoder(**self.arguments(context), start=own, known=self.known())

    def optimizers(self, images: optax.GradientTransformation) -> dict[str, optax.GradientTransformation]:
        return {**super().optimizers(images), "known": optax.set_to_zero()}
