"""Tabulates what was measured, and shows it on one page.

python -m experiments.report experiments/results --readme README.md --details experiments/results/README.md --times experiments/results/time.png
python -m experiments.report runs runs/compare-digits --html report.html
"""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated

import tyro

from dcjax import InputError
from experiments.methods import table
from experiments.pipeline.endings import exit_code
from experiments.pipeline.rundir import write_text
from experiments.pipeline.show import say
from experiments.report import documents, page, records, times
from experiments.settings.flags import read

BEGIN, END = "<!-- results -->", "<!-- /results -->"
METHODS_BEGIN, METHODS_END = "<!-- methods -->", "<!-- /methods -->"
TIMES_BEGIN, TIMES_END = "<!-- times -->", "<!-- /times -->"


@dataclasses.dataclass(frozen=True)
class Report:
    """Prints the results of commands as Markdown; writes them to a page, a README or a file of details where asked to."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Directories of runs, comparisons, continual learning and architecture searches, and folders of these."""
    html: str | None = None
    """File for one self-contained page, with images, curves and settings."""
    readme: str | None = None
    """Markdown file whose text between <!-- results --> and <!-- /results --> is replaced by a table for each data set; likewise times and
    methods."""
    times: str | None = None
    """PNG file for a plot of accuracies over minutes, of comparisons that were made with --eval-minutes."""
    details: str | None = None
    """Markdown file for all tables, with the command and the machine behind every figure; a README links to it."""

    def __post_init__(self):
        if not self.runs:
            raise InputError("There is nothing to report on: give run directories, or a folder of them.")


def main(argv: list[str]) -> int:
    return exit_code(report, argv)


def report(argv: list[str]) -> None:
    """Prints and writes the tables, once everything has been read and checked."""
    wanted = read(Report, argv)
    found = records.find(wanted.runs)
    texts = {}
    if wanted.readme:
        texts[wanted.readme] = replaced(
            Path(wanted.readme), documents.readme(found, _address(wanted)), times.tabulated(found.comparisons)
        )
    if wanted.details:
        texts[wanted.details] = documents.details(found)
    if wanted.html:
        texts[wanted.html] = page.html(found)
    if wanted.times and not times.panels(found.comparisons):
        raise InputError(
            "No comparison was made with --eval-minutes, so there is nothing for --times to draw: leave it out."
        )
    print("\n".join(filter(None, [documents.readme(found), times.tabulated(found.comparisons)])), end="")
    for path, text in texts.items():
        _write(Path(path), text)
        say(f"Written to {path}")
    if wanted.times:
        times.plot(Path(wanted.times), found.comparisons)
        say(f"Written to {wanted.times}")


def _address(wanted):
    """Gives the address of the details as the README links to them."""
    return wanted.details and os.path.relpath(wanted.details, Path(wanted.readme).parent)


def replaced(path: Path, document: str, by_minutes: str = "") -> str:
    """Gives the text of a file with the tables of results in their place, and those of times and methods if they have a place."""
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): give the path of a Markdown file.") from None
    text = _between(path, text, BEGIN, END, document)
    text = _between(path, text, TIMES_BEGIN, TIMES_END, by_minutes) if TIMES_BEGIN in text else text
    return _between(path, text, METHODS_BEGIN, METHODS_END, table()) if METHODS_BEGIN in text else text


def _between(path, text, begin, end, new):
    before, _, rest = text.partition(begin)
    if end not in rest:
        raise InputError(f"{path} has no place for the tables: put a line {begin} and below it a line {end} into it.")
    return f"{before}{begin}\n\n{new}\n{end}{rest.partition(end)[2]}"


def _write(path, text):
    try:
        write_text(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): give another path.") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
