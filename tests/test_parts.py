"""A part of one's own is one settings file and one line: all that a part of the library can do follows from them."""

import json
import re
import shlex

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import OBJECTIVES, TRAJECTORIES, dense_net, fits, small_data
from toys import Between, Tinted, between, tinted

import dcjax as dc
from experiments import methods, parts
from experiments.methods.method import CONDENSES, Method
from experiments.parts import part as ownership
from experiments.pipeline.job import prepare
from experiments.run import main
from experiments.settings.parse import command, parse

QUICK = ("--network", "mlp", "--iterations", "4", "--num-students", "1", "--eval-epochs", "1", "--no-baseline")
DATA = small_data()
NET = dense_net(DATA)


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch, no_pictures):
    """A directory of its own, and registries that are as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ownership, "_OWNERS", dict(ownership._OWNERS))
    for axis in parts.AXES.values():
        monkeypatch.setattr(axis, "members", dict(axis.members))
    monkeypatch.setitem(dc.artifact.DECODERS, "tinted", None)  # registered by some tests, gone after them


@pytest.fixture(name="tinted_part")
def _tinted_part():
    parts.PARAMETERIZATIONS.register("tinted", Tinted)


@pytest.fixture(name="between_part")
def _between_part():
    parts.TRAJECTORIES.register("between", Between)


TOY = ("--parameterization", "tinted")


def error(capsys, *words):
    assert main([*words]) == 2
    return capsys.readouterr().err


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert not end.value.code
    return capsys.readouterr().out


@pytest.mark.usefixtures("tinted_part")
def test_the_flags_of_a_part_come_with_it(capsys):
    chosen, other = help_of(capsys, *TOY), help_of(capsys)
    assert "--tint-rate FLOAT" in chosen
    assert "How often every image is seen." in chosen
    assert "Images with one tint for all (a toy)." in chosen
    assert "--tint-rate FLOAT" not in other
    assert "--parameterization tinted: --views --tint-rate" in other
    settings = parse([*TOY, "--views", "3", "--tint-rate=0.5"])
    assert (settings.views, settings.tint_rate) == (3, 0.5)
    assert "--views must be at least 1, not 0" in error(capsys, *TOY, "--views", "0")
    assert "--tint-rate must be a positive number, not -1.0" in error(capsys, *TOY, "--tint-rate", "-1")
    assert "--views belongs to --parameterization tinted: choose" in error(capsys, "--views", "3")
    assert "did you mean --tint-rate?" in error(capsys, *TOY, "--tint-rat", "3")


@pytest.mark.usefixtures("tinted_part")
def test_a_run_of_a_part_resumes_repeats_and_decodes(capsys):
    flags = (*TOY, "--views", "3", "--tint-rate", "0.5")
    assert main([*QUICK, *flags, "--workdir", "run"]) == 0, capsys.readouterr().err
    assert main(["--workdir", "run", "--resume", "--iterations", "6"]) == 0, capsys.readouterr().err
    assert main([*QUICK, *flags, "--workdir", "straight", "--iterations", "6"]) == 0
    ours, straight = (dc.load_condensed(f"{run}/condensed.npz") for run in ("run", "straight"))
    chex.assert_trees_all_equal(ours.compact, straight.compact)
    assert {name: x.shape for name, x in ours.compact.items()} == {"image": (10, 1, 8, 8, 1), "tint": (1, 1, 1, 1, 1)}
    assert float(np.abs(ours.compact["tint"]).sum()) > 0
    assert ours.batch.image.shape == (10, 3, 8, 8, 1)
    chex.assert_trees_all_close(ours.decode(), ours.batch, atol=1e-5)
    message = error(capsys, "--workdir", "run", "--resume", "--views", "2")
    assert "This run was started with other settings (--views was 3, is 2)" in message
    with open("run/result.json") as file:
        result = json.load(file)
    assert (result["config"]["views"], result["config"]["tint_rate"]) == (3, 0.5)
    assert re.search(r"--parameterization tinted .*--views 3 --tint-rate 0.5", result["command"])
    again = parse([*shlex.split(result["command"])[3:], "--workdir", "run"])
    assert again == parse(["--workdir", "run", "--resume", "--no-resume", "--iterations", "6"])
    assert "--views" not in command(parse([*QUICK, *TOY]))


RATES = {
    name: {dc.rates.NAME: optax.sgd(0.01)}
    for name in OBJECTIVES
    if name.startswith(("unrolled", "trajectory_matching"))
}


@pytest.mark.parametrize(
    "names",
    [
        *((name, "fresh" if fits(name, "fresh") else "expert") for name in OBJECTIVES),
        *(("gradient_matching", name) for name in TRAJECTORIES),
    ],
)
def test_a_parameterization_of_ones_own_composes(names):
    objective, trajectory = names
    pool = jax.eval_shape(jax.vmap(NET.init), jax.random.split(jax.random.key(0), 2))
    source = dc.with_segments(dc.with_pool(dc.source(DATA.train, real_per_class=4), pool), pool, pool)
    optimizer = dc.optimizers.by_name(
        {"image": optax.sgd(0.1, momentum=0.5), "tint": optax.sgd(0.01), **RATES.get(objective, {})}
    )
    condenser = dc.condenser(tinted(2, 2), OBJECTIVES[objective](NET), TRAJECTORIES[trajectory](NET), optimizer)
    _keeps_its_type(condenser, source)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_trajectory_of_ones_own_composes(objective):
    starts = jax.eval_shape(jax.vmap(NET.init), jax.random.split(jax.random.key(0), 2))
    source = dc.with_segments(dc.source(DATA.train, real_per_class=4), starts, starts)
    optimizer = optax.sgd(0.1, momentum=0.5)
    _keeps_its_type(dc.condenser(dc.pixels(2), OBJECTIVES[objective](NET), between(NET, 0.5), optimizer), source)


def _keeps_its_type(condenser, source):
    key = jax.eval_shape(lambda: jax.random.key(0))
    draw = jax.eval_shape(lambda source, key: source.draw(key), source, key)
    state = jax.eval_shape(condenser.init, key, draw)
    after, metrics = jax.eval_shape(condenser.step, key, state, draw)
    assert jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), state) == jax.tree.map(
        lambda x: (x.shape, x.dtype, x.weak_type), after
    )
    assert metrics["loss"].shape == ()


@pytest.mark.usefixtures("between_part")
def test_a_trajectory_takes_what_its_source_brings(capsys):
    flags = ("--trajectory", "between", "--matches", "2", "--progress", "0.25")
    assert "--segments INT" in help_of(capsys, *flags)
    assert "--progress must be from 0 to below 1, not 1.0" in error(capsys, *flags, "--progress", "1")
    assert main([*QUICK, *flags, "--workdir", "run"]) == 0, capsys.readouterr().err
    assert main(["--workdir", "run", "--resume", "--iterations", "6"]) == 0, capsys.readouterr().err
    assert main([*QUICK, *flags, "--workdir", "straight", "--iterations", "6"]) == 0
    ours, straight = (dc.load_condensed(f"{run}/condensed.npz") for run in ("run", "straight"))
    chex.assert_trees_all_equal(ours.compact, straight.compact)
    message = error(capsys, "--workdir", "run", "--resume", "--segments", "2")
    assert "(--segments was 3, is 2)" in message
    job = prepare(parse([*QUICK, *flags]), dc.data.load("digits"))
    source = job.sources(None)(2, 0)
    draw = source.draw(jax.random.clone(job.keys.draw))
    state = job.initial_state(source)
    wanted = jax.tree.map(lambda a, b: a + 0.25 * (b - a), draw.start, draw.target)
    chex.assert_trees_all_close(state.point.params, wanted)
    chex.assert_trees_all_equal(state.point.target, draw.target)


@pytest.mark.usefixtures("tinted_part", "between_part")
def test_a_method_of_ones_own_is_its_parts_and_settings(monkeypatch, capsys):
    def settings(dataset, ipc, network):
        return {"parameterization": "tinted", "trajectory": "between", "views": 4, "matches": 5, "iterations": 7}

    toy = Method(
        name="toy", title="Toy", about="Images with a tint.", source="a test", kind=CONDENSES, settings=settings
    )
    monkeypatch.setitem(methods.METHODS, "toy", toy)
    found = parse(["--method", "toy"])
    assert (found.parameterization, found.trajectory, found.views, found.iterations) == ("tinted", "between", 4, 7)
    assert command(found) == "python -m experiments.run --method toy --dataset digits --ipc 1"
    assert "toy: Images with a tint." in help_of(capsys)
    assert "**Toy** (`toy`)" in methods.table()


def test_a_flag_of_two_owners_is_refused_when_it_is_registered():
    class Clashing(Tinted):
        pass

    parts.PARAMETERIZATIONS.register("tinted", Tinted)
    with pytest.raises(ValueError, match=r"--views of Clashing \(trajectory\) is a flag of parameterization already"):
        parts.TRAJECTORIES.register("clashing", Clashing)
    assert "clashing" not in parts.TRAJECTORIES.members


def test_tinted_images_are_views_times_sources():
    images = tinted(2, 3)
    syn = images.init(jax.random.key(0), DATA.sample(jax.random.key(1), 4))
    decoded = images.decode(syn).image
    for view in range(3):
        chex.assert_trees_all_close(decoded[:, 2 * view : 2 * view + 2], jnp.roll(syn["image"], -view, 3))
