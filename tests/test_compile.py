"""DC's outer iteration compiles for TPUs and fits into their memory, though there is none here."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments.methods import METHODS

ROOT = Path(__file__).parent.parent
WORK = (("dc", 1, 1), ("dc", 1, 4), ("haba", 1, 1))  # method, images per class, chips
PROGRAM = (
    f"import json; from benchmarks.compile import Work, need; print(json.dumps([need(Work(*work)) for work in {WORK}]))"
)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="pip install dcjax[compile]")
def test_an_outer_iteration_fits_into_one_chip_and_into_four():
    """In a process of its own: this one has its optimizations turned off, and flags of XLA that the TPU's compiler does not know."""
    ours = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**clean, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    from benchmarks.compile import CHIP_MEMORY, Need

    needs = [Need(*row) for row in json.loads(done.stdout.splitlines()[-1])]
    for work, need in zip(WORK, needs, strict=True):
        print(f"{work}: {need.peak / 2**30:.2f} GiB at the peak, {need.temporaries / 2**30:.2f} GiB of temporaries")
        assert 0 < need.peak < CHIP_MEMORY
        assert need.arguments + need.temporaries < CHIP_MEMORY
    one, four, hallucinated = needs  # the first two are the same work
    assert four.temporaries < 0.5 * one.temporaries
    assert one.flops == four.flops  # of all chips together
    assert (
        hallucinated.flops > 50 * 3 * 2 * 10 * 128 * 128 * 9 * 16 * 16
    )  # its 50 steps, forward and back, of one layer alone


def test_the_table_has_a_line_for_every_method_and_size_and_says_what_does_not_fit():
    from benchmarks.compile import Need, Work, table

    fits, refused = Need(2**30, 2**31, 2**31, 60.0, 2e12), Need(None, None, None, 9.0, 2e12)
    found = [(Work("dc", 1, 1), refused), (Work("dc", 1, 4), fits), (Work("dc", 10, 4), fits)]
    assert table(found).splitlines()[2:] == [
        "| DC | 1 | does not fit | 3.00 | 2 | 9 | 60 |",
        "| DC | 10 |  | 3.00 | 2 |  | 60 |",
    ]


def test_what_the_compiler_refuses_for_its_size_is_noted_and_other_errors_are_not(monkeypatch):
    from benchmarks import compile as compiling

    def refused(run, args, chips):
        raise jax.errors.JaxRuntimeError(message)

    monkeypatch.setattr(compiling, "outer_iteration", lambda method, ipc: (jax.jit(jnp.sin), (jnp.zeros(3),)))
    monkeypatch.setattr(compiling, "compiled_for_tpu", refused)
    message = "RESOURCE_EXHAUSTED: CompileTimeHbmOom: exceeds available HBM"
    assert compiling.need(compiling.Work("dc", 1, 1)).allocated is None
    message = "INTERNAL: something else"
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        compiling.need(compiling.Work("dc", 1, 1))


def test_the_documents_have_the_committed_measurements():
    from benchmarks.compile import METHODS_COMPILED, Need, Work, table

    noted = json.loads((ROOT / "benchmarks" / "results" / "compile.json").read_text())["rows"]
    rows = [(Work(**{name: row.pop(name) for name in Work._fields}), Need(**row)) for row in noted]
    assert [*dict.fromkeys(work.method for work, _ in rows)] == [*METHODS_COMPILED]
    assert table(rows) in (ROOT / "benchmarks" / "README.md").read_text()
    notebook = (ROOT / "colab" / "tpu.ipynb").read_text()
    for method in ("dc", "dsa", "dm", "idc", "dd", "bptt", "rtp", "mtt", "haba"):
        one, ten = (need.allocated / 2**30 for ipc in (1, 10) for work, need in rows if work == Work(method, ipc, 1))
        assert re.search(rf"\| {METHODS[method].title} \| {one:.1f} \| {ten:.1f} \|", notebook), method
