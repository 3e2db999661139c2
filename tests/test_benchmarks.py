"""The benchmark times what it says: right results, right work, right count of operations."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from helpers import golden as golden_arrays
from helpers import relative_error

import dcjax as dc
from benchmarks import alone, golden, ours, tables
from benchmarks.compare import summarise
from benchmarks.growth import _exponent
from benchmarks.run import DEFAULT, has_peer, parse
from benchmarks.workload import Workload, _forward_flops, gigaflops
from dcjax import backend
from dcjax.training import cross_entropy

TINY = {"width": 4, "classes": 2, "real": 4}


@pytest.mark.parametrize(
    ("files", "distances"),
    [(golden.FILES[:1], golden.DISTANCES[:1]), pytest.param(golden.FILES, golden.DISTANCES, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("side", ["ours", "peer"])
def test_a_side_reproduces_the_published_values(side, files, distances, monkeypatch):
    if side == "peer":
        pytest.importorskip("torch")
    monkeypatch.setattr(golden, "FILES", files)
    monkeypatch.setattr(golden, "DISTANCES", distances)
    assert 0 < golden.check(side) <= golden.TOLERANCE


@pytest.mark.parametrize(
    "work",
    [
        Workload("step", **TINY),
        Workload("outer", ipc=2, epochs=1, **TINY),
        pytest.param(Workload("idc", network_steps=1, **TINY), marks=pytest.mark.slow, id="idc"),
        pytest.param(
            Workload("unrolled", ipc=4, network_steps=2, tasks=2, **TINY), marks=pytest.mark.slow, id="unrolled"
        ),
        pytest.param(
            Workload("trajectory", "cifar10", network_steps=2, **TINY), marks=pytest.mark.slow, id="trajectory"
        ),
        pytest.param(
            Workload("hallucinated", "cifar10", network_steps=2, **TINY), marks=pytest.mark.slow, id="hallucinated"
        ),
        Workload("students", students=1, epochs=2, test=8, **TINY),
    ],
    ids=lambda work: work.kind,
)
@pytest.mark.parametrize("side", ["ours", "peer"])
def test_every_kind_of_work_can_be_done(work, side):
    if side == "peer":
        pytest.importorskip("torch")
        from benchmarks import peer as program
    else:
        program = ours
    assert program.prepare(work)() > 0


def test_the_peer_that_unrolls_gives_the_published_gradients():
    torch = pytest.importorskip("torch")
    from benchmarks import peer, peer_unrolled

    arrays = golden_arrays("rtp_memory_bptt")
    net = golden.published_net(arrays).double()  # in float32 the input of a ReLU changes its sign
    bases = torch.tensor(arrays["bases"]).permute(0, 3, 1, 2).double().to(peer.DEVICE).requires_grad_()
    addresses = torch.tensor(arrays["coefficients"]).double().to(peer.DEVICE).requires_grad_()
    labels = torch.arange(3, device=peer.DEVICE).repeat_interleave(2)
    real = torch.tensor(arrays["real"]).permute(0, 3, 1, 2).double().to(peer.DEVICE)

    def recall(chosen):
        return peer_unrolled.recalled(bases, addresses.flatten(0, 1)[chosen])

    target = torch.tensor(arrays["real_labels"]).to(peer.DEVICE)
    loss = peer_unrolled.backpropagate(net, recall, labels, 4 * [torch.arange(6)], real, target)
    assert loss == pytest.approx(float(arrays["outer_loss"]), rel=1e-5)
    of_bases = bases.grad.permute(0, 2, 3, 1).cpu().numpy()
    assert relative_error(of_bases, arrays["grad_bases"]) < golden.TOLERANCE
    assert relative_error(addresses.grad.cpu().numpy(), arrays["grad_coefficients"]) < golden.TOLERANCE


def test_the_peer_that_matches_trajectories_gives_the_published_gradients():
    torch = pytest.importorskip("torch")
    from benchmarks import peer, peer_trajectory

    arrays = golden_arrays("mtt")
    image = torch.tensor(arrays["synthetic"]).permute(0, 3, 1, 2).double().to(peer.DEVICE).requires_grad_()
    label, rate = (torch.tensor(arrays[name], device=peer.DEVICE) for name in ("labels", "student_lr"))
    rate = rate.double().requires_grad_()
    layout = arrays | {"real": arrays["synthetic"]}  # what says the size of an image there
    later = layout | {name.removeprefix("target_"): value for name, value in arrays.items() if name[:7] == "target_"}
    net, target = (golden.published_net(each).double() for each in (layout, later))
    ends = peer_trajectory.flat(net), peer_trajectory.flat(target)
    loss = peer_trajectory.matched(net, *ends, rate, 3 * [slice(None)], lambda chosen: (image[chosen], label[chosen]))
    loss.backward()
    assert loss.item() == pytest.approx(float(arrays["loss"]), rel=1e-5)
    assert rate.grad.item() == pytest.approx(float(arrays["grad_lr"]), rel=1e-4)
    assert relative_error(image.grad.permute(0, 2, 3, 1).cpu().numpy(), arrays["grad_synthetic"]) < golden.TOLERANCE


def test_the_peer_s_hallucinator_and_adversary_are_the_published_ones():
    torch = pytest.importorskip("torch")
    from benchmarks import peer, peer_trajectory

    arrays = {name: torch.tensor(value) for name, value in golden_arrays("haba").items()}
    restyle = peer_trajectory.Hallucinator((32, 32, 3))
    with torch.no_grad():
        for side, name, axes in ((restyle.encoder, "enc", (3, 2, 0, 1)), (restyle.decoder, "dec", (2, 3, 0, 1))):
            kernel = arrays[f"rgb_{name}_kernel"]
            side.weight.copy_((kernel if name == "enc" else kernel.flip(0, 1)).permute(axes))
            side.bias.copy_(arrays[f"rgb_{name}_bias"])
        for name in ("scale", "shift"):
            getattr(restyle, name).copy_(arrays[f"rgb_{name}"].permute(2, 0, 1))
        image = restyle(arrays["rgb_bases"].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert relative_error(image.numpy(), arrays["rgb_images"].numpy()) < golden.TOLERANCE
    a, b, label = (arrays[name].to(peer.DEVICE) for name in ("features_a", "features_b", "feature_labels"))
    assert peer_trajectory.likeness(a, b).item() == pytest.approx(float(arrays["diversity_loss"]), rel=1e-4)
    assert peer_trajectory.contrast(a, b, label).item() == pytest.approx(float(arrays["supcon_loss"]), rel=1e-4)


@pytest.mark.parametrize("shape", ["mnist", "cifar10", pytest.param("tiny_imagenet", marks=pytest.mark.slow)])
def test_operations_are_those_of_xla_s_direct_convolutions(shape):
    work = Workload("step", shape, width=64)
    net = dc.network(dc.networks.ConvNet(10, work.width), work.image_shape)
    params = net.init(jax.random.key(0))
    batch = dc.Batch(jnp.zeros((1, *work.image_shape)), jnp.eye(10)[:1])
    loss, (first, rest) = cross_entropy(net), _forward_flops(work)

    def matching(image):
        return sum(
            jnp.square(leaf).sum() for leaf in jax.tree.leaves(jax.grad(loss)(params, batch._replace(image=image)))
        )

    def counted(function, *args):
        return jax.jit(function).lower(*args).cost_analysis()["flops"]

    with backend.answering_for("gpu"):
        assert counted(net.apply, params, batch.image) == pytest.approx(first + rest, rel=0.1)
        assert counted(jax.grad(loss), params, batch) == pytest.approx(3 * (first + rest) - first, rel=0.1)
        assert counted(jax.grad(matching), batch.image) == pytest.approx(7 * (first + rest), rel=0.2)


def test_the_parts_of_an_outer_iteration_add_up():
    whole = gigaflops(Workload("outer", ipc=10, matches=10, epochs=50))
    match, tenth = gigaflops(Workload("step", ipc=10)), gigaflops(Workload("outer", ipc=10, epochs=45))
    assert whole == pytest.approx(10 * tenth)
    timed = DEFAULT["outer"][0]
    share = gigaflops(dataclasses.replace(timed, kind="step")) / gigaflops(timed)
    assert share == pytest.approx(match / tenth, abs=0.01)  # as much matching beside as much inner training


def test_ratios_are_of_turns_and_rates_of_the_same_run():
    work = Workload("step")
    answers = {
        "ours": [{"seconds": s, "peak_bytes": 2**30, "limit": 100.0} for s in (1.0, 2.0, 4.0)],
        "peer": [{"seconds": s, "peak_bytes": 2**31} for s in (3.0, 4.0, 4.0)],
    }
    row = summarise(work, answers)
    assert row["peer/ours"] == {"median": 2.0, "least": 1.0, "greatest": 3.0}
    assert row["fraction"] == pytest.approx(gigaflops(work) / 2 / 100, abs=0.01)
    assert "2.00 (1.00-3.00)" in tables.comparison([row])


def test_a_part_without_a_peer_needs_no_pytorch():
    assert not has_peer(parse(["--only", "classes", "memory", "growth"]))
    assert has_peer(parse(["--only", "classes", "step"]))
    assert has_peer(parse([]))
    assert not has_peer(parse(["--against", "elsewhere"]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step", "dm"])
def test_a_step_alone_says_what_it_took(kind):
    row = alone.measure(Workload(kind, "tiny_imagenet", ipc=2, compared=3, **{**TINY, "classes": 6}))
    assert row["name"].endswith("3 of 6 classes x 4")
    assert row["seconds"] >= 0
    assert row["peak_gib"] > row["arguments_gib"] + row["temporaries_gib"]
    assert row["name"] in tables.alone([row])


def test_the_exponent_of_a_power_law():
    assert _exponent(2, 50, 3 * 2**1.7, 3 * 50**1.7) == 1.7
