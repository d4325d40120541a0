"""Baseline: sherpa-onnx's streaming Paraformer behind a small WebSocket server.

sherpa-onnx decodes one stream after another, also where it is given several at once, so the kindest order is by who has
waited longest: each ready stride is a job of a single worker thread, in order of arrival, with onnxruntime's threads
under it. A stride needs 62 filter-bank frames, then 60 more for each next: 35 ms more audio than its 600 ms.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.streams import baseline_socket
from bench.streams.baseline_socket import Message

SAMPLE_RATE_HZ = 16_000
TAIL_SECONDS = 0.66
"""Silence after the end, so that the model reads what is left: sherpa's own examples do the same."""


class SherpaSession:
    """One stream. A call decodes what its audio made ready."""

    def __init__(self, recognizer: Any) -> None:  # noqa: ANN401 - sherpa-onnx publishes no types
        self._recognizer = recognizer
        self._stream = recognizer.create_stream()
        self._said = ""

    def configure(self, message: Message) -> None:
        """See `Session`; the model's chunks are fixed."""

    def audio(self, data: bytes) -> Sequence[Message]:
        """See `Session`."""
        self._stream.accept_waveform(SAMPLE_RATE_HZ, np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768)
        return self._decode()

    def end(self) -> Sequence[Message]:
        """See `Session`."""
        self._stream.accept_waveform(SAMPLE_RATE_HZ, np.zeros(int(TAIL_SECONDS * SAMPLE_RATE_HZ), np.float32))
        self._stream.input_finished()
        return self._decode()

    def _decode(self) -> list[Message]:
        answers: list[Message] = []
        while self._recognizer.is_ready(self._stream):
            self._recognizer.decode_stream(self._stream)
            said = self._recognizer.get_result(self._stream)
            if said != self._said:
                answers.append({"mode": "online", "text": said[len(self._said) :], "is_final": False})
                self._said = said
        return answers


def main() -> None:
    """`python -m bench.streams.sherpa_server`."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.sherpa_server", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with encoder.onnx, decoder.onnx, tokens.txt")
    parser.add_argument("--dtype", choices=("float32", "int8"), default="float32")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parsed = parser.parse_args()
    import sherpa_onnx

    ending = ".int8.onnx" if parsed.dtype == "int8" else ".onnx"
    recognizer = sherpa_onnx.OnlineRecognizer.from_paraformer(
        tokens=str(parsed.model / "tokens.txt"),
        encoder=str(parsed.model / f"encoder{ending}"),
        decoder=str(parsed.model / f"decoder{ending}"),
        num_threads=parsed.threads,
    )
    warm = SherpaSession(recognizer)
    warm.audio(bytes(2 * SAMPLE_RATE_HZ))
    warm.end()
    baseline_socket.run(lambda: SherpaSession(recognizer), ThreadPoolExecutor(1), parsed.port)


if __name__ == "__main__":
    main()
