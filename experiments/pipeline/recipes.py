"""Finds the recipe by which a set is judged: the one that it notes, its method's, or a paper's for the data set and the set."""

import dataclasses
from typing import Any

import dcjax as dc
from dcjax.decoders import factor_of
from dcjax.files import first_line
from experiments.methods import METHODS
from experiments.parts import RECIPES
from experiments.parts.values import check_ranges
from experiments.settings.settings import paper_settings

_OFFERED = [method for method in METHODS.values() if method.recipe]
PAPERS = {each.recipe: [other.name for other in _OFFERED if other.recipe == each.recipe] for each in _OFFERED}
_NOTES = {
    "training",
    "schedule",
    "settings",
    "epochs",
    "augmentation",
    "mixing",
}  # how a set says how students are trained
_IPC = 10  # images per class whose published recipe is taken where no number is known


def recipe(name: str, meta: dict[str, Any], dataset: str, epochs: int | None) -> tuple[str, dc.Recipe]:
    """Gives the recipe with its name: `own` is the one noted in a set's `meta`, or the published one of the method noted there.

    Args:
        name: `own`, or one of `PAPERS`.
        meta: metadata of the set; a published recipe may depend on the `ipc` and the factor noted there.
        dataset: name of the data set whose published settings are taken.
        epochs: epochs of training; the recipe's own number when None.

    Raises:
        InputError: the set notes a recipe that this version does not know, or neither a recipe nor a method that has one; it is not
            judged by another without being asked.
    """
    noted = _noted(meta.get("recipe", {})) if name == "own" else None
    name = _paper(meta) if name == "own" and noted is None else name
    schedule, settings, views = noted or (*_published(name, dataset, meta), 1)
    part = RECIPES.members[schedule](**settings)
    if epochs and not hasattr(part, "eval_epochs"):
        raise dc.InputError(
            f"--epochs {epochs} is no setting of the recipe {name}, which trains for the steps that it was made for: leave it out."
        )
    part = dataclasses.replace(part, eval_epochs=epochs) if epochs else part
    return name, part.build(views)


def full_epochs(name: str, meta: dict[str, Any], dataset: str) -> int | None:
    """Gives the epochs that a recipe trains for as published: for a set's own, those of its method's paper or else those that it notes.

    None for a recipe that is not of epochs.
    """
    noted = _noted(meta.get("recipe", {})) if name == "own" else None
    if noted is None:
        return _published(_paper(meta) if name == "own" else name, dataset, meta)[1].get("eval_epochs")
    (schedule, settings, _), method = noted, meta.get("method")
    if method in METHODS:
        paper = paper_settings(method, dataset, meta.get("ipc") or _IPC, {})
        settings = vars(paper.parts["eval_recipe"]) if paper.eval_recipe == schedule else settings
    return settings.get("eval_epochs")


def _paper(meta):
    """Names the recipe of the method that a set notes: as in `PAPERS`, or else as the method itself."""
    method = meta.get("method")
    if method not in METHODS:
        known = f"the method {method!r}, which has no published one" if method else "nothing of how it was made"
        raise dc.InputError(
            f"The set notes no recipe, and {known}: give --recipes {','.join(PAPERS)}, or some of them."
        )
    return METHODS[method].recipe or method


def _published(name, dataset, meta):
    """Gives the name and the settings of a recipe by the method of that paper which cuts its images as the set's are cut."""
    factor, ipc = factor_of(meta), meta.get("ipc", _IPC)
    known = [paper_settings(method, dataset, ipc, {}) for method in PAPERS.get(name, [name])]
    own = min(known, key=lambda each: abs(each.values().get("factor", 1) - factor))
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
