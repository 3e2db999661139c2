"""Holds the settings of DM's trajectory: a new network for every comparison."""

import dataclasses
from typing import Any

import dcjax as dc
from experiments.parts.part import Context
from experiments.parts.training import Training


@dataclasses.dataclass(frozen=True)
class Fresh(Training):
    """Takes a new network for every comparison, and does not train it (DM)."""

    def idle(self, settings: Any) -> dict[str, str]:
        alone = {} if settings.matches > 1 else {"trajectory": "--matches 1"}
        training = {field.name for field in dataclasses.fields(Training)} - {"pool", "init_seed"}
        return alone | ({} if self.pool else dict.fromkeys(training, "--trajectory fresh and --pool 0"))

    def build(self, context: Context) -> dc.Trajectory:
        return dc.fresh(context.net, begin=self.begin(context.net))
