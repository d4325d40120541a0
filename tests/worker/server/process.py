"""The worker process as it is, but for its engine: `python -m tests.worker.server.process serve FLAG...`."""

from __future__ import annotations

import os
import sys
import time

from asrpool_worker import main
from asrpool_worker.engine.messages import Engine, EngineObserver
from asrpool_worker.errors import ModelError
from asrpool_worker.server import loading
from asrpool_worker.settings import Settings
from tests.worker.fakes import FakeEngine


def build(settings: Settings, observer: EngineObserver) -> Engine:
    """An engine whose load takes FAKE_LOAD_SECONDS, or fails where the directory is named `broken`."""

    def load() -> None:
        time.sleep(float(os.environ.get("FAKE_LOAD_SECONDS", "0")))
        observer.batch("online", 3, 0.01)
        if settings.online == "broken":
            raise ModelError("broken: config.yaml is missing; give a FunASR model directory")

    return FakeEngine(load=load)


if __name__ == "__main__":
    loading.build_engine = build
    sys.exit(main.main())
