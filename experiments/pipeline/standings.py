"""Ranks the candidates of a search by each proxy, and says how far that agrees with training on the whole set."""

import math
from typing import Any

import jax
import numpy as np
from rich.table import Table

from dcjax.ranking import bootstrap_interval, rank_correlation
from experiments.pipeline.record import WHOLE

TOP = 10
RANKED = (
    "Candidates are ranked by the accuracy on held-out training images of a network trained on the proxy, and correlated with that of "
    f"one trained on the whole set; the top {TOP} are the proxy's. A chosen network's accuracy is that on the test images after training on "
    "the whole set. Of equally good networks, the smallest is chosen. Times are those of training, without compiling; early stopping "
    "trains on the whole set for the time that the first proxy takes, a few steps more or less."
)


def ranked(candidates: dict[str, dict], proxy: str) -> list[str]:
    """Gives the names of the candidates that were trained on a proxy, the best first and of equally good ones the smallest."""
    found = [name for name, each in candidates.items() if proxy in each["trained"]]
    return sorted(found, key=lambda name: (-_accuracy(candidates[name], proxy), candidates[name]["parameters"], name))


def _accuracy(candidate, proxy, kind="accuracy"):
    """Gives an accuracy; 0 for a training that diverged, which so ranks last."""
    return candidate["trained"][proxy][kind] or 0.0


def rows(candidates: dict[str, dict], proxies: list[str], seed: int) -> list[dict]:
    """Gives a row for every proxy, and for the whole set.

    Args:
        candidates: parameters and trainings of every candidate, by name.
        proxies: names of the proxies.
        seed: of the bootstrap.
    """
    return [{"proxy": name, **_row(candidates, name, seed)} for name in (*proxies, WHOLE)]


def _row(candidates, proxy, seed):
    order = ranked(candidates, proxy)
    both = [name for name in order if WHOLE in candidates[name]["trained"]]
    is_known = len(both) == len(candidates if proxy == WHOLE else order)  # else the whole set was left to the best ones
    facts = {"candidates": len(order)}
    if order:
        facts |= {"chosen": order[0], "chosen_accuracy": _percent(candidates[order[0]])}
        facts |= {name: round(_total(candidates, order, proxy, name), 1) for name in ("seconds", "compile_seconds")}
        facts["images"] = round(_total(candidates, order, proxy, "images") / len(order))
    if set(order[:TOP]) <= set(both):
        facts["top"] = _correlated(candidates, order[:TOP], proxy, seed)
    if is_known:
        facts["all"] = _correlated(candidates, order, proxy, seed)
        facts["all_by_test"] = _correlated(candidates, order, proxy, seed, "test_accuracy")
    return facts


def _total(candidates, names, proxy, fact):
    return sum(candidates[name]["trained"][proxy].get(fact, 0) for name in names)


def _percent(candidate):
    return round(100 * _accuracy(candidate, WHOLE, "test_accuracy"), 2) if WHOLE in candidate["trained"] else None


def _correlated(candidates, names, proxy, seed, kind="accuracy"):
    """Correlates the accuracies of some candidates by the proxy and by the whole set, with a 95 % interval; None where they are all alike."""
    pairs = [np.array([_accuracy(candidates[name], *by) for name in names]) for by in ((proxy,), (WHOLE, kind))]
    if len(names) < 3:
        return None
    value = rank_correlation(*pairs)
    low, high = bootstrap_interval(jax.random.key(seed), rank_correlation, *pairs)
    return None if math.isnan(value) else {"value": round(value, 3), "low": round(low, 3), "high": round(high, 3)}


def points(candidates: dict[str, dict], proxies: list[str]) -> dict[str, list[tuple[float, float]]]:
    """Gives for every proxy the accuracies in percent of each candidate that was also trained on the whole set: by it, and by the whole set."""
    return {
        proxy: [
            (100 * _accuracy(each, proxy), 100 * _accuracy(each, WHOLE))
            for each in candidates.values()
            if {proxy, WHOLE} <= each["trained"].keys()
        ]
        for proxy in proxies
    }


def table(title: str, found: list[dict[str, Any]]) -> Table:
    """Tabulates the rows."""
    out = Table(title=title)
    out.add_column("trained on")
    for name in (f"correlation, top {TOP}", "correlation, all", "chosen", "accuracy (%)", "minutes", "images", "KiB"):
        out.add_column(name, justify="left" if name == "chosen" else "right")
    for row in found:
        accuracy = row.get("chosen_accuracy")
        cells = [_words(row.get("top")), _words(row.get("all")), row.get("chosen", "").removeprefix("convnet:")]
        cells += ["" if accuracy is None else f"{accuracy:.1f}", f"{row.get('seconds', 0) / 60:.1f}"]
        out.add_row(row["proxy"], *cells, str(row.get("images", "")), f"{row.get('bytes', 0) / 1024:.0f}")
    return out


def _words(correlation):
    return "{value:.2f} ({low:.2f} to {high:.2f})".format(**correlation) if correlation else ""
