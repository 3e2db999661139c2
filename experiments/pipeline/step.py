"""Names the steps of a stream, and the memory that is made in each."""

from typing import Any, NamedTuple

import numpy as np

import dcjax as dc
from experiments.methods import METHODS
from experiments.methods.unrolled import RTP
from experiments.pipeline.streams import Classes, Stream

SHARED = "rtp_shared"  # RTP's memory, the bases of which the classes of all steps share
MEMORIES = (*(name for name, method in METHODS.items() if not method.takes_all), SHARED)


class Step(NamedTuple):
    """One step of a stream, of which a memory is made."""

    name: str  # one of MEMORIES
    order: int
    number: int
    stream: Stream

    @property
    def method(self) -> str:
        """Gives the method that makes the memory."""
        return RTP.name if self.name == SHARED else self.name

    @property
    def parts(self) -> dict[str, str]:
        """Gives the parts that replace the method's own: a shared memory grows after the first step."""
        return {"parameterization": "grown_memory"} if self.name == SHARED and self.number else {}

    @property
    def directory(self) -> str:
        """Names the run directory; a shared memory begins as any other."""
        return f"{self.name if self.parts else self.method}-{self.order}-{self.number + 1}"

    @property
    def classes(self) -> tuple[int, ...]:
        """Gives the classes that come in the step; none where a whole data set does."""
        return self.stream.of_step(self.number) if isinstance(self.stream, Classes) else ()

    @property
    def dataset(self) -> str:
        """Gives the name of the data set that the memory is made of."""
        return self.stream.data_of(self.number).name


def source_of(dataset: str, source: dict[str, Any]) -> dict[str, Any]:
    """Gives the settings that say how a data set is read: the folder of TFDS's data sets is none of another's."""
    is_elsewhere = dataset == "digits" or dataset.partition(":")[0] in ("folder", "npz")
    return {
        name: value for name, value in source.items() if value is not None and not (is_elsewhere and name == "data_dir")
    }


def stored_bytes(memory: dc.Condensed) -> int:
    """Counts the bytes of what a memory stores, apart from what an earlier one does."""
    return sum(np.asarray(leaf).nbytes for name, leaf in memory.compact.items() if name != "known")
