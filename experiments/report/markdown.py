"""Writes the tables in Markdown."""

from experiments.report import tables, words
from experiments.report.records import Comparison, Run


def results(runs: list[Run]) -> str:
    """Writes a line for every run; columns that would be empty are left out."""
    rows = [tables.row(run) for run in runs]
    names = [name for name in tables.HEADINGS if any(getattr(row, name) for row in rows)]
    return table([tables.HEADINGS[name] for name in names], [[_cell(row, name) for name in names] for row in rows])


def _cell(row, name):
    text, note = getattr(row, name), row.notes.get(name)
    if name == "command":
        return code(text)
    text = escape(f"{text} ({note})" if note else text)
    return f"**{text}**" if text and (name == "condensed" or name in row.failures) else text


def comparison(found: Comparison) -> str:
    """Writes a line for every method and a column for every size, and says where real images are above condensed ones."""
    heading = ["method", *(f"{ipc} per class" for ipc in tables.sizes(found))]
    lines = [
        [escape(tables.named(found, method)), *map(words.accuracy, cells)]
        for method, cells in tables.compared(found).items()
    ]
    title = f"Methods compared on {escape(tables.compared_dataset(found))}: {code(found.command)}"
    text = f"{title}\n{escape(tables.about(found))}\n\n{table(heading, lines)}"
    return text + "".join(f"\n{escape(sentence)}\n" for sentence in tables.overtaken(found.rows))


def table(heading: list[str], lines: list[list[str]]) -> str:
    """Writes a table of texts that are escaped already."""
    rows = [heading, ["---"] * len(heading), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def escape(text: str) -> str:
    """Escapes text, so that it is neither markup nor the end of a cell."""
    for mark in "\\|*_`[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


def code(text: str) -> str:
    """Writes a code span for a table."""
    text = " ".join(text.split()).replace("|", r"\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"
