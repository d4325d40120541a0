"""What 8-bit weights cost in accuracy: the same 300 unseen utterances through the worker's own engine, twice."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from asrpool.cer import character_error_rate
from asrpool_worker.engine.export import export_directory
from asrpool_worker.engine.factory import EngineConfig, build_engine
from asrpool_worker.engine.messages import Ended, Engine, Event, Failed, Final, Mode, Partial, Samples, StreamOptions
from tinyasr import testset

pytestmark = pytest.mark.model

MODELS = Path(__file__).resolve().parents[2] / "models"
COUNT = 300
AT_ONCE = 50
MOST_LOST = 0.005


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """By number type; the 8-bit graphs are made here, by the exporter that users have."""
    directory = tmp_path_factory.mktemp("int8")
    for name in ("paraformer-tiny-streaming", "paraformer-tiny"):
        shutil.copytree(MODELS / name, directory / name)
        assert [path.name for path in export_directory(directory / name, int8=True)] == [
            "model.onnx",
            "model.int8.onnx",
        ]
    built: dict[str, Engine] = {
        dtype: build_engine(
            EngineConfig(
                online=str(directory / "paraformer-tiny-streaming"),
                offline=str(directory / "paraformer-tiny"),
                dtype=dtype,
            )
        )
        for dtype in ("float32", "int8")
    }
    for engine in built.values():
        engine.start()
    yield built
    for engine in built.values():
        engine.stop()


def heard(engine: Engine, utterances: list[Samples], mode: Mode) -> list[str]:
    """The texts, many streams at once."""
    texts = [""] * len(utterances)
    left = threading.Semaphore(0)

    def listener(number: int) -> None:
        def hear(event: Event) -> None:
            assert not isinstance(event, Failed), event
            if isinstance(event, Partial | Final):
                texts[number] += event.text
            if isinstance(event, Ended):
                left.release()

        stream = engine.open(f"utterance-{number}", StreamOptions(mode=mode), hear)
        stream.feed(utterances[number], 0.0)
        stream.finish()

    for first in range(0, len(utterances), AT_ONCE):
        batch = range(first, min(first + AT_ONCE, len(utterances)))
        for number in batch:
            listener(number)
        for _ in batch:
            assert left.acquire(timeout=120)
    return texts


@pytest.mark.parametrize("mode", [Mode.ONLINE, Mode.OFFLINE])
@pytest.mark.parametrize("kind", ["clean", "noisy"])
def test_eight_bits_lose_half_a_point_at_most(
    engines: dict[str, Engine], kind: Literal["clean", "noisy"], mode: Mode
) -> None:
    said = testset.build(kind, COUNT)
    rates = {
        dtype: character_error_rate(
            zip((one.text for one in said), heard(engine, [one.samples for one in said], mode), strict=True)
        )
        for dtype, engine in engines.items()
    }
    print(f"{mode}, {kind}: {rates['float32']:.2%} in float32, {rates['int8']:.2%} in int8")
    assert rates["int8"] <= rates["float32"] + MOST_LOST
