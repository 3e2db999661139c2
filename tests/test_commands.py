"""Coresets, evaluations and what runs leave of their methods, on a few students of a small network."""

import contextlib
import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import PIL.Image
import pytest

import dcjax as dc
from experiments import parts
from experiments.evaluate import evaluate
from experiments.evaluate import main as evaluate_main
from experiments.export import main as export_main
from experiments.parts import part as ownership
from experiments.parts.part import Context, ObjectivePart
from experiments.parts.values import Rate
from experiments.pipeline import lock, pictures, recipes, rivals, show
from experiments.pipeline.endings import Diverged
from experiments.pipeline.job import prepare
from experiments.pipeline.pretrain import Pretraining
from experiments.pipeline.stop import StopRequest
from experiments.report import heat
from experiments.run import main, run
from experiments.settings.parse import parse

QUICK = ("--network", "mlp", "--eval-epochs", "1", "--num-students", "2")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="chosen", scope="module")
def _chosen(tmp_path_factory):
    """A run directory of two random images per class."""
    run = tmp_path_factory.mktemp("runs") / "random"
    assert main(["--method", "random", "--ipc", "2", *QUICK, "--workdir", str(run)]) == 0
    return run


def test_a_coreset_is_a_run_directory_of_real_images(chosen):
    files = {"config.json", "data.json", "scores.json", "condensed.npz", "condensed.png", "result.json"}
    assert {path.name for path in chosen.glob("[!.]*")} == files
    real = {image.tobytes() for image in np.asarray(dc.data.load("digits").train.image)}
    pixels = dc.load_condensed(chosen / "condensed.npz").pixels.reshape(20, 8, 8, 1)
    assert all(np.round(image * 255).astype(np.uint8).tobytes() in real for image in pixels)
    assert set(json.loads((chosen / "result.json").read_text())["accuracy"]) == {"condensed", "random"}


def test_a_coreset_that_was_stopped_is_not_chosen_again(chosen, monkeypatch):
    shutil.copytree(chosen, "run")
    Path("run/scores.json").unlink()
    monkeypatch.setattr("experiments.pipeline.execute.select", None)
    assert main(["--resume", "--workdir", "run"]) == 0
    before, after = (dc.load_condensed(place / "condensed.npz").compact["image"] for place in (chosen, Path("run")))
    np.testing.assert_array_equal(before, after)
    results = [json.loads((place / "result.json").read_text()) for place in (chosen, Path("run"))]
    assert results[0]["accuracy"] == results[1]["accuracy"]
    assert results[1]["complete"]


@pytest.mark.parametrize("method", ["herding", "k_center", "forgetting", "kmeans"])
def test_every_coreset_chooses_other_images(method, chosen):
    assert (
        main(["--method", method, "--ipc", "3", *QUICK, "--coreset-epochs", "1", "--no-baseline", "--workdir", "run"])
        == 0
    )
    batch = dc.load_condensed("run/condensed.npz").batch
    assert batch.image.shape == (10, 3, 8, 8, 1)
    assert "random" not in json.loads(Path("run/result.json").read_text())["accuracy"]
    (chosen.parent / f"{method}.npy").write_bytes(np.asarray(batch.image).tobytes())
    seen = [path.read_bytes() for path in chosen.parent.glob("*.npy")]
    assert len(set(seen)) == len(seen)


@pytest.mark.slow
def test_evaluate_sets_a_set_beside_its_rivals(chosen, monkeypatch):
    words = [str(chosen), "--recipes", "dsa,dc", "--networks", "mlp", "--augmentation", "both", "--num-students", "2"]
    words += ["--epochs", "1", "--whole-epochs", "1", "--whole-students", "1"]
    monkeypatch.setattr(rivals, "full_epochs", lambda *of: 1)  # as many as the whole set is trained on
    evaluate(words)
    noted = json.loads((chosen / "evaluation.json").read_text())
    cases = [(row["network"], row["recipe"], row["augmented"]) for row in noted["rows"]]
    assert cases == [("mlp", "dsa", True), ("mlp", "dsa", False), ("mlp", "dc", False)]  # DC does not augment digits
    for row in noted["rows"]:
        mean = {name: score["mean"] / 100 for name, score in row["accuracy"].items()}
        assert {name: score["students"] for name, score in row["accuracy"].items()} == {
            "condensed": 2,
            "random": 2,
            "whole": 1,
        }
        assert row["relative"] == pytest.approx(mean["condensed"] / mean["whole"], abs=1e-3)
        assert row["hlr"] == pytest.approx(mean["whole"] - mean["condensed"], abs=1e-3)
        assert row["ior"] == pytest.approx(mean["condensed"] - mean["random"], abs=1e-3)
        assert 0 <= row["lrs"] <= 1
        assert row["ars"] is None if row["recipe"] == "dc" else 0 <= row["ars"] <= 1
    # What was measured is not measured again, nor lost.
    monkeypatch.setattr(rivals, "accuracies", lambda *args, finished, **_: np.asarray(finished))
    evaluate([words[0], "--recipes", "dsa", *words[3:]])
    again = json.loads((chosen / "evaluation.json").read_text())
    told = [{name: value for name, value in row.items() if name != "command"} for row in again["rows"] + noted["rows"]]
    assert sorted(map(str, told[: len(told) // 2])) == sorted(map(str, told[len(told) // 2 :]))


def test_a_set_is_tested_on_the_network_that_it_was_made_for(monkeypatch):
    for module in ("score", "rivals"):
        monkeypatch.setattr(f"experiments.pipeline.{module}.accuracies", lambda *args, **how: np.array([0.5]))
    assert main(["--method", "random", "--width", "4", "--no-baseline"]) == 0
    seen = []
    monkeypatch.setattr(rivals, "network", lambda name, width, data: seen.append(width))
    evaluate(["runs/random-digits-1", "--rivals", "none"])
    assert seen == [4]


def test_random_rivals_are_as_many_and_as_large():
    images = np.zeros((3, 4, 8, 8, 1), np.float32)
    batch = dc.Batch(images, np.broadcast_to(np.eye(3)[:, None], (3, 4, 3)))
    normalisation = dc.normalisation.MeanStd((0.5,), (0.5,))
    condensed = dc.Condensed(batch, ("a", "b", "c"), normalisation, {"image": images}, {}, {"ipc": 4})
    assert rivals.random_rivals(condensed) == {"random": 4}
    halves = condensed._replace(compact={"image": images[:, :2]}, meta={"ipc": 1})
    assert rivals.random_rivals(halves) == {"random": 1, "random_equal_bytes": 2}
    assert rivals.random_rivals(condensed._replace(compact={}, meta={})) == {"random": 4}


def test_a_set_made_elsewhere_is_evaluated_on_the_data_named():
    digits = dc.data.load("digits")
    image = np.asarray(digits.train.image)[np.cumsum(digits.train.counts) - 1]
    np.savez("theirs.npz", images=image, labels=np.arange(10))
    words = ["theirs.npz", "--num-students", "1", "--epochs", "1", "--networks", "mlp", "--rivals", "random"]
    with pytest.raises(dc.InputError, match="does not say what it was made from: give --dataset"):
        evaluate(words)
    with pytest.raises(
        dc.InputError, match=r"^theirs.npz: The set notes no recipe, and nothing .*: give --recipes dc,"
    ):
        evaluate([*words, "--dataset", "digits"])
    words += ["--recipes", "dc"]
    evaluate([*words, "--dataset", "digits"])
    (row,) = json.loads(Path("theirs.npz-evaluation.json").read_text())["rows"]
    assert set(row["accuracy"]) == {"condensed", "random"}
    evaluate([*words, "--dataset", "digits", "--num-students", "2"])
    (more,) = json.loads(Path("theirs.npz-evaluation.json").read_text())["rows"]
    for name, score in more["accuracy"].items():
        assert score["values"][:1] == row["accuracy"][name]["values"]
        assert score["students"] == 2
    with pytest.raises(dc.InputError, match="holds an evaluation under other settings"):
        evaluate([*words, "--dataset", "digits", "--seed", "1"])


def published(path, accuracies):
    """A file of DC with two sets of real digits."""
    torch = pytest.importorskip("torch")
    digits = dc.data.load("digits")
    image = [np.moveaxis(np.asarray(digits.sample(jax.random.key(i), 1).image)[:, 0], -1, 1).copy() for i in range(2)]
    pairs = [[torch.tensor(x), torch.arange(10)] for x in image]
    torch.save({"data": pairs, "accs_all_exps": accuracies}, path)


def test_what_a_published_file_states_stands_beside_what_is_measured(monkeypatch):
    monkeypatch.setattr(rivals, "accuracies", lambda *args, **how: np.array([0.5]))
    stated = {"ConvNet": [0.25, 0.75], "MLP": [0.875, 0.375], "ConvNetBN": [0.125, 0.125]}
    published("res_DM_digits_ConvNet_1ipc.pt", stated)
    evaluate(["res_DM_digits_ConvNet_1ipc.pt", "--dataset", "digits", "--networks", "convnet,mlp,convnet:width=4"])
    for i, expected in ((0, [25.0, 87.5, None]), (1, [75.0, 37.5, None])):
        rows = json.loads(Path(f"res_DM_digits_ConvNet_1ipc.pt-evaluation-{i}.json").read_text())["rows"]
        assert [row["accuracy"].get("stated", {}).get("mean") for row in rows] == expected
        assert [row["recipe"] for row in rows] == ["dm"] * 3
        assert all(row["accuracy"]["condensed"]["mean"] == 50 for row in rows)


def test_a_folder_of_pictures_says_no_recipe(monkeypatch):
    monkeypatch.setattr(rivals, "accuracies", lambda *args, **how: np.array([0.5]))
    digits = dc.data.load("digits")
    for name, image in zip(digits.class_names, np.asarray(digits.train.image)[np.cumsum(digits.train.counts) - 1]):
        (Path("theirs") / name).mkdir(parents=True)
        PIL.Image.fromarray(image[..., 0]).save(Path("theirs") / name / "0.png")
    words = ["theirs", "--dataset", "digits", "--rivals", "none"]
    with pytest.raises(
        dc.InputError, match=r"^theirs: The set notes no recipe, and nothing of how it was made: give --rec"
    ):
        evaluate(words)
    evaluate([*words, "--recipes", "dsa"])


def test_idc_s_file_is_judged_by_idc_s_recipe_for_its_factor(monkeypatch):
    torch = pytest.importorskip("torch")
    seen = []
    monkeypatch.setattr(rivals, "accuracies", lambda *args, **how: seen.append((args, how)) or np.array([0.5]))
    image = np.asarray(dc.data.load("digits").train.image)[:20] / np.float32(255)
    torch.save([torch.tensor(np.moveaxis(image, -1, 1).copy()), torch.arange(20) // 2], "data.pt")
    words = ["data.pt", "--dataset", "digits"]
    with pytest.raises(dc.InputError, match=r"data.pt is a bare pair .* \(--factor\)"):
        evaluate(words)
    evaluate([*words, "--factor", "2", "--rivals", "random"])
    ((_, _, own, _, _), how), ((_, _, drawn, _, _), _) = seen  # no third: as many random images fill as many bytes
    assert own.image.shape == (1, 80, 8, 8, 1)
    assert drawn.ipc == 2
    assert how["recipe"] == recipes.recipe("idc", {"ipc": 2, "factor": 2}, "digits", None)[1]


@pytest.mark.parametrize(
    ("name", "stored", "factor", "mix"),
    [
        ("mnist", 2, 1, "cutmix"),
        ("mnist", 2, 2, "none"),
        ("svhn_cropped", 1, 1, "none"),
        ("svhn_cropped", 2, 1, "cutmix"),
    ],
)
def test_a_set_of_unknown_making_is_judged_by_the_recipe_for_as_many_images_and_cells(name, stored, factor, mix):
    """The number of images is counted where it is not noted."""
    digits = dataclasses.replace(dc.data.load("digits"), name=name)
    batch = digits.sample(jax.random.key(0), stored)
    condensed = dc.Condensed(batch, digits.class_names, digits.train.normalisation, {}, {}, {"factor": factor})
    terms = rivals.Terms(("mlp",), ("idc",), (True,), ("none",), 1, 1, 1, 1, 0)
    seen = []

    class Store:
        def measure(self, case, evaluation):
            evaluation([], None)
            return {"mean": 50.0, "std": 0.0}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rivals, "accuracies", lambda *args, **how: seen.append(how["recipe"]))
        rivals.Tests(terms, StopRequest()).rows(rivals.Entry("set", condensed, digits, "", 128, Store()))
    assert [each.mix for each in seen] == [parts.choices.MIXES[mix]]


def test_a_factor_that_no_set_takes_is_refused(tmp_path):
    np.savez("theirs.npz", images=np.zeros((10, 8, 8, 1), np.uint8), labels=np.arange(10))
    with pytest.raises(dc.InputError, match=r"^--factor is for a bare pair .* but no set is one: leave it out"):
        evaluate(["theirs.npz", "--dataset", "digits", "--recipes", "dc", "--factor", "2"])


@pytest.mark.slow
def test_idc_with_a_pool_leaves_a_set_that_says_how_it_is_decoded():
    words = ["--method", "idc", "--network", "mlp", "--distance", "squared_error", "--augment", "none"]
    words += ["--iterations", "1", "--matches", "3", "--pool", "2", "--pool-epochs", "1", "--network-mix", "none"]
    words += [*QUICK, "--eval-augment", "none", "--eval-mix", "none"]
    run([*words, "--no-baseline", "--workdir", "run"])
    made = dc.load_condensed(Path("run/condensed.npz"))
    assert {name: x.shape for name, x in made.compact.items()} == {"image": (10, 1, 8, 8, 1)}
    assert made.batch.image.shape == (10, 4, 8, 8, 1)
    assert 0 <= made.compact["image"].min() < made.compact["image"].max() <= 1
    decoder = {"name": "multi_formation", "arguments": {"ipc": 1, "factor": 2}}
    decoder |= {"image_space": "pixel", "labels": "hard"}
    assert made.meta["decoder"] == decoder
    np.testing.assert_allclose(made.decode().image, made.batch.image, atol=1e-5)


def test_an_evaluation_goes_to_the_directory_that_is_named(chosen, monkeypatch):
    monkeypatch.setattr(rivals, "accuracies", lambda *args, **how: np.array([0.5]))
    evaluate([str(chosen), "--rivals", "none", "--workdir", "here/there"])
    shutil.copytree(chosen, "another")
    evaluate([str(chosen), "another/condensed.npz", "--rivals", "none", "--workdir", "here/there"])
    written = {path.name for path in Path("here/there").glob("[!.]*")}
    assert written == {f"{chosen.name}-evaluation.json", "another-evaluation.json"}
    with pytest.raises(dc.InputError, match=r"another-evaluation.json: evaluate each with a --workdir of its own"):
        evaluate(["another", "another/condensed.npz", "--rivals", "none", "--workdir", "here/there"])
    Path("file").write_text("")
    with pytest.raises(dc.InputError, match=r"file/x cannot be made .*: give another --workdir"):
        evaluate([str(chosen), "--rivals", "none", "--workdir", "file/x"])


def test_a_network_whose_students_all_diverge_leaves_what_others_reached(chosen, monkeypatch, capsys):
    def accuracies(*args, title, **how):
        return np.array([np.nan if any(lost in title for lost in ("mlp", "depth=2/dc plain/random")) else 0.5])

    monkeypatch.setattr(rivals, "accuracies", accuracies)
    words = [str(chosen), "--rivals", "random", "--recipes", "dc", "--workdir", "here"]
    evaluate([*words, "--networks", "convnet,mlp,convnet:depth=2"])
    noted = json.loads(Path(f"here/{chosen.name}-evaluation.json").read_text())
    assert [*noted["diverged"]] == ["mlp/dc plain/condensed", "convnet:depth=2/dc plain/random"]
    assert [text[:18] for text in heat.networks(noted).left_out] == ["Not in the table: "] * 2
    found = [(row["network"], [*row["accuracy"]]) for row in noted["rows"]]
    assert found == [("convnet", ["condensed", "random"]), ("convnet:depth=2", ["condensed"])]
    told = capsys.readouterr().out
    for lost in ("mlp/dc plain/condensed", "convnet:depth=2/dc plain/random"):
        assert f"Not in the table: {chosen}, {lost}. The training of all 1 students diverged" in told
    assert evaluate_main([*words, "--networks", "mlp"]) == 1
    assert "mlp/dc plain/condensed. The training of all 1 students diverged" in capsys.readouterr().err


def test_what_another_command_measured_before_this_one_held_the_file_stays(chosen, monkeypatch):
    monkeypatch.setattr(rivals, "accuracies", lambda *args, **how: np.array([0.5]))
    words = [str(chosen), "--rivals", "none", "--workdir", "here"]
    evaluate([*words, "--networks", "mlp"])
    finished = Path(f"here/{chosen.name}-evaluation.json").read_bytes()
    Path(f"here/{chosen.name}-evaluation.json").unlink()

    @contextlib.contextmanager
    def held(directory, what):
        (directory / what.removeprefix(".")).write_bytes(finished)
        yield

    monkeypatch.setattr(lock, "held", held)
    evaluate([*words, "--networks", "convnet"])
    rows = json.loads(Path(f"here/{chosen.name}-evaluation.json").read_text())["rows"]
    assert [row["network"] for row in rows] == ["mlp", "convnet"]


def test_a_recipe_that_does_not_augment_gives_one_row_named_after_itself():
    digits = dc.data.load("digits")
    batch = digits.sample(jax.random.key(0), 1)
    condensed = dc.Condensed(batch, digits.class_names, digits.train.normalisation, {}, {}, {"method": "dc"})
    terms = rivals.Terms(("mlp",), ("own", "dc"), (True, False), ("none",), 1, 1, 1, 1, 0)

    class Store:
        def measure(self, case, evaluation):
            return {"mean": 50.0, "std": 0.0, "case": case}

    rows, _ = rivals.Tests(terms, None).rows(rivals.Entry("set", condensed, digits, "", 128, Store()))
    assert [(row["recipe"], row["augmented"], row["accuracy"]["condensed"]["case"]) for row in rows] == [
        ("dc", False, "mlp/dc plain/condensed")
    ]


@pytest.mark.parametrize("recipe", ["dc", "idc"])
def test_the_recipe_that_a_set_notes_is_the_one_it_was_judged_by(recipe):
    words = ["--method", "random", *QUICK, "--no-baseline", "--eval-recipe", recipe, "--eval-mix", "cutmix"]
    run([*words, "--workdir", "run"])
    meta = dc.load_condensed(Path("run/condensed.npz")).meta
    job = prepare(parse(words), dc.data.load("digits"))
    name, noted = recipes.recipe("own", meta, "digits", None)
    assert (name, noted) == ("own", job.method.recipe)


@pytest.mark.parametrize("name", ["own", "dc", "dsa", "idc"])
def test_a_recipe_is_one_object_so_that_its_training_is_compiled_once(name):
    first, second = (recipes.recipe(name, {"method": "idc_i"}, "mnist", None) for _ in range(2))
    assert first == second


def test_a_diverged_student_is_counted_apart():
    score = show.summary(np.array([0.5, np.nan, 0.7]))
    assert (score["mean"], score["students"], score["diverged"]) == (60.0, 2, 1)
    with pytest.raises(Diverged, match="The training of all 2 students diverged"):
        show.summary(np.array([np.nan, np.nan]))


@pytest.mark.parametrize("method", ["dc", "dsa", "dm", "idc_i"])
def test_any_method_takes_a_multi_formation(method):
    words = ["--method", method, "--parameterization", "multi_formation", "--factor", "2"]
    job = prepare(parse(words), dc.data.load("digits"))
    state = job.described_start()
    draw = jax.eval_shape(lambda: dc.source(job.data.train, real_per_class=job.draw).draw(jax.random.key(0)))
    after, _ = jax.eval_shape(job.method.condenser.step, job.keys.step, state, draw)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert jax.eval_shape(job.decoded, state.syn).image.shape == (10, 4, 8, 8, 1)
    assert state.syn["image"].shape == (10, 1, 8, 8, 1)


def test_networks_come_from_the_pool():
    words = ["--method", "idc", "--network", "mlp", "--distance", "squared_error", "--network-mix", "none"]
    words += ["--pool", "2", "--pool-epochs", "1"]
    job = prepare(parse(words), dc.data.load("digits"))
    training, stop = job.settings.parts["trajectory"], StopRequest()
    first, again = (Pretraining(job, stop)(2, training, job.settings.augment)["dense0"]["kernel"] for _ in range(2))
    assert (first == again).all()
    assert (first[0] != first[1]).any()
    unaugmented = dataclasses.replace(training, network_augment="none")
    other = Pretraining(job, stop)(2, unaugmented, job.settings.augment)["dense0"]["kernel"]
    assert (other != first).any()  # it is trained as --network-augment and the like say
    source = job.sources(Pretraining(job, stop))(job.first_draw, 0)
    pool = [leaf for leaf in jax.tree.leaves(source) if leaf.shape == first.shape]
    assert len(pool) == 1, "networks that are given to a program, not built into it"
    kernel = jax.jit(job.initial_state)(source).point.params["dense0"]["kernel"]
    assert any((kernel == one).all() for one in first)


def test_the_first_network_is_warmed_up_on_as_many_images_as_any_other():
    """Condensed images that start from real ones make the first draw larger."""
    words = [
        "--method",
        "idc",
        "--ipc",
        "3",
        "--network",
        "mlp",
        "--distance",
        "squared_error",
        "--warm-up-epochs",
        "1",
    ]
    words += ["--real-batch", "4", "--network-steps", "1", "--network-augment", "none", "--network-mix", "none"]
    points = []
    for start in ("real", "noise"):
        job = prepare(parse([*words, "--start", start]), dc.data.load("digits"))
        assert (job.draw, job.first_draw) == (7, 12 if start == "real" else 7)
        points.append(jax.jit(job.initial_state)(job.sources(None)(job.first_draw, 0)).point)
    chex.assert_trees_all_close(*points, atol=1e-6)


def test_a_pool_may_be_of_any_size():
    job = prepare(parse(["--method", "idc", "--pool", "9999"]), dc.data.load("digits"))
    kernel = job.described_start().point.params["dense"]["kernel"]
    assert kernel.ndim == 2  # one network of it


@dataclasses.dataclass(frozen=True)
class Paced(ObjectivePart):
    """Features are compared, and a rate is learned that is best at 3."""

    rate_rate: Rate = 0.5
    """Learning rate of the rate."""

    def build(self, context: Context) -> dc.Objective:
        matching = dc.distribution_matching(context.net)

        def loss(key, hyper, point, syn, real):
            value, metrics = matching.loss(key, (), point, syn, real)
            gap = jnp.square(hyper["rate"] - 3)
            return value + gap, metrics | {"rate": hyper["rate"], "gap": gap}

        return dc.Objective(lambda: {"rate": jnp.ones(())}, loss)

    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        return {"rate": optax.sgd(self.rate_rate)}


def test_what_an_objective_learns_and_measures_is_in_the_files_of_a_run(monkeypatch):
    monkeypatch.setattr(ownership, "_OWNERS", dict(ownership._OWNERS))
    monkeypatch.setattr(parts.OBJECTIVES, "members", dict(parts.OBJECTIVES.members))
    parts.OBJECTIVES.register("paced", Paced)
    words = ["--objective", "paced", "--image-space", "pixel", "--iterations", "3", "--no-baseline", "--workdir", "run"]
    run([*words, *QUICK])
    made = dc.load_condensed(Path("run/condensed.npz"))
    assert {name: float(x) for name, x in made.hyper.items()} == {"rate": 3}, "the bounds of images are not its own"
    assert 0 <= made.compact["image"].min() < made.compact["image"].max() <= 1
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [(row["rate"], row["gap"]) for row in rows] == [(1, 4), (3, 0), (3, 0)]
    assert all({"iteration", "loss", "seconds"} < row.keys() for row in rows)


def test_a_metric_that_would_be_taken_for_something_else_is_refused_before_compiling(monkeypatch):
    class Timed(Paced):
        def build(self, context):
            objective = super().build(context)

            def loss(*args):
                value, metrics = objective.loss(*args)
                return value, metrics | {"seconds": metrics["gap"]}

            return objective._replace(loss=loss)

    monkeypatch.setattr(ownership, "_OWNERS", dict(ownership._OWNERS))
    monkeypatch.setattr(parts.OBJECTIVES, "members", dict(parts.OBJECTIVES.members))
    parts.OBJECTIVES.register("timed", Timed)
    with pytest.raises(
        dc.InputError,
        match="none named deviation, iteration, seconds, students, but this one gives gap, loss, rate, seconds",
    ):
        run(["--objective", "timed", *QUICK])


@pytest.fixture(name="whitened", scope="module")
def _whitened(tmp_path_factory):
    """The directory of a run that moves whitened real images as little as can be, and the images of its picture."""
    place, drawn, draw = tmp_path_factory.mktemp("runs") / "whitened", [], pictures.image_grid
    words = ["--zca", "--start", "real", "--ipc", "3", "--iterations", "1", "--image-rate", "1e-9"]
    words += ["--network", "mlp", "--eval-epochs", "300", "--num-students", "2", "--no-baseline"]

    def image_grid(path, images, names, stored):
        drawn.append(images)
        draw(path, images, names, stored)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pictures, "image_grid", image_grid)
        assert main([*words, "--workdir", str(place)]) == 0
    return place, drawn[-1]


def test_a_whitened_run_leaves_pixels(whitened):
    place, drawn = whitened
    made = dc.load_condensed(place / "condensed.npz")
    real = np.asarray(dc.data.load("digits").train.image, np.float32).reshape(-1, 64) / 255
    pixels = made.pixels.reshape(-1, 64)
    nearest = np.abs(pixels[:, None] - real).max(-1).min(1)
    assert nearest.max() < 1e-3
    np.testing.assert_allclose(drawn, made.pixels, atol=1e-5)
    assert (place / "condensed.png").stat().st_size > 0
    assert np.abs(np.asarray(made.batch.image).reshape(-1, 64) - pixels).max() > 0.1, "networks see them whitened"


def test_a_whitened_set_is_tested_on_images_that_are_whitened_alike(whitened, monkeypatch):
    seen, measure = [], rivals.accuracies

    def accuracies(key, net, batch, data, *args, **how):
        seen.append(data.test.normalisation)
        return measure(key, net, batch, data, *args, **how)

    monkeypatch.setattr(rivals, "accuracies", accuracies)
    shutil.copytree(whitened[0], "run")
    evaluate(["run", "--networks", "mlp", "--num-students", "2", "--rivals", "none"])
    (normalisation,) = seen
    assert dc.normalisation.is_equal(normalisation, dc.load_condensed("run/condensed.npz").normalisation)
    (row,) = json.loads(Path("run/evaluation.json").read_text())["rows"]
    of_run = json.loads(Path("run/result.json").read_text())["accuracy"]["condensed"]["mean"]
    assert row["accuracy"]["condensed"]["mean"] == pytest.approx(of_run, abs=5)
    assert of_run > 50


def test_a_whitened_set_is_exported_as_pixels(whitened):
    shutil.copytree(whitened[0], "run")
    assert export_main(["run", "--format", "png", "--num-students", "2"]) == 0
    accuracy = json.loads(Path("run/images/export.json").read_text())["accuracy"]
    assert accuracy["png"]["mean"] == pytest.approx(accuracy["exact"]["mean"], abs=5)
    assert accuracy["exact"]["mean"] > 50
    assert export_main(["run", "--format", "npz"]) == 0
    pixels = dc.load_condensed("run/condensed.npz").pixels
    np.testing.assert_allclose(np.load("run/images.npz")["images"].reshape(pixels.shape), pixels, atol=1e-6)


BAD = {
    "network": ("run --networks convnt", "convnt"),
    "recipe": ("run --recipes dcc", "dcc"),
    "nothing there": ("none --dataset digits", "There is no file none"),
    "no sets": ("", "There is nothing to evaluate"),
    "epochs": ("run --epochs 0", "--epochs must be at least 1, not 0"),
    "students": ("run --num-students 0", "--num-students must be at least 1, not 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_of_an_evaluation_gets_one_sentence(case, capsys, tmp_path):
    words, message = BAD[case]
    code = evaluate_main(words.split())
    err = capsys.readouterr().err.strip()
    assert (code, len(err.splitlines())) == (2, 1), err
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "kept"),
    [(("--method", "random"), "choose_seconds"), (("--iterations", "1"), "compile_seconds")],
)
def test_what_was_measured_stays_when_a_finished_run_gets_more_students(
    words, kept, tmp_path, monkeypatch, no_pictures
):
    monkeypatch.chdir(tmp_path)
    assert main([*words, *QUICK, "--no-baseline", "--workdir", "run"]) == 0
    noted = json.loads(Path("run/result.json").read_text())
    assert {kept} == {"choose_seconds", "compile_seconds"} & noted.keys()
    elsewhere = {**noted, kept: 1234.5, "hardware": "1 x another machine"}
    Path("run/result.json").write_text(json.dumps(elsewhere))
    assert main(["--resume", "--num-students", "3", "--workdir", "run"]) == 0
    again = json.loads(Path("run/result.json").read_text())
    assert again[kept] == 1234.5
    assert again["hardware"] == f"1 x another machine; {noted['hardware']}"
    assert again["accuracy"]["condensed"]["values"][:2] == noted["accuracy"]["condensed"]["values"]


def test_a_longer_run_is_tested_anew_and_random_images_are_not(tmp_path, monkeypatch, no_pictures):
    monkeypatch.chdir(tmp_path)
    trained = []

    def accuracies(*args, title, finished, **how):
        trained.append((title.split()[-1], len(finished)))
        return np.array([0.5, 0.6])

    monkeypatch.setattr("experiments.pipeline.score.accuracies", accuracies)
    assert main(["--iterations", "1", *QUICK, "--workdir", "run"]) == 0
    assert main(["--resume", "--iterations", "2", "--workdir", "run"]) == 0
    assert trained == [("condensed", 0), ("random", 0), ("condensed", 0), ("random", 2)]


def test_a_run_by_time_notes_the_iterations_that_make_the_same_set(tmp_path, monkeypatch, no_pictures):
    monkeypatch.chdir(tmp_path)
    quick = ("--network", "mlp", "--num-students", "1", "--eval-epochs", "1", "--no-baseline")
    assert main([*quick, "--minutes", "0.01", "--workdir", "timed"]) == 0
    noted = json.loads(Path("timed/result.json").read_text())
    made = noted["config"]["iterations"]
    assert noted["condense_seconds"] >= 0.6 - 0.1  # rounded
    assert "--minutes" not in noted["command"]
    assert f"--iterations {made} " in noted["command"]
    rows = [json.loads(line) for line in Path("timed/metrics.jsonl").read_text().splitlines()]
    seconds = [row["seconds"] for row in rows if "loss" in row]
    assert len(seconds) == made
    assert sum(seconds) >= 0.6 > sum(seconds[:-1])
    assert main(["--resume", "--workdir", "timed"]) == 0, "its minutes are over"
    assert json.loads(Path("timed/result.json").read_text())["config"]["iterations"] == made
    assert main([*shlex.split(noted["command"])[3:], "--workdir", "again"]) == 0
    timed, again = (dc.load_condensed(f"{run}/condensed.npz").compact["image"] for run in ("timed", "again"))
    np.testing.assert_array_equal(timed, again)
