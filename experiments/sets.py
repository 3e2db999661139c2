"""Lists the condensed sets that come with dcjax, with the accuracy of each beside that of as many random images.

python -m experiments.sets

Their names are taken by `dcjax.load_condensed`, experiments.evaluate, experiments.export and experiments.architectures.
"""

import dataclasses
import sys

from rich.table import Table

import dcjax as dc
from experiments.pipeline import show
from experiments.pipeline.endings import exit_code
from experiments.report import words
from experiments.settings.flags import read


@dataclasses.dataclass(frozen=True)
class Listing:
    """Lists the condensed sets that come with dcjax."""


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(run, argv)


def run(argv: list[str]) -> None:
    """Prints the table."""
    read(Listing, argv)
    table = Table("name", "data", "method", "images per class", "bytes", "network", "condensed", "random")
    for name, each in dc.shipped().items():
        shape = "x".join(map(str, each.image_shape))
        accuracies = (words.accuracy(each.accuracy.get(what)) for what in ("condensed", "random"))
        data = f"{words.dataset(each.dataset)}, {shape}"
        made = words.method(each.method), str(each.ipc), str(each.bytes), words.condensing_network(each.network)
        table.add_row(name, data, *made, *accuracies)
    show.console.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
