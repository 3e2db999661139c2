"""Finds the recipe by which a set is judged: the one that it notes, or a paper's for the data set."""

import dataclasses
from typing import Any

import dcjax as dc
from dcjax.files import first_line
from experiments.methods import METHODS
from experiments.parts import RECIPES
from experiments.parts.values import check_ranges
from experiments.settings.settings import defaults

PAPERS = {method.recipe: method.name for method in METHODS.values() if method.recipe}
_NOTES = {
    "training",
    "schedule",
    "settings",
    "epochs",
    "augmentation",
    "mixing",
}  # how a set says how students are trained
_IPC = 10  # images per class whose published recipe is taken


def recipe(name: str, meta: dict[str, Any], dataset: str, epochs: int | None) -> tuple[str, dc.Recipe]:
    """Gives the recipe with its name: `own` is the one noted in a set's `meta`, or DC's for a set that notes none.

    Args:
        name: `own`, or one of `PAPERS`.
        meta: metadata of the set.
        dataset: name of the data set whose published settings are taken.
        epochs: epochs of training; the recipe's own number when None.

    Raises:
        InputError: the set notes a recipe that this version does not know; it is not judged by another without being asked.
    """
    noted = _noted(meta.get("recipe", {})) if name == "own" else None
    name = "dc" if name == "own" and noted is None else name
    schedule, settings, views = noted or (*_published(PAPERS[name], dataset), 1)
    part = RECIPES.members[schedule](**settings)
    if epochs and not hasattr(part, "eval_epochs"):
        raise dc.InputError(
            f"--epochs {epochs} is no setting of the recipe {name}, which trains for the steps that it was made for: leave it out."
        )
    part = dataclasses.replace(part, eval_epochs=epochs) if epochs else part
    return name, part.build(views)


def _published(method, dataset):
    own = defaults(method, dataset, _IPC)
    return own.eval_recipe, vars(own.parts["eval_recipe"])


def _noted(note):
    """Gives (name, settings, views of every source) of the recipe that a set notes, or None if it notes none."""
    if isinstance(note, dict) and not _NOTES & set(note):
        return None
    try:
        found = _read(note)
        part, views = _member(*found), note.get("views", 1)
        if not isinstance(views, int) or views < 1:
            raise ValueError(f"there are {views!r} views of every source")
        check_ranges(part)
        part.build()
    except (TypeError, ValueError) as error:
        reason = first_line(error).removeprefix("--").rstrip(".")
        raise dc.InputError(
            f"The set notes a recipe that this version does not know ({reason}): choose --recipes dc,dsa,idc."
        ) from None
    return *found, views


def _read(note):
    if not isinstance(note, dict):
        raise ValueError(f"it is {note!r} instead of facts by name")
    if "settings" in note:
        return note.get("schedule", "dc"), note["settings"]
    older = {"eval_epochs": "epochs", "eval_augment": "augmentation"}
    lacking = [name for name in older.values() if name not in note]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    settings = {setting: note[name] for setting, name in older.items()}
    return note.get("schedule", "dc"), settings | {"eval_mix": note.get("mixing", "none")}


def _member(schedule, settings):
    if not isinstance(schedule, str) or schedule not in RECIPES.members:
        raise ValueError(f"its schedule is {schedule!r}, not one of {', '.join(RECIPES.members)}")
    if not isinstance(settings, dict):
        raise ValueError(f"its settings are {settings!r}")
    unknown = set(settings) - {field.name for field in dataclasses.fields(RECIPES.members[schedule])}
    if unknown:
        raise ValueError(f"its settings have {', '.join(sorted(unknown))}")
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return RECIPES.members[schedule](**plain)
