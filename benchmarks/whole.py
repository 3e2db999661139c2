"""Makes whole sets by dcjax and by the PyTorch peer from other seeds, and tells whether students and losses can tell them apart.

python -m benchmarks.whole                                          # ten sets of DC and of IDC by each side; about two hours
python -m benchmarks.whole --methods dc --sets 4 --out whole.json

MNIST, one image per class, ConvNet-32: DC with 120 comparisons, IDC with 200. One evaluation judges all sets: students trained for 300
epochs without augmentation. What is made lies in --workdir, and the same command goes on from there. The sides differ where dcjax differs
from IDC's program: ours clamps pixels at every step, the peer once per network; ours trains IDC's networks on the images of the comparison, as
many of every class, the peer on any of the training set. DC is the same on both.
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import ttest_ind

import dcjax as dc
from benchmarks import tables
from dcjax import sharding
from dcjax.files import writing
from dcjax.parameterizations import class_labels
from experiments.methods import METHODS
from experiments.pipeline.endings import exit_code
from experiments.pipeline.execute import make
from experiments.pipeline.machine import configure_jax, environment, release_programs
from experiments.pipeline.rundir import write_text
from experiments.pipeline.stop import StopRequest
from experiments.settings.parse import parse

WIDTH, STUDENTS, EPOCHS = 32, 5, 300
ITERATIONS = {"dc": (120, 1), "idc": (2, 100)}  # and the comparisons in each
SIDES = ("ours", "peer")


def made(side: str, method: str, seed: int, place: Path) -> tuple[dc.Batch, np.ndarray]:
    """Makes a set, unless it is there already; gives it with the mean loss of every iteration."""
    return (_ours if side == "ours" else _peer)(method, seed, place / _name(side, method, seed))


def _name(side, method, seed):
    iterations, matches = ITERATIONS[method]
    return f"{method}-{iterations}x{matches}-width-{WIDTH}-{side}-{seed}"


def _ours(method, seed, place):
    if not (place / "condensed.npz").exists():
        going_on = ["--resume"] if (place / "config.json").is_file() else []
        with StopRequest() as stop:
            make(parse([*words(method, seed, place), *going_on]), stop)
        release_programs()
    rows = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    return dc.load_condensed(place / "condensed.npz").batch, np.array([row["loss"] for row in rows if "loss" in row])


def words(method: str, seed: int, place: Path) -> list[str]:
    """Gives the command line of experiments.run that makes a set of ours."""
    of_set = ["--method", method, "--dataset", "mnist", "--ipc", "1", "--width", str(WIDTH), "--seed", str(seed)]
    return [*of_set, "--iterations", str(ITERATIONS[method][0]), "--eval-at", "0", "--workdir", str(place)]


def _peer(method, seed, place):
    (iterations, matches), path = ITERATIONS[method], place.with_name(f"{place.name}.npz")
    if not path.exists():
        program = [sys.executable, "-m", "benchmarks.whole_peer"]
        subprocess.run([*program, method, str(iterations * matches), str(WIDTH), str(seed), str(path)], check=True)
    with np.load(path) as found:
        images, losses = found["images"], found["losses"]
    of_class = losses / len(images)  # the peer's is a sum over classes
    return dc.Batch(images, class_labels(*images.shape[:2])), of_class.reshape(iterations, matches).mean(1)


def judged(key: dc.Key, batch: dc.Batch, data: dc.data.Dataset) -> list[float]:
    """Trains students on a set and gives their accuracies in percent."""
    net = dc.network(dc.networks.ConvNet(data.num_classes, WIDTH), data.image_shape)
    found = dc.evaluate(key, net, batch, data.test, recipe=dc.dc_recipe(EPOCHS), num_students=STUDENTS)
    return [round(100 * float(accuracy), 2) for accuracy in found]


def measured(methods: list[str], sets: int, place: Path, data: dc.data.Dataset) -> list[dict]:
    """Makes and judges all sets that are not yet, the sides in turn: a row for each."""
    rows = []
    for method, seed, side in itertools.product(methods, range(sets), SIDES):
        noted = place / f"{_name(side, method, seed)}.json"
        if not noted.exists():
            write_text(noted, json.dumps(_row(side, method, seed, place, data)))
        rows.append(json.loads(noted.read_text()))
        accuracy = np.mean(rows[-1]["accuracies"])
        print(method, side, seed, f"{accuracy:.1f} %", f"loss {rows[-1]['losses'][-1]:.4g}", flush=True)
    return rows


def _row(side, method, seed, place, data):
    batch, losses = made(side, method, seed, place)
    accuracies = judged(jax.random.fold_in(jax.random.key(seed), SIDES.index(side)), batch, data)
    losses = [round(float(loss), 4) for loss in losses]
    return {"method": method, "side": side, "seed": seed, "accuracies": accuracies, "losses": losses}


def told_apart(rows: list[dict], method: str) -> list[tuple[str, ...]]:
    """Compares both sides by accuracy and by loss, whose values are means over a set's students and over parts of its iterations."""
    by_side = {side: [row for row in rows if (row["method"], row["side"]) == (method, side)] for side in SIDES}
    losses = {side: np.array([row["losses"] for row in found]) for side, found in by_side.items()}
    half = max(losses["ours"].shape[1] // 2, 1)
    values = {
        "accuracy, %": {side: [np.mean(row["accuracies"]) for row in found] for side, found in by_side.items()},
        "loss, first half": {side: found[:, :half].mean(1) for side, found in losses.items()},
        "loss, second half": {side: found[:, half:].mean(1) for side, found in losses.items()},
    }
    return [(method, name, *_compared(*(np.asarray(each[side]) for side in SIDES))) for name, each in values.items()]


def _compared(ours, peer):
    errors = [values.std(ddof=1) / math.sqrt(len(values)) for values in (ours, peer)]
    difference, error = ours.mean() - peer.mean(), math.hypot(*errors)
    sides = [f"{values.mean():.4g} ± {each:.2g}" for values, each in zip((ours, peer), errors)]
    test = ttest_ind(ours, peer, equal_var=False)
    low, high = test.confidence_interval()
    return *sides, f"{difference / error:+.1f}", f"{test.pvalue:.2g}", f"{low:+.2g} to {high:+.2g}"


def draw(path: Path, rows: list[dict]) -> None:
    """Draws for every method the mean loss over its comparisons with its standard error over sets, and the accuracy of each set."""
    methods = [*dict.fromkeys(row["method"] for row in rows)]
    figure, axes = plt.subplots(len(methods), 2, figsize=(9, 3 * len(methods)), squeeze=False, layout="constrained")
    for (left, right), method in zip(axes, methods):
        for place, side in enumerate(SIDES):
            found = [row for row in rows if (row["method"], row["side"]) == (method, side)]
            losses = np.array([row["losses"] for row in found])
            mean, error = losses.mean(0), losses.std(0, ddof=1) / math.sqrt(len(found))
            comparisons = np.arange(1, len(mean) + 1) * ITERATIONS[method][1]
            left.plot(comparisons, mean, label=side, marker="o" if len(mean) < 10 else None)
            left.fill_between(comparisons, mean - error, mean + error, alpha=0.3)
            right.plot([np.mean(row["accuracies"]) for row in found], [place] * len(found), "o", alpha=0.6)
        left.set(
            title=METHODS[method].title, xlabel="comparisons", ylabel="mean loss since the point before", yscale="log"
        )
        left.legend()
        right.set(xlabel="test accuracy of a set (%)", yticks=range(len(SIDES)), yticklabels=SIDES, ylim=(-0.5, 1.5))
    with writing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    plt.close(figure)


HEADING = (
    "method",
    "of a set",
    "ours ± standard error",
    "peer",
    "difference / its error",
    "p (Welch)",
    "95 % interval of the difference",
)


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(run, argv)


def run(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=ITERATIONS, default=[*ITERATIONS])
    parser.add_argument("--sets", type=int, default=10, help="of each method and side (10)")
    parser.add_argument("--workdir", type=Path, default=Path("runs/whole"), help="where sets are kept (runs/whole)")
    parser.add_argument(
        "--out", type=Path, help="where to write the measurements as JSON, and a plot of them beside it"
    )
    wanted = parser.parse_args(argv)
    if wanted.sets < 2:
        sys.exit("error: --sets is at least 2, since what is compared are means over sets with their errors.")
    if wanted.out and (wanted.out.suffix != ".json" or not wanted.out.parent.is_dir()):
        sys.exit(f"error: --out {wanted.out} must be a .json file in a folder that is there; a plot goes beside it.")
    wanted.workdir.mkdir(parents=True, exist_ok=True)
    configure_jax()
    with sharding.across():
        data = dc.data.load("mnist")
        rows = measured(wanted.methods, wanted.sets, wanted.workdir, data.replicated())
        facts = environment()
    print(tables.table(HEADING, [line for method in wanted.methods for line in told_apart(rows, method)]))
    if wanted.out:
        wanted.out.write_text(json.dumps({"rows": rows, **facts}, indent=1) + "\n")
        draw(wanted.out.with_suffix(".png"), rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
