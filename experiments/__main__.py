"""Runs a command by its name: `dcjax run --help`, or `python -m experiments run --help`."""

import importlib
import sys

from experiments.pipeline.endings import exit_code
from experiments.settings.words import nearest

COMMANDS = {
    "run": "condenses a dataset, or chooses real images, and says what they are worth",
    "evaluate": "tests condensed sets on other networks and under other recipes",
    "recall": "makes classifiers of some classes, or on mixed labels, from one addressable memory",
    "architectures": "searches for the best network with a condensed set in place of the training set",
    "experts": "trains networks on the real images, whose training MTT, TESLA and HaBa match",
    "continual": "trains networks on classes or data sets that come one after the other, with memories of those before",
    "compare": "runs several methods and sets them side by side",
    "sets": "lists the condensed sets that come with dcjax",
    "export": "writes a condensed set for other programs",
    "report": "tabulates what was measured, and shows it on one page",
}


def main() -> int:
    """Runs the command that the first word names with the words after it, and gives its exit code."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h"):
        return exit_code(_help, words)
    if name not in COMMANDS:
        print(
            f"error: There is no command {name!r}: choose {', '.join(COMMANDS)}.{nearest(name, [*COMMANDS])}",
            file=sys.stderr,
        )
        return 2
    module = importlib.import_module("experiments.report.__main__" if name == "report" else f"experiments.{name}")
    return module.main(words)


def _help(words: list[str]) -> None:
    del words
    print("usage: dcjax COMMAND ...; COMMAND --help lists its flags", *map(": ".join, COMMANDS.items()), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
