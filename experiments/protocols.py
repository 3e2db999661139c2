"""The recipes by name that `experiments.evaluate` trains students by, as they are published for a dataset."""

import dcjax as dc
from experiments.build import AUGMENTS, MIXES
from experiments.config import Config
from experiments.presets import UNFLIPPED, preset


def _dc(dataset, epochs):
    own = preset("dc", dataset, 1)
    published = own.get("eval_epochs", Config.eval_epochs)
    return dc.dc_recipe(epochs or published, AUGMENTS[own.get("eval_augment", Config.eval_augment)])


def _dsa(dataset, epochs):
    return dc.dsa_recipe(epochs or 1000, AUGMENTS["dsa_digits" if dataset in UNFLIPPED else "dsa"])


def _idc(dataset, epochs):
    return dc.idc_recipe(epochs or 1000, AUGMENTS["idc_digits" if dataset in UNFLIPPED else "idc"])


_RECIPES = {"dc": _dc, "dsa": _dsa, "idc": _idc}


def recipe(name: str, meta: dict, dataset: str, epochs: int | None) -> tuple[str, dc.Recipe]:
    """The recipe with its name: `own` is the one noted in a set's `meta`, or DC's for a set that says nothing of it.

    Args:
        name: `own`, `dc`, `dsa` or `idc`.
        meta: of the set.
        dataset: whose published settings are taken.
        epochs: in place of the recipe's own number where given.
    """
    noted = meta.get("recipe", {})
    if name != "own":
        return name, _RECIPES[name](dataset, epochs)
    if noted.get("augmentation") in AUGMENTS and "epochs" in noted:
        mix = MIXES.get(noted.get("mixing"), dc.augment.no_mixing)
        schedule = dc.idc_recipe if noted.get("schedule") == "idc" else dc.dc_recipe
        return name, schedule(epochs or noted["epochs"], AUGMENTS[noted["augmentation"]])._replace(mix=mix)
    return "dc", _dc(dataset, epochs)
