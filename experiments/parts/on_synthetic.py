"""Holds the settings of DC's trajectory: networks trained on condensed images."""

import dataclasses
from typing import Any

import dcjax as dc
from experiments.parts.part import Context
from experiments.parts.training import Training
from experiments.parts.values import Epochs


@dataclasses.dataclass(frozen=True)
class OnSynthetic(Training):
    """Trains the network on the condensed images between two comparisons (DC)."""

    inner_epochs: Epochs = 1
    """Epochs that the network is trained for between two comparisons."""

    def idle(self, settings: Any) -> dict[str, str]:
        return self.idle_untrained(settings) | super().idle(settings)

    def build(self, context: Context) -> dc.Trajectory:
        return dc.on_synthetic(
            context.net,
            self.optimizer(),
            epochs=self.inner_epochs,
            restart_every=context.matches,
            begin=self.begin(context.net),
            **self.how(context.augment),
        )
