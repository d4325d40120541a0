"""Model directories and audio that the engine's tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from asrpool_worker.engine.export import export_directory  # noqa: E402
from asrpool_worker.engine.messages import Samples  # noqa: E402
from tests.worker.engine import model_dirs  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """One torch thread: two cores are shared with whatever else runs."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def random_online(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A streaming model with random weights, exported."""
    path = model_dirs.write(tmp_path_factory.mktemp("online"), model_dirs.paraformer_config(streaming=True), seed=1)
    export_directory(path)
    return path


@pytest.fixture(scope="session")
def random_offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An offline model with random weights, exported."""
    path = model_dirs.write(tmp_path_factory.mktemp("offline"), model_dirs.paraformer_config(streaming=False), seed=2)
    export_directory(path)
    return path


@pytest.fixture(scope="session")
def random_vad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAD with random weights, exported."""
    path = model_dirs.write(tmp_path_factory.mktemp("vad"), model_dirs.vad_config(), seed=3)
    export_directory(path)
    return path


def babble(seconds: float, seed: int) -> Samples:
    """Noise whose loudness and colour change several times a second: every frame differs, as in speech."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 16_000)
    envelope = np.interp(
        np.arange(count), np.arange(0, count + 4000, 2000), rng.uniform(0.0, 0.4, len(range(0, count + 4000, 2000)))
    )
    tone = np.sin(
        np.cumsum(
            np.interp(
                np.arange(count),
                np.arange(0, count + 8000, 4000),
                rng.uniform(0.05, 0.8, len(range(0, count + 8000, 4000))),
            )
        )
    )
    return (envelope * (0.5 * rng.normal(size=count) * 0.3 + 0.5 * tone)).astype(np.float32)
