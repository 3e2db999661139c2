"""Checks that the JSON files of a run hold what a report shows; each check raises ValueError, KeyError, TypeError or AttributeError."""

import math

SCORES = ("relative", "hlr", "ior", "lrs", "ars")
BOUNDED = ("relative", "hlr", "lrs")  # of these, those that need the accuracy of the whole training set


def result(content: dict) -> None:
    config = content["config"]
    _types(config, method=str, dataset=str, ipc=int)
    _numbers(config, {"iterations"} & config.keys())
    _types(content, accuracy=dict)
    if not content["accuracy"]:
        raise ValueError("it has no accuracy")
    _types(content, command=str)
    _types({"complete": True, **content}, complete=bool)
    _types({"against_random": {}, **content}, against_random=dict)
    _types({"sentence": "", **content.get("against_random", {})}, sentence=str)
    _types({"note": "", **content}, note=str)
    _means(content["accuracy"].values())
    for score in content["accuracy"].values():
        _numbers(score, {"epochs"} & score.keys())
    for score in content.get("paper", {}).values():
        _numbers(score, ("mean", *({"std"} & score.keys())))  # not every paper gives one
    _circumstances(content)


def evaluation(content: dict) -> None:
    """Checks an evaluation, and fills in what a stopped one does not hold yet."""
    for name, empty in {"rows": [], "settings": {}}.items():
        content.setdefault(name, empty)
    _types({"diverged": {}, **content}, rows=list, settings=dict, diverged=dict)
    for row in content["rows"]:
        _types(row, network=str, recipe=str, augmented=bool, command=str)
        _means([row["accuracy"]["condensed"], *row["accuracy"].values()])
        _numbers(row, [name for name in SCORES if row.get(name) is not None])
        _types({"left_out": "", **row}, left_out=str)
        _numbers(row["accuracy"].get("whole", {}), {"epochs"} & row["accuracy"].get("whole", {}).keys())
    _circumstances(content)


def comparison(content: dict) -> None:
    for row in content["rows"]:
        _types(row, method=str, ipc=int | None, students=int, set_means=list)
        for each in row.get("by_minutes", []):
            _numbers(each, ("mark", "minutes", "mean", "std"))
    _means(content["rows"])
    _types(content, command=str, dataset=str, evaluation=dict)
    _types(content["evaluation"], eval_epochs=int, eval_augment=str)
    _types({"note": "", **content}, note=str)
    _circumstances(content)


def continual(content: dict) -> None:
    _types(content, command=str, data=list, rows=list)
    for row in content["rows"]:
        _types(row, method=str, training=str, orders=int, bytes=list)
        _means([*row["accuracy"], row["forgetting"]])
        _numbers({"bytes": row["bytes"][-1]}, ("bytes",))
        if len(row["accuracy"]) != len(content["rows"][0]["accuracy"]):
            raise ValueError("its rows are of several lengths")
    if not content["rows"]:
        raise ValueError("it has no rows")
    _circumstances(content)


def search(content: dict) -> None:
    _types(content, command=str, dataset=str, asked_for=int, rows=list)
    for row in content["rows"]:
        _types(row, proxy=str)
        _types({"chosen": "", **row}, chosen=str)
        for found in filter(None, (row.get("top"), row.get("all"))):
            _numbers(found, ("value", "low", "high"))
        _numbers(row, [name for name in ("seconds", "images") if name in row])
        _numbers(row, [name for name in ("chosen_accuracy",) if row.get(name) is not None])
    _circumstances(content)


def _circumstances(content):
    """Checks what every file says of how it was made."""
    kinds = {"hardware": str, "python": str, "versions": dict}
    _types(content, **{name: kind for name, kind in kinds.items() if name in content})
    _numbers(content, [name for name in content if "seconds" in name or name == "peak_memory_gib"])


def _types(content, **kinds):
    for name, kind in kinds.items():
        if not isinstance(content[name], kind):
            raise TypeError(f"{name} is {content[name]!r}")


def _means(scores):
    for score in scores:
        _numbers(score, ("mean", "std"))


def _numbers(content, names):
    for name in names:
        value = content[name]
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}")
