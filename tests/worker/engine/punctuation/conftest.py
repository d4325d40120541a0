"""Punctuation models that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from asrpool_worker.engine.export import export_directory
from tests.worker.engine.punctuation import punc_dirs


@pytest.fixture(scope="session")
def offline_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An offline model with random weights, exported."""
    path = punc_dirs.write(tmp_path_factory.mktemp("punc"), punc_dirs.punc_config(realtime=False), seed=1)
    export_directory(path)
    return path


@pytest.fixture(scope="session")
def realtime_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A realtime model with random weights, exported."""
    path = punc_dirs.write(tmp_path_factory.mktemp("punc-realtime"), punc_dirs.punc_config(realtime=True), seed=2)
    export_directory(path)
    return path
