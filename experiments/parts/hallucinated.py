"""Holds the settings of hallucinated bases: HaBa's parameterization, and the adversary that keeps its views apart."""

import dataclasses
from typing import Annotated, Any

import optax

import dcjax as dc
from dcjax import InputError
from experiments.parts.part import Context, ParameterizationPart
from experiments.parts.values import Count, MaybeCount, Range, Size

Weight = Annotated[float, Range("at least 0 and finite", lambda value: 0 <= value < float("inf"))]


@dataclasses.dataclass(frozen=True)
class Hallucinated(ParameterizationPart):
    """Learns a few bases and small networks that each restyle every base (HaBa)."""

    hallucinators: Count = 5
    """Networks that restyle every base; all classes share them."""
    base_images: MaybeCount = None
    """Bases of every class; as many as the bytes of --ipc images hold beside the hallucinators when not given."""
    base_channels: MaybeCount = None
    """Channels of a base: 1 leaves colour to the hallucinators; as many as images have when not given."""
    kernel_size: Size = 3
    """Side of a hallucinator's convolutions."""
    diversity: Weight = 0.1
    """Weight of how alike an adversary sees two restylings of a base; 0 does without the adversary."""

    decoder = staticmethod(dc.hallucinated)

    def check(self, settings: Any) -> None:
        if settings.image_space == "pixel":
            raise InputError(
                "--image-space pixel keeps images between bounds, but hallucinators restyle bases of any value: give --image-space normalised."
            )
        if self.diversity and self.hallucinators < 2:
            raise InputError("--hallucinators 1 leaves nothing to differ from: give --diversity 0, or more of them.")

    def arguments(self, context: Context) -> dict[str, Any]:
        shape = context.data.image_shape
        if self.base_channels == 1 == shape[-1] or self.base_channels not in (None, 1):
            raise InputError(
                f"--base-channels {self.base_channels} is not for images of {shape[-1]} channel(s): bases have 1 where images have colours, or "
                "as many as they: leave it out."
            )
        size = {
            "num_hallucinators": self.hallucinators,
            "channels": self.base_channels,
            "kernel_size": self.kernel_size,
        }
        bases = self.base_images or dc.bases_within(context.ipc, context.data.num_classes, shape, **size)
        return {"ipc": bases, **size}

    def real_needed(self, ipc: int, num_classes: int) -> int:
        colours = 3 if self.base_channels == 1 else 1  # bases of one channel take a third of an image's bytes
        return self.base_images or ipc * colours

    @property
    def views(self) -> int:
        return self.hallucinators

    @property
    def contrast(self) -> float:
        return self.diversity

    def optimizers(self, images: optax.GradientTransformation) -> dict[str, optax.GradientTransformation]:
        names = (f"{side}_{leaf}" for side in ("encoder", "decoder") for leaf in ("kernel", "bias"))
        return dict.fromkeys(("image", *names, "scale", "shift"), images)
