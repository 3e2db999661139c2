"""Strictness for every test: no silent broadcasting, no key used twice, four CPU devices. And what makes compiling quick."""

import gc
import mmap
import os
from pathlib import Path

import jax
import jaxlib
import pytest

QUICK = {  # flags of XLA for programs that are compiled more often than they run
    "xla_cpu_use_fusion_emitters": "false",  # of two ways to make machine code, this one takes longer
    "xla_cpu_parallel_codegen_split_count": "1",  # parts to compile at once; another number may round otherwise
}


def _is_known(flag: str) -> bool:
    """Tells whether this jaxlib has a flag of XLA, which ends a process that is given one it does not know."""
    library = max(Path(jaxlib.__file__).parent.glob("*.so"), key=lambda file: file.stat().st_size)
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(flag.encode()) >= 0


for flag, value in QUICK.items():
    given = os.environ.get("XLA_FLAGS", "")
    if flag not in given and _is_known(flag):
        os.environ["XLA_FLAGS"] = f"{given} --{flag}={value}".strip()  # other processes inherit it
gc.set_threshold(100_000, 20, 10)  # tracing makes so many objects that Python would look for dead ones all the time
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_disable_most_optimizations", True)  # most of the time would be spent compiling
jax.config.update("jax_default_matmul_precision", "float32")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture
def no_pictures(monkeypatch):
    """Runs without pictures, which take a good part of a short run's time; other tests look at them."""
    monkeypatch.setattr("experiments.pipeline.pictures.image_grid", lambda *_: None)
    monkeypatch.setattr("experiments.pipeline.figures.curves", lambda *_: None)


@pytest.fixture
def optimized():
    """Programs with XLA's optimizations: for what takes longer to run than to compile, or measures a program."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # JAX does not tell programs with and without them apart
    yield
    jax.config.update("jax_disable_most_optimizations", before)
    jax.clear_caches()


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """A place of the tests' own for decoded images and compiled programs, one for all workers; processes that they start optimize no more."""
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
    place = tmp_path_factory.getbasetemp()
    place = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "cache"
    os.environ["DCJAX_CACHE"] = str(place)
    jax.config.update("jax_compilation_cache_dir", str(place / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
