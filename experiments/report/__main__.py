"""Tabulates what was measured, and shows it on one page.

python -m experiments.report experiments/results --readme README.md
python -m experiments.report runs runs/compare-digits --html report.html
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from dcjax import InputError
from experiments import cli
from experiments.output import say
from experiments.report import markdown, page, records
from experiments.workdir import write_text

BEGIN, END = "<!-- results -->", "<!-- /results -->"


@dataclasses.dataclass(frozen=True)
class Report:
    """Prints the results of runs and comparisons as Markdown; writes them to a page or a README where asked to."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Run directories, comparison directories, and folders of either."""
    html: str | None = None
    """Where to write one self-contained page, with images, curves and settings."""
    readme: str | None = None
    """A file whose text between <!-- results --> and <!-- /results --> is replaced by the tables."""

    def __post_init__(self):
        if not self.runs:
            raise InputError("There is nothing to report on: give run directories, or a folder of them.")


def main(argv: list[str]) -> int:
    return cli.exit_code(report, argv)


def report(argv: list[str]) -> None:
    """Reads and checks everything before anything is written."""
    wanted = cli.read(Report, argv)
    runs, comparisons = records.find(wanted.runs)
    document = markdown.document(runs, comparisons)
    texts = {}
    if wanted.readme:
        texts[wanted.readme] = replaced(Path(wanted.readme), document)
    if wanted.html:
        texts[wanted.html] = page.html(runs, comparisons)
    print(document, end="")
    for path, text in texts.items():
        _write(Path(path), text)
        say(f"Written to {path}")


def replaced(path: Path, document: str) -> str:
    """The text of a file with the tables in their place."""
    try:
        before, begin, rest = path.read_text().partition(BEGIN)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): give the path of a Markdown file.") from None
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{path} has no place for the tables: put a line {BEGIN} and below it a line {END} into it.")
    return f"{before}{BEGIN}\n\n{document}\n{END}{after}"


def _write(path, text):
    try:
        write_text(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): give another path.") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
