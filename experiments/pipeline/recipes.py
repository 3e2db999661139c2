"""Finds the recipe by which a set is judged: the one that it notes, or a paper's for the data set."""

from typing import Any

import dcjax as dc
from experiments.methods import METHODS
from experiments.parts import RECIPES
from experiments.parts.values import check_ranges
from experiments.settings.settings import defaults

PAPERS = {method.recipe: method.name for method in METHODS.values() if method.recipe}
_IPC = 10  # images per class whose published recipe is taken


def recipe(name: str, meta: dict[str, Any], dataset: str, epochs: int | None) -> tuple[str, dc.Recipe]:
    """Gives the recipe with its name: `own` is the one noted in a set's `meta`, or DC's for a set that notes none.

    Args:
        name: `own`, or one of `PAPERS`.
        meta: metadata of the set.
        dataset: name of the data set whose published settings are taken.
        epochs: epochs of training; the recipe's own number when None.
    """
    noted = _noted(meta.get("recipe", {})) if name == "own" else None
    name = "dc" if name == "own" and noted is None else name
    schedule, settings = noted or _published(PAPERS[name], dataset)
    return name, RECIPES.members[schedule](**settings | ({"eval_epochs": epochs} if epochs else {})).build()


def _published(method, dataset):
    own = defaults(method, dataset, _IPC)
    return own.eval_recipe, vars(own.parts["eval_recipe"])


def _noted(note):
    """Gives (name, settings) of the recipe that a set notes, or None if it notes none that is known here."""
    try:
        older = {
            "eval_epochs": note["epochs"],
            "eval_augment": note["augmentation"],
            "eval_mix": note.get("mixing", "none"),
        }
        found = note.get("schedule", "dc"), note.get("settings", older)
        part = RECIPES.members[found[0]](**found[1])
        check_ranges(part)
        part.build()
    except (KeyError, TypeError, AttributeError, dc.InputError):
        return None
    return found
