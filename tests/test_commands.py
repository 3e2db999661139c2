"""Coresets, comparisons and evaluations from the command line, on a few students of a tiny network."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dcjax as dc
from experiments import cli, contest, output, protocols, studying
from experiments.ablation import ablation
from experiments.build import build
from experiments.command_line import command, parse
from experiments.compare import compare
from experiments.config import dump, load, published
from experiments.endings import Diverged
from experiments.evaluate import evaluate
from experiments.job import prepare
from experiments.presets import METHODS
from experiments.run import main, run
from experiments.stop import StopRequest

QUICK = ("--network", "mlp", "--eval-epochs", "1", "--num-students", "2")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(name="chosen", scope="module")
def _chosen(tmp_path_factory):
    """A run directory of two random images per class."""
    run = tmp_path_factory.mktemp("runs") / "random"
    assert main(["--method", "random", "--ipc", "2", *QUICK, "--workdir", str(run)]) == 0
    return run


def test_a_coreset_is_a_run_directory_of_real_images(chosen):
    files = {"config.json", "data.json", "scores.json", "condensed.npz", "condensed.png", "result.json"}
    assert {path.name for path in chosen.iterdir()} == files
    real = {image.tobytes() for image in np.asarray(dc.data.load("digits").train.image)}
    pixels = dc.load_condensed(chosen / "condensed.npz").pixels.reshape(20, 8, 8, 1)
    assert all(np.round(image * 255).astype(np.uint8).tobytes() in real for image in pixels)
    assert set(json.loads((chosen / "result.json").read_text())["accuracy"]) == {"condensed", "random"}


def test_a_coreset_that_was_stopped_is_not_chosen_again(chosen, monkeypatch):
    shutil.copytree(chosen, "run")
    Path("run/scores.json").unlink()
    monkeypatch.setattr("experiments.run.choose", None)
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


def test_evaluate_sets_a_set_beside_its_rivals(chosen, monkeypatch):
    words = [str(chosen), "--recipes", "dsa,dc", "--networks", "mlp", "--augmentation", "both", "--num-students", "2"]
    words += ["--epochs", "1", "--whole-epochs", "1", "--whole-students", "1"]
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
    monkeypatch.setattr(contest, "accuracies", lambda *args, finished, **_: np.asarray(finished))
    evaluate([words[0], "--recipes", "dsa", *words[3:]])
    again = json.loads((chosen / "evaluation.json").read_text())
    told = [{name: value for name, value in row.items() if name != "command"} for row in again["rows"] + noted["rows"]]
    assert sorted(map(str, told[: len(told) // 2])) == sorted(map(str, told[len(told) // 2 :]))


def test_a_set_is_tested_on_the_network_that_it_was_made_for(monkeypatch):
    assert (
        main(["--method", "random", "--width", "4", "--eval-epochs", "0", "--num-students", "1", "--no-baseline"]) == 0
    )
    seen = []
    monkeypatch.setattr(contest, "network", lambda name, width, data: seen.append(width))
    monkeypatch.setattr(contest, "accuracies", lambda *args, **_: np.array([0.5]))
    evaluate(["runs/random-digits-1", "--rivals", "none"])
    assert seen == [4]


def test_random_rivals_are_as_many_and_as_large():
    images = np.zeros((3, 4, 8, 8, 1), np.float32)
    batch = dc.Batch(images, np.broadcast_to(np.eye(3)[:, None], (3, 4, 3)))
    condensed = dc.Condensed(batch, ("a", "b", "c"), (0.5,), (0.5,), {"image": images}, {"ipc": 4})
    assert contest.random_rivals(condensed) == {"random": 4}
    halves = condensed._replace(compact={"image": images[:, :2]}, meta={"ipc": 1})
    assert contest.random_rivals(halves) == {"random": 1, "random_equal_bytes": 2}
    assert contest.random_rivals(condensed._replace(compact={}, meta={})) == {"random": 4}


def test_a_set_made_elsewhere_is_evaluated_on_the_data_named():
    digits = dc.data.load("digits")
    image = np.asarray(digits.train.image)[np.cumsum(digits.train.counts) - 1]
    np.savez("theirs.npz", images=image, labels=np.arange(10))
    words = ["theirs.npz", "--num-students", "1", "--epochs", "1", "--networks", "mlp", "--rivals", "random"]
    with pytest.raises(dc.InputError, match="does not say what it was made from: give --dataset"):
        evaluate(words)
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


def test_comparing_runs_every_cell_once(capsys, monkeypatch):
    words = ["--methods", "random,whole", "--ipc", "1,2", "--seeds", "0,1", "--workdir", "here", "--eval-epochs", "1"]
    words += ["--", "--network", "mlp", "--num-students", "2"]
    compare(words)
    table = capsys.readouterr().out
    noted = json.loads(Path("here/comparison.json").read_text())
    assert noted["evaluation"] == {"eval_recipe": "dc", "eval_epochs": 1, "eval_augment": "none"}
    rows = noted["rows"]
    assert [(row["method"], row["ipc"], row["students"]) for row in rows] == [
        ("random", 1, 4),
        ("random", 2, 4),
        ("whole", None, 4),
    ]
    values = [
        json.loads(Path(f"here/random-2-{seed}/result.json").read_text())["accuracy"]["condensed"] for seed in (0, 1)
    ]
    assert rows[1]["mean"] == pytest.approx(np.mean([value["mean"] for value in values]), abs=0.01)
    assert rows[1]["std"] == pytest.approx(np.std(values[0]["values"] + values[1]["values"]), abs=0.01)
    assert "| random |" in table
    monkeypatch.setattr("experiments.grid.run", None)
    compare(words)
    with pytest.raises(dc.InputError, match="here/random-1-0 holds a run with other settings"):
        compare([*words, "--precision", "bfloat16"])
    with pytest.raises(dc.InputError, match="--coreset-epochs changes nothing with --method random"):
        compare([*words, "--coreset-epochs", "3"])


def test_a_flag_goes_to_the_methods_that_it_changes_something_in(monkeypatch):
    filled = []
    monkeypatch.setattr("experiments.grid.fill", lambda place, cells, facts: filled.extend(cells))
    passed = ["--coreset-epochs", "2", "--image-rate=0.3", "--num-students", "1"]
    compare(["--methods", "random,herding,dc", "--ipc", "1", "--seeds", "0", "--", *passed])
    found = {cell.method: parse(cell.arguments) for cell in filled}
    assert {name: (each.coreset_epochs, each.image_rate) for name, each in found.items()} == {
        "random": (20, 0.1),
        "herding": (2, 0.1),
        "dc": (20, 0.3),
    }
    assert {each.num_students for each in found.values()} == {1}


def test_all_methods_of_a_comparison_are_judged_alike(monkeypatch):
    seen = []
    monkeypatch.setattr("experiments.grid.run", lambda words: seen.append(parse(words)))
    monkeypatch.setattr("experiments.grid._rows", lambda results: [])
    monkeypatch.setattr("experiments.grid._result", lambda arguments: {"hardware": "here"})
    Path("runs/compare-mnist").mkdir(parents=True)
    compare(["--dataset", "mnist", "--ipc", "1", "--seeds", "0"])
    assert [config.method for config in seen] == list(METHODS)
    judged = {(config.eval_recipe, config.eval_epochs, config.eval_augment, config.eval_mix) for config in seen}
    assert judged == {("dc", 1000, "dc_digits", "none")}


def test_idc_with_a_pool_leaves_a_set_that_says_how_it_is_decoded():
    words = [
        "--method",
        "idc",
        "--network",
        "mlp",
        "--distance",
        "squared_error",
        "--iterations",
        "1",
        "--matches",
        "3",
    ]
    words += ["--pool", "2", "--pool-epochs", "1", "--network-mix", "none", "--augment", "none"]
    words += [
        "--num-students",
        "1",
        "--eval-epochs",
        "1",
        "--eval-augment",
        "none",
        "--eval-mix",
        "none",
    ]  # quick to compile
    run([*words, "--no-baseline", "--workdir", "run"])
    made = dc.load_condensed(Path("run/condensed.npz"))
    assert {name: x.shape for name, x in made.compact.items()} == {"image": (10, 1, 8, 8, 1)}
    assert made.batch.image.shape == (10, 4, 8, 8, 1)
    assert 0 <= made.compact["image"].min() < made.compact["image"].max() <= 1
    decoder = {"name": "multi_formation", "arguments": {"ipc": 1, "factor": 2}, "image_space": "pixel"}
    assert made.meta["decoder"] == decoder


def cells_of_ablation(monkeypatch, words):
    filled = []
    monkeypatch.setattr("experiments.grid.fill", lambda place, cells, facts: filled.extend(cells))
    ablation(words)
    return filled


def test_the_ablation_has_equal_bytes(monkeypatch):
    words = ["--dataset", "digits", "--seeds", "0", "--workdir", "here"]
    cells = cells_of_ablation(monkeypatch, words)
    names = [f"{images}, {where}" for images in ("pixels", "multi_formation") for where in ("on_synthetic", "on_real")]
    assert [cell.method for cell in cells] == names
    digits = dc.data.load("digits")
    for cell, images in zip(cells, [1, 1, 4, 4]):
        job = prepare(parse(cell.arguments), digits)
        syn = jax.eval_shape(job.initial_state, digits.train).syn
        assert jax.tree.map(jnp.shape, syn) == {"image": (10, 1, 8, 8, 1)}
        assert jax.eval_shape(job.decoded, syn).image.shape[:2] == (10, images)
    for passed, message in [
        (["--trajectory", "fresh"], "--trajectory is the comparison's own to set"),
        (["--matches", "1"], "--matches 1 trains no network"),
    ]:
        with pytest.raises(dc.InputError, match=message):
            ablation([*words, "--", *passed])


@pytest.mark.parametrize(
    ("ipc", "passed", "passes"),
    [
        (1, ["--network-steps=14", "--factor", "4"], [(10, 14), (160, None)]),
        (1, ["--network-steps=15", "--factor", "4"], [(10, 15), (160, 5)]),
        (10, ["--network-steps", "14"], [(100, 7), (400, 2)]),
        (10, [], [(100, 4), (400, None)]),
    ],
)
def test_the_ablation_trains_all_its_networks_for_as_many_steps(ipc, passed, passes, monkeypatch):
    words = ["--dataset", "digits", "--ipc", str(ipc), "--seeds", "0", "--", *passed]
    if None in dict(passes).values():
        with pytest.raises(dc.InputError, match=r"A network cannot train for .* steps on .* condensed images"):
            cells_of_ablation(monkeypatch, words)
        return
    found = [parse(cell.arguments) for cell in cells_of_ablation(monkeypatch, words)]
    steps = {config.network_steps for config in found if config.trajectory == "on_real"}
    condensed = [config.inner_epochs for config in found if config.trajectory == "on_synthetic"]
    assert condensed == [count for _, count in passes]
    assert {count * -(-images // 64) for images, count in passes} == steps


@pytest.mark.parametrize("method", METHODS)
def test_a_config_of_an_earlier_version_is_still_that_of_its_method(method):
    config = parse(["--method", method, "--dataset", "mnist"])
    later = {"objective", "trajectory", "parameterization", "eval_recipe", "pool", "network_augment"}
    fields = {name: value for name, value in dump(config).items() if name not in later}
    Path("config.json").write_text(json.dumps(fields))
    assert load(Path("config.json")) == config


def test_a_recipe_that_does_not_augment_gives_one_row_named_after_itself():
    digits = dc.data.load("digits")
    batch = digits.sample(jax.random.key(0), 1)
    condensed = dc.Condensed(batch, digits.class_names, digits.mean, digits.std, {}, {})
    terms = contest.Terms(("mlp",), ("own", "dc"), (True, False), ("none",), 1, 1, 1, 1, 0)

    class Book:
        def fill(self, case, run):
            return {"mean": 50.0, "std": 0.0, "case": case}

    rows = contest.Contest(terms, None).rows(contest.Entry("set", condensed, digits, "", 128, Book()))
    assert [(row["recipe"], row["augmented"], row["accuracy"]["condensed"]["case"]) for row in rows] == [
        ("dc", False, "mlp/dc plain/condensed")
    ]


@pytest.mark.parametrize("recipe", ["dc", "idc"])
def test_the_recipe_that_a_set_notes_is_the_one_it_was_judged_by(recipe):
    words = ["--method", "random", *QUICK, "--no-baseline", "--eval-recipe", recipe, "--eval-mix", "cutmix"]
    run([*words, "--workdir", "run"])
    meta = dc.load_condensed(Path("run/condensed.npz")).meta
    job = prepare(parse(words), dc.data.load("digits"))
    name, noted = protocols.recipe("own", meta, "digits", None)
    assert (name, noted._replace(phases=())) == ("own", job.method.recipe._replace(phases=()))


@pytest.mark.parametrize("name", ["own", "dc", "dsa", "idc"])
def test_a_recipe_is_one_object_so_that_its_training_is_compiled_once(name):
    first, second = (protocols.recipe(name, {}, "mnist", None) for _ in range(2))
    assert first == second


def test_a_diverged_student_is_counted_apart():
    score = output.summary(np.array([0.5, np.nan, 0.7]))
    assert (score["mean"], score["students"], score["diverged"]) == (60.0, 2, 1)
    with pytest.raises(Diverged, match="The training of all 2 students diverged"):
        output.summary(np.array([np.nan, np.nan]))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_presets_and_gives_back_its_command(method):
    for dataset in ("mnist", "fashion_mnist", "svhn_cropped", "cifar10", "cifar100", "digits"):
        config = parse(["--method", method, "--dataset", dataset, "--ipc", "10", "--workdir", "run"])
        words = command(config).split()[3:]
        assert parse([*words, "--workdir", "run"]) == config
        assert "flip" not in config.eval_augment
        if dataset in ("mnist", "digits"):
            assert config.eval_augment != "dsa", "a mirrored digit is another sign"


def test_papers_numbers_go_with_the_papers_settings():
    assert published(parse(["--method", "dsa", "--dataset", "cifar10", "--ipc", "10"])) == {"condensed": (52.1, 0.5)}
    assert published(parse(["--method", "dm", "--dataset", "cifar10", "--ipc", "50"]))["condensed"] == (63.0, 0.4)
    cell = published(parse(["--method", "herding", "--dataset", "mnist", "--ipc", "10", "--coreset-epochs", "3"]))
    assert cell["condensed"] == (93.7, 0.3)
    assert cell["random"] == (95.1, 0.9)
    assert published(parse(["--method", "dm", "--dataset", "cifar10", "--network", "vgg11"])) == {}
    assert published(parse(["--method", "idc", "--dataset", "mnist"])) == {"condensed": (94.2, None)}
    assert published(parse(["--method", "idc", "--dataset", "mnist", "--factor", "3"])) == {}


@pytest.mark.parametrize(
    ("dataset", "ipc", "method", "expected"),
    [
        ("cifar10", 10, "idc", ("convolution_squared_error", 5e-3, 32, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("cifar10", 1, "idc_i", ("convolution_squared_error", 5e-4, 32, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("cifar100", 1, "idc", ("convolution_squared_error", 5e-4, 32, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("fashion_mnist", 10, "idc", ("convolution_absolute_error", 1e-4 * (28 / 32) ** 2, 8, "color_crop_cutout", "cutmix", "idc", "cutmix")),
        ("mnist", 50, "idc", ("convolution_absolute_error", 5e-4, 8, "color_crop", "none", "idc_digits", "none")),
        ("mnist", 10, "idc_i", ("convolution_absolute_error", 1e-4, 8, "color_crop_cutout", "cutmix", "idc_digits", "cutmix")),
        ("svhn_cropped", 1, "idc_i", ("convolution_squared_error", 5e-4, 8, "color_crop_cutout", "cutmix", "idc_digits_cutout", "none")),
        ("svhn_cropped", 1, "idc", ("convolution_squared_error", 5e-4, 8, "color_crop_cutout", "cutmix", "idc_digits", "cutmix")),
    ],
)  # fmt: skip
def test_idc_has_the_published_settings(dataset, ipc, method, expected):
    config = parse(["--method", method, "--dataset", dataset, "--ipc", str(ipc)])
    names = ("distance", "image_rate", "network_steps", "augment", "network_mix", "eval_augment", "eval_mix")
    found = tuple(getattr(config, name) for name in names)
    assert found[1] == pytest.approx(expected[1])
    assert found[:1] + found[2:] == expected[:1] + expected[2:]
    assert (config.parameterization, config.trajectory) == (
        "pixels" if method == "idc_i" else "multi_formation",
        "on_real",
    )
    assert (config.iterations, config.matches, config.real_batch, config.network_batch) == (2000, 100, 64, 64)


@pytest.mark.parametrize("method", ["dc", "dsa", "dm", "idc_i"])
def test_any_method_takes_a_multi_formation(method):
    words = ["--method", method, "--parameterization", "multi_formation", "--factor", "2"]
    job = prepare(parse(words), dc.data.load("digits"))
    state = jax.eval_shape(job.initial_state, job.data.train)
    real = jax.eval_shape(lambda: job.data.sample(jax.random.key(0), job.draw))
    after, _ = jax.eval_shape(job.method.condenser.step, job.keys.step, state, real)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert jax.eval_shape(job.decoded, state.syn).image.shape == (10, 4, 8, 8, 1)
    assert state.syn["image"].shape == (10, 1, 8, 8, 1)


def test_networks_come_from_the_pool():
    job = prepare(
        parse(["--method", "idc", "--network", "mlp", "--pool", "2", "--pool-epochs", "1"]), dc.data.load("digits")
    )
    stop = StopRequest()
    first, again = (studying.pool(job, stop)["dense0"]["kernel"] for _ in range(2))
    assert (first == again).all()
    assert (first[0] != first[1]).any()
    augmented = studying.pool(prepare(dataclasses.replace(job.config, network_augment="none"), job.data), stop)
    assert (augmented["dense0"]["kernel"] != first).any()  # it is trained as --network-augment and the like say
    pooled = build(job.config, job.data, studying.pool(job, stop)).condenser
    real = job.data.sample(jax.random.key(0), 64)
    kernel = pooled.init(jax.random.key(1), real).point.params["dense0"]["kernel"]
    assert any((kernel == one).all() for one in first)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--method idc --factor 0", "--factor must be at least 1, not 0"),
        ("--method idc --factor 3 --syn-batch 8", "--syn-batch 8 is less than the 9 images that one is cut into"),
        ("--method dc --factor 2 --parameterization pixels --bound 4", "--bound changes nothing with --parameterization pixels"),
        ("--method dm --network-rate 0.1", "--network-rate changes nothing with --trajectory fresh"),
        ("--method idc --inner-epochs 2", "--inner-epochs changes nothing with --trajectory on_real"),
        ("--method dc --trajectory on_real", "--trajectory changes nothing with --matches 1"),
        ("--method idc --warm-up-epochs 5", "--warm-up-epochs changes nothing with --iterations 1"),
        ("--method idc --pool 5000", "--pool 5000 asks for 770 MiB of weights"),
        ("--method dsa --parameterization multi_formation --factor 3", "--factor 3 does not divide images of 8 x 8"),
        ("--method dc --pool-epochs 3", "--pool-epochs changes nothing with --pool 0"),
        ("--method idc --factor 8", "cannot be cut into 8 cells"),
        ("--method idc --network mlp", "the network has none"),
        ("--method idc --ipc 50", "starts from 200 real images of every class, but the smallest has 139"),
    ],
)  # fmt: skip
def test_bad_settings_of_idc_get_one_sentence(words, message):
    with pytest.raises(dc.InputError) as caught:
        run([*words.split(), "--iterations", "1"])
    assert message in str(caught.value)


BAD = {
    "network": (evaluate, ("run", "--networks", "convnt"), "convnt"),
    "recipe": (evaluate, ("run", "--recipes", "dcc"), "dcc"),
    "nothing there": (evaluate, ("none", "--dataset", "digits"), "There is no none"),
    "no sets": (evaluate, (), "There is nothing to evaluate"),
    "epochs": (evaluate, ("run", "--epochs", "0"), "--epochs must be at least 1, not 0"),
    "not the runs' to say": (compare, ("--", "--seed", "3"), "--seed is the comparison's own to set"),
    "processes": (compare, ("--", "--coordinator", "auto"), "a comparison is made by one"),
    "students": (evaluate, ("run", "--num-students", "0"), "--num-students must be at least 1, not 0"),
    "method": (compare, ("--methods", "herdng"), "There is no method 'herdng': choose among"),
    "flag of the runs": (compare, ("--", "--iteratoins", "3"), "There is no flag --iteratoins"),
    "more than there are": (main, ("--method", "herding", "--ipc", "500"), "--ipc 500 asks for more images"),
    "idle flag": (
        main,
        ("--method", "random", "--image-rate", "1"),
        "--image-rate changes nothing with --method random",
    ),
    "idle inner epochs": (main, ("--inner-epochs", "7"), "--inner-epochs changes nothing with --matches 1"),
    "idle baseline": (main, ("--method", "whole", "--no-baseline"), "--baseline changes nothing with --method whole"),
    "idle width": (main, ("--network", "mlp", "--width", "8"), "--width changes nothing with --network mlp"),
    "too small": (main, ("--network", "vgg11"), "8x8"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case, capsys, tmp_path):
    run, words, message = BAD[case]
    code = run(list(words)) if run is main else cli.exit_code(run, list(words))
    err = capsys.readouterr().err.strip()
    assert (code, len(err.splitlines())) == (2, 1), err
    assert message in err
    assert not list(tmp_path.iterdir())
