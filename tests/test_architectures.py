"""A search trains every candidate once, ranks it by images that it has not seen, and goes on where it was stopped."""

import itertools
import json
import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import relative_error

import dcjax as dc
from dcjax import training
from experiments import architectures
from experiments.pipeline import candidates, figures, machine, proxies, sets, standings
from experiments.pipeline.search import Search
from experiments.pipeline.trials import Trials
from experiments.settings.flags import read

GRID = ("--depths", "1", "--widths", "2", "--activations", "relu", "--poolings", "none", "--norms", "none,batch")
QUICK = (
    "--dataset",
    "digits",
    "--epochs",
    "2",
    "--whole-epochs",
    "1",
    "--hold-out",
    "0.3",
    "--proxies",
    "random,early_stopping",
)
SEARCH = ["set.npz", *GRID, *QUICK, "--workdir", "search"]


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory with a set of two real images of each class, and no pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(figures, "agreement", lambda *_: None)
    data = dc.data.load("digits")
    chosen = np.concatenate([np.flatnonzero(data.train.label == k)[:2] for k in range(10)])
    np.savez("set.npz", images=np.asarray(data.train.image)[chosen], labels=data.train.label[chosen])


def found():
    return json.loads(Path("search/architectures.json").read_text())


def accuracies(content):
    """Gives what does not depend on the clock."""
    return {
        (name, proxy): {kind: facts[kind] for kind in facts if "accuracy" in kind}
        for name, each in content["candidates"].items()
        for proxy, facts in each["trained"].items()
        if proxy != "early_stopping"
    }


def test_the_published_grid_has_720_candidates_and_a_larger_sample_adds_to_a_smaller_one():
    convnets = candidates.grid(**architectures.Wanted(("set.npz",)).axes())
    assert len({candidates.name(convnet) for convnet in convnets}) == 720
    some, more = candidates.drawn(convnets, 5, 0), candidates.drawn(convnets, 9, 0)
    assert more[:5] == some
    assert candidates.drawn(convnets, 9, 1) != more
    narrow = [convnet for convnet in convnets if convnet.width == 32]
    drawn = candidates.drawn(convnets, 720, 0)
    assert candidates.drawn(narrow, 3, 0) == [convnet for convnet in drawn if convnet.width == 32][:3]


def test_a_search_trains_each_candidate_on_everything_and_only_once(monkeypatch, capsys):
    assert architectures.main([*SEARCH, "--sample", "1"]) == 0
    first = found()
    assert len(first["candidates"]) == 1
    proxies = ["set.npz", "random", "early_stopping", "whole"]
    for each in first["candidates"].values():
        assert [*each["trained"]] == proxies
        assert [proxy for proxy, facts in each["trained"].items() if "test_accuracy" in facts] == ["whole"]
    assert [row["proxy"] for row in first["rows"]] == proxies
    trained, train = [], Trials.train
    monkeypatch.setattr(Trials, "train", lambda self, *args: trained.append(args) or train(self, *args))
    assert architectures.main(SEARCH) == 0
    assert len(trained) == 3
    assert accuracies(first).items() <= accuracies(found()).items()
    assert architectures.main(SEARCH) == 0
    assert len(trained) == 3
    assert "2 architectures on digits" in capsys.readouterr().out


@pytest.mark.slow
def test_herding_stands_for_the_whole_set():
    assert architectures.main([*SEARCH, "--proxies", "herding", "--sample", "1"]) == 0
    (each,) = found()["candidates"].values()
    assert [*each["trained"]] == ["set.npz", "herding", "whole"]
    assert found()["rows"][1]["made_seconds"] > 0


def test_a_stopped_search_goes_on_with_the_same_accuracies(monkeypatch, capsys):
    assert architectures.main(SEARCH) == 0
    whole = accuracies(found())
    Path("search/architectures.json").unlink()
    trained, train = itertools.count(1), Trials.train

    def interrupted(self, *args):
        if next(trained) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self, *args)

    monkeypatch.setattr(Trials, "train", interrupted)
    assert architectures.main(SEARCH) == 128 + signal.SIGTERM
    assert "What was measured is kept: give the same command again." in capsys.readouterr().err
    assert len(accuracies(found())) == 4
    assert architectures.main(SEARCH) == 0
    assert accuracies(found()) == whole
    assert next(trained) - 1 == len(whole)


def test_only_the_best_of_each_proxy_are_trained_on_the_whole_set(monkeypatch):
    monkeypatch.setattr(standings, "TOP", 1)
    assert architectures.main([*SEARCH, "--whole", "top", "--proxies", "random"]) == 0
    content = found()
    best = {standings.ranked(content["candidates"], proxy)[0] for proxy in ("set.npz", "random")}
    assert {name for name, each in content["candidates"].items() if "whole" in each["trained"]} == best
    chosen = {row["proxy"]: row for row in content["rows"]}
    assert chosen["random"]["chosen_accuracy"] > 0
    assert "all" not in chosen["random"]


def test_a_search_never_sees_the_images_that_rank_or_judge(monkeypatch):
    seen, try_all = [], Search.try_all

    def look(self, *args):
        seen.append((self.data, self.held_out))
        return try_all(self, *args)

    monkeypatch.setattr(Search, "try_all", look)
    assert architectures.main([*SEARCH, "--whole", "none", "--proxies", "random", "--sample", "1"]) == 0
    ((data, held_out),) = seen
    train, held, test = ({x.tobytes() for x in np.asarray(s.image)} for s in (data.train, held_out, data.test))
    assert not train & held
    assert not (train | held) & test - (train & test)  # digits has a few images twice
    assert sum(held_out.counts) == pytest.approx(0.3 * 1438, abs=5)


def test_what_pools_to_nothing_is_named_and_left_out_of_a_sample_alone(capsys):
    deep = ["set.npz", *QUICK, "--depths", "1,4", "--widths", "2", "--activations", "relu", "--norms", "none"]
    deep += ["--poolings", "none,max", "--whole", "none", "--proxies", "random", "--workdir", "search"]
    assert architectures.main(deep) == 2
    message = capsys.readouterr().err
    name = "convnet:depth=4,width=2,activation=relu,pooling=max,norm=none"
    assert f"error: 1 of 4 candidates cannot be, such as {name}: 4 blocks pool 8x8 images to nothing" in message
    assert not Path("search").exists()
    assert architectures.main([*deep, "--sample", "4"]) == 0
    assert f"Left out: {name}. 4 blocks pool 8x8 images to nothing" in capsys.readouterr().out
    content = found()
    assert [*content["left_out"]] == [name]
    assert len(content["candidates"]) == 3


BAD = {
    "another seed": (["--seed", "1"], "holds a search that differs in seed"),
    "another length": (["--epochs", "3"], "holds a search that differs in epochs"),
    "more than there are": (["--sample", "3"], "--sample 3 asks for more than the 2 candidates"),
    "groups": (["--norms", "group", "--widths", "6"], "6 channels do not divide into 4 groups"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_of_a_search_gets_one_sentence(case, capsys):
    words, message = BAD[case]
    Path("search").mkdir()
    settings = {"dataset": "digits", "epochs": 2, "whole_epochs": 1, "recipe": "dc", "augment": True, "hold_out": 0.3}
    data = dc.data.load("digits")
    settings |= {"seed": 0, "data": architectures.sets.fingerprint(data), "sets": {}}
    Path("search/architectures.json").write_text(json.dumps({"settings": settings, "candidates": {}}))
    assert architectures.main([*SEARCH, *words]) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_search_takes_idc_s_file_by_its_factor_and_idc_s_recipe_for_it(tmp_path):
    torch = pytest.importorskip("torch")
    data = dc.data.load("digits")
    image = np.asarray(data.train.image)[:20] / np.float32(255)
    torch.save([torch.tensor(np.moveaxis(image, -1, 1).copy()), torch.arange(20) // 2], tmp_path / "data.pt")
    (proxy,), known = proxies.condensed_sets([tmp_path / "data.pt"], data, 2)
    assert (proxy.images, proxy.stored_bytes, known["ipc"]) == (80, image.nbytes, 2)
    wanted = read(architectures.Wanted, ["data.pt", "--recipe", "idc"])
    assert architectures._recipe(wanted, known, "mnist", 3).mix is dc.augment.no_mixing
    with pytest.raises(dc.InputError, match="is a bare pair"):
        proxies.condensed_sets([tmp_path / "data.pt"], data, None)


def test_sets_are_of_the_same_data_if_what_they_name_is():
    wanted = read(architectures.Wanted, SEARCH)
    shipped = {path.stem: path for path in map(sets.found, ("dc-digits-1-convnet32", "dc-digits16-10"))}
    alike = [Path("set.npz"), shipped["dc-digits-1-convnet32"]]  # a file that names no size, and one that does
    assert architectures._loaded(alike, wanted).image_shape == (8, 8, 1)
    with pytest.raises(dc.InputError, match="are of different data: search with each alone"):
        architectures._loaded([Path("set.npz"), shipped["dc-digits16-10"]], wanted)


@pytest.mark.parametrize("name", ["whole", "random", "early_stopping"])
def test_a_set_is_not_taken_for_something_else_that_networks_are_trained_on(name):
    with pytest.raises(dc.InputError, match=f"The set {name} has the name of something else"):
        proxies._check_names(["dc", name])
    with pytest.raises(dc.InputError, match="a-1 is given twice"):
        proxies._check_names(["a-1", "b", "a-1"])  # the second set of a, and a file of that name


def test_everything_is_given_once(capsys):
    assert architectures.main([*SEARCH, "--proxies", "random,random"]) == 2
    assert "--proxies names one twice" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": {}, "candidates": {"a": {"trained": {"dc": {}}}}}'])
def test_a_damaged_record_is_named(text, capsys):
    Path("search").mkdir()
    Path("search/architectures.json").write_text(text)
    assert architectures.main(SEARCH) == 2
    assert "search/architectures.json" in capsys.readouterr().err
    assert Path("search/architectures.json").read_text() == text


@pytest.fixture(name="trials")
def _trials():
    return Trials(dc.network(dc.networks.ConvNet(10, width=2, depth=1, norm="batch"), (8, 8, 1)))


def test_a_trial_is_a_student(trials):
    data, recipe = dc.data.load("digits"), dc.dc_recipe(2)
    batch = jax.jit(lambda key: training.flatten(data.sample(key, 2)))(jax.random.key(1))
    trained = trials.train(jax.random.key(0), batch, recipe)
    net = trials._net
    expected = jax.jit(lambda key, batch: dc.train_student(key, net, batch, recipe))(jax.random.key(0), batch)
    assert max(jax.tree.leaves(jax.tree.map(relative_error, trained.params, expected))) < 1e-4
    assert trained.images == 20
    assert trials.compiled() > 0
    trials.train(jax.random.key(2), batch, recipe)
    assert trials.compiled() == 0
    assert 0 <= trials.test(trained.params, data.test) <= 1


def test_a_trial_by_time_stops_when_it_is_over(trials, monkeypatch):
    split, recipe = dc.data.load("digits").train, dc.dc_recipe(2)
    steps, run = [], Trials._run

    def counted(self, function, *args):
        result, _ = run(self, function, *args)
        steps.append(type(function).__name__)
        return result, 1.0

    monkeypatch.setattr(Trials, "_run", counted)
    for seconds, expected in ((0.0, 1), (1.0, 1), (2.5, 3)):
        steps.clear()
        trained = trials.train_for(jax.random.key(0), split, recipe, seconds)
        assert steps == ["_Beginning", *["_Advancing"] * expected, "_Settling"]
        assert trained.seconds == expected
        assert (trained.images, trained.seen) == (min(512 * expected, 1438), 512 * expected)
    assert isinstance(trained.params, dc.networks.Settled)


def of(*accuracies, parameters=1):
    proxy, whole, test = accuracies
    trained = {"dc": {"accuracy": proxy, "seconds": 2.0, "images": 100, "compile_seconds": 1.0}}
    return {
        "parameters": parameters,
        "trained": trained | {"whole": {**trained["dc"], "accuracy": whole, "test_accuracy": test}},
    }


def test_standings_by_hand():
    known = {"b": of(0.5, 0.9, 0.91), "a": of(0.5, 0.7, 0.71, parameters=9), "c": of(None, 0.1, 0.1)}
    known["d"] = of(0.4, 0.8, 0.81)
    assert standings.ranked(known, "dc") == ["b", "a", "d", "c"]
    row, whole = standings.rows(known, ["dc"], 0)
    # ranks of dc: 3.5 3.5 1 2, of the whole set: 4 2 1 3
    expected = (1 * 1.5 + 1 * -0.5 + 1.5 * 1.5 - 0.5 * 0.5) / (4.5 * 5) ** 0.5
    assert row["all"]["value"] == row["top"]["value"] == pytest.approx(expected, abs=1e-3)
    assert row["all"]["low"] <= row["all"]["value"] <= row["all"]["high"]
    assert (row["chosen"], row["chosen_accuracy"], row["seconds"], row["images"]) == ("b", 91.0, 8.0, 100)
    assert whole["all"]["value"] == 1
    del known["c"]["trained"]["whole"]
    assert "all" not in standings.rows(known, ["dc"], 0)[1], "of the whole set, all are not known"
    known["c"] = of(None, 0.1, 0.1)
    assert standings.points(known, ["dc"])["dc"][0] == (50.0, 90.0)


def test_the_top_are_those_of_the_proxy(monkeypatch):
    monkeypatch.setattr(standings, "TOP", 3)
    known = {
        name: of(proxy, whole, 0.5) for name, proxy, whole in zip("abcd", (0.9, 0.8, 0.7, 0.1), (0.1, 0.2, 0.3, 0.9))
    }
    (row, _) = standings.rows(known, ["dc"], 0)
    assert row["top"]["value"] == -1
    assert row["all"]["value"] < 0
    del known["d"]["trained"]["whole"]
    (row, _) = standings.rows(known, ["dc"], 0)
    assert "all" not in row
    assert row["top"]["value"] == -1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no list of memory maps")
def test_a_search_lets_go_of_programs_before_they_fill_the_memory_maps(monkeypatch):
    """A process may have 65530 memory maps, which those of thirty candidates would fill."""
    monkeypatch.setattr(machine, "MOST_MAPS", 0)  # every candidate's are let go of, whatever tests left behind
    counts, note = [], Search._in_turn

    def noting(self, title, candidates, wanted, on_candidate):
        def count():
            counts.append(len(Path("/proc/self/maps").read_text().splitlines()))
            on_candidate()

        return note(self, title, candidates, wanted, count)

    monkeypatch.setattr(Search, "_in_turn", noting)
    architectures.search(
        ["set.npz", *GRID[:2], "--widths", "2,3,4", *GRID[4:8], "--norms", "none", *QUICK, "--workdir", "search"]
    )
    assert len(counts) == 3
    assert counts[-1] - counts[0] < 100
