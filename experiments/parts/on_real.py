"""Holds the settings of IDC's trajectory: networks trained on real images."""

import dataclasses
from typing import Any

import dcjax as dc
from experiments.parts.part import Context
from experiments.parts.training import Training
from experiments.parts.values import Epochs, Steps


@dataclasses.dataclass(frozen=True)
class OnReal(Training):
    """Trains the network on real images between two comparisons (IDC)."""

    network_steps: Steps = 8
    """Steps that the network is trained for between two comparisons."""
    warm_up_epochs: Epochs = 0
    """Passes over one draw of real images that a new network is trained for before its first comparison."""

    def idle(self, settings: Any) -> dict[str, str]:
        untrained = {} if self.warm_up_epochs else self.idle_untrained(settings)
        return untrained | super().idle(settings)

    def real_needed(self, settings: Any, num_classes: int) -> int:
        if "network_steps" in self.idle(settings):
            return 0
        return -(-self.network_steps * self.network_batch // num_classes)

    def build(self, context: Context) -> dc.Trajectory:
        return dc.on_real(
            context.net,
            self.optimizer(),
            steps=self.network_steps,
            restart_every=context.matches,
            warm_up_epochs=self.warm_up_epochs,
            begin=self.begin(context.net),
            **self.how(context.augment),
        )
