"""Baseline: a plain server that does what FunASR's runtime server does, with FunASR's own `AutoModel.generate`.

As there: each stream has its own caches; its VAD runs on every message of 60 ms, whatever the mode; every ten messages
the streaming model runs on 600 ms (`chunk_interval`); where the VAD finds an end, the second pass and punctuation run on
what was said, and the stream's caches begin anew. Each call is for one stream and blocks a thread of the pool.
`generate` is not safe across threads, so the pool has one worker unless told otherwise; torch has the threads.

A partial says how much of the stream's audio it needed (`needed_ms`), which FunASR's own server does not: since the
strides begin anew at each end of speech, a client could not know.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.streams import baseline_socket
from bench.streams.baseline_socket import Message

BYTES_PER_MS = 32
KEPT_FRAMES = 20
"""Frames of the past that the next utterance may begin in."""


class Models:
    """FunASR's models, each behind its own `AutoModel`."""

    def __init__(
        self, online: Path, offline: Path | None, vad: Path, punc: Path | None, threads: int, device: str
    ) -> None:
        from funasr import AutoModel

        def load(directory: Path | None) -> Any:  # noqa: ANN401 - FunASR publishes no types
            if directory is None:
                return None
            return AutoModel(
                model=str(directory),
                device=device,
                ncpu=threads,
                disable_update=True,
                disable_pbar=True,
                disable_log=True,
            )

        self.online = load(online)
        self.offline = load(offline)
        self.vad = load(vad)
        self.punc = load(punc)


class FunasrSession:
    """One stream."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._mode = "2pass"
        self._chunk_interval = 10
        self._online: Message = {"cache": {}, "is_final": False, "chunk_size": [5, 10, 5]}
        self._vad: Message = {"cache": {}, "is_final": False, "chunk_size": 60}
        self._punc: Message = {"cache": {}}
        self._past: list[bytes] = []
        self._stride: list[bytes] = []
        self._utterance: list[bytes] = []
        self._speaking = False
        self._ms = 0.0

    def configure(self, message: Message) -> None:
        """See `Session`."""
        self._mode = message.get("mode", self._mode)
        self._chunk_interval = int(message.get("chunk_interval", self._chunk_interval))
        for name in ("chunk_size", "encoder_chunk_look_back", "decoder_chunk_look_back"):
            if name in message:
                self._online[name] = message[name]
        self._vad["chunk_size"] = self._online["chunk_size"][1] * 60 // self._chunk_interval

    def audio(self, data: bytes) -> Sequence[Message]:
        """See `Session`."""
        answers: list[Message] = []
        self._ms += len(data) / BYTES_PER_MS
        self._past.append(data)
        self._stride.append(data)
        if len(self._stride) >= self._chunk_interval:
            answers += self._recognise(is_final=False)
        if self._speaking:
            self._utterance.append(data)
        begin_ms, end_ms = self._boundaries(data)
        if begin_ms >= 0:
            self._speaking = True
            before = max(1, round((self._ms - begin_ms) * BYTES_PER_MS / len(data)))
            self._utterance = self._past[-before:]
        if end_ms >= 0:
            answers += self._second_pass()
            self._begin_anew()
        return answers

    def end(self) -> Sequence[Message]:
        """See `Session`."""
        answers = self._recognise(is_final=True) if self._mode == "online" and self._stride else []
        answers += self._second_pass()
        self._begin_anew()
        self._past = []
        self._vad["cache"] = {}
        return answers

    def _recognise(self, *, is_final: bool) -> list[Message]:
        data, self._stride = b"".join(self._stride), []
        if self._mode == "offline":
            return []
        self._online["is_final"] = is_final
        text = self._models.online.generate(input=data, **self._online)[0]["text"]
        if not text:
            return []
        mode = "2pass-online" if self._mode == "2pass" else self._mode
        return [{"mode": mode, "text": text, "is_final": False, "needed_ms": self._ms}]

    def _boundaries(self, data: bytes) -> tuple[float, float]:
        """(begin, end) in the stream's ms, -1 for none."""
        segments = self._models.vad.generate(input=data, **self._vad)[0]["value"]
        if len(segments) != 1:
            return -1.0, -1.0
        return float(segments[0][0]), float(segments[0][1])

    def _second_pass(self) -> list[Message]:
        data, self._utterance = b"".join(self._utterance), []
        if self._mode == "online" or not data or self._models.offline is None:
            return []
        text = self._models.offline.generate(input=data)[0]["text"]
        if self._models.punc is not None and text:
            text = self._models.punc.generate(input=text, **self._punc)[0]["text"]
        mode = "2pass-offline" if self._mode == "2pass" else self._mode
        return [{"mode": mode, "text": text, "is_final": True}] if text else []

    def _begin_anew(self) -> None:
        self._speaking = False
        self._stride = []
        self._online["cache"] = {}
        self._past = self._past[-KEPT_FRAMES:]


def main() -> None:
    """`python -m bench.streams.funasr_server`."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.funasr_server", description=__doc__)
    parser.add_argument("--online", type=Path, required=True)
    parser.add_argument("--offline", type=Path)
    parser.add_argument("--vad", type=Path, required=True)
    parser.add_argument("--punc", type=Path)
    parser.add_argument("--threads", type=int, required=True, help="torch threads of one call")
    parser.add_argument("--workers", type=int, default=1, help="calls at a time")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--port", type=int, required=True)
    parsed = parser.parse_args()
    import torch

    models = Models(parsed.online, parsed.offline, parsed.vad, parsed.punc, parsed.threads, parsed.device)
    torch.set_num_threads(parsed.threads)
    warm = FunasrSession(models)
    warm.configure({"mode": "2pass" if models.offline else "online", "chunk_size": [0, 10, 5]})
    for _ in range(20):
        warm.audio(bytes(60 * BYTES_PER_MS))
    warm.end()
    baseline_socket.run(lambda: FunasrSession(models), ThreadPoolExecutor(parsed.workers), parsed.port)


if __name__ == "__main__":
    main()
