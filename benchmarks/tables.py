"""Writes the measurements as Markdown, for a terminal and for a README alike."""


def golden(found: dict[str, float]) -> str:
    said = ", ".join(f"{side} {deviation:.0e}" for side, deviation in found.items())
    return f"Largest relative deviation from the published loss and image gradient: {said}."


def progress(row: dict) -> str:
    others = ", ".join(f"{side} {_ratio(row, side)}" for side in sides(row)[1:])
    return f"  {row['name']}: {row['ours']['median']:.3g} s; relative to it: {others}"


def report(result: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    parts = [f"{result['hardware']}; {versions}; {result['minutes']} min"]
    if result["rows"]:
        parts.append(comparison(result["rows"]))
    if "start" in result:
        parts.append(table(("from the command to the first step", "seconds"), result["start"].items()))
    if "growth" in result:
        parts.append(growth(result["growth"]))
    if "alone" in result:
        parts.append(alone(result["alone"]))
    return "\n" + "\n\n".join(parts)


def comparison(rows: list[dict]) -> str:
    names = sides(rows[0])
    return table(
        (
            "work",
            *(f"{side}, s" for side in names),
            *(f"{side} / ours" for side in names[1:]),
            *("turns", "effective GFLOP/s", "of matmul", "GiB: " + ", ".join(names)),
        ),
        (
            (
                row["name"],
                *(f"{row[side]['median']:.3g}" for side in names),
                *(_ratio(row, side) for side in names[1:]),
                *(row["rounds"], f"{row['gflops']:.0f}", f"{100 * row['fraction']:.0f} %"),
                ", ".join(f"{row[side]['peak_gib']:.1f}" for side in names),
            )
            for row in rows
        ),
    )


def taken(row: dict) -> str:
    return f"  {row['name']}: {row['seconds']:.3g} s, {row['peak_gib']} GiB at most"


def alone(rows: list[dict]) -> str:
    devices = rows[0]["devices"]
    head = (
        "work",
        "seconds",
        "GiB at most",
        f"temporaries of each of {devices} devices, GiB",
        "arguments, GiB",
        "compiled in, s",
    )
    names = ("name", "seconds", "peak_gib", "temporaries_gib", "arguments_gib", "compile_seconds")
    return table(head, ([row[name] for name in names] for row in rows))


def sides(row: dict) -> list[str]:
    """Names the sides of a row, ours first."""
    return [name for name, value in row.items() if isinstance(value, dict) and "peak_gib" in value]


def growth(sweeps: list[dict]) -> str:
    head = ("a step grows with", "from, to", "seconds", "exponent", "of the operations")
    return table(
        head,
        (
            (
                row["grows"],
                ", ".join(map(str, row["sizes"])),
                ", ".join(f"{value:.3g}" for value in row["seconds"]),
                f"{row['exponent']:.2f}",
                f"{row['of_operations']:.2f}",
            )
            for row in sweeps
        ),
    )


def table(head: tuple[str, ...], rows) -> str:
    lines = [head, ("---",) + ("---:",) * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _ratio(row: dict, side: str) -> str:
    spread = row[f"{side}/ours"]
    return f"{spread['median']:.2f} ({spread['least']:.2f}-{spread['greatest']:.2f})"
