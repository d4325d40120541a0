"""Whole-utterance Paraformer as the engine uses it: utterances of many sessions in, tokens and their times out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.hotword_bias import Candidates, HotwordTree, choose
from asrpool_worker.engine.hotwords import SPELLED_LISTS, Hotwords, Speller
from asrpool_worker.engine.modeldir import FloatArray, ModelDir
from asrpool_worker.engine.paraformer.dims import ParaformerDims
from asrpool_worker.engine.paraformer.online_model import place
from asrpool_worker.engine.paraformer.timestamps import token_times_ms
from asrpool_worker.engine.recogniser import OfflineRow, Recognised
from asrpool_worker.engine.slots import Arrays
from asrpool_worker.engine.text import CONTROL_TOKENS


@dataclass(frozen=True)
class Decoded:
    """One utterance: token numbers, for each frame the weight that its tokens took (the last is the tail's), and what else
    each token could have been.
    """

    token_ids: tuple[int, ...]
    alphas: FloatArray
    candidates: Candidates


class OfflineModel:
    """Whole-utterance Paraformer."""

    reads_samples = False

    def __init__(self, model: ModelDir, dims: ParaformerDims, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self._graph = graph
        self._arrays = arrays
        self._spelled = lru_cache(maxsize=SPELLED_LISTS)(Speller(model).spell_all)

    def run(self, rows: Sequence[OfflineRow]) -> list[Recognised]:
        """See `Recogniser`."""
        decoded = self.decode([row.frames for row in rows])
        return [self._recognised(self._chosen(row, one), one.alphas) for row, one in zip(rows, decoded, strict=True)]

    def decode(self, utterances: Sequence[FloatArray]) -> list[Decoded]:
        """Decode utterances of (frames, f), padded to the longest."""
        longest = max(len(frames) for frames in utterances)
        frames = np.zeros((len(utterances), longest, self.dims.feature_size), dtype=np.float32)
        frame_mask = np.zeros((len(utterances), longest), dtype=np.float32)
        tail_mask = np.zeros((len(utterances), longest + 1), dtype=np.float32)
        for index, utterance in enumerate(utterances):
            frames[index, : len(utterance)] = place(utterance, 0, self.dims)
            frame_mask[index, : len(utterance)] = 1.0
            tail_mask[index, len(utterance)] = 1.0
        named = {"frames": frames, "frame_mask": frame_mask, "tail_mask": tail_mask}
        outputs = self._graph({name: self._arrays.from_host(array) for name, array in named.items()})
        token_ids, counts, alphas, candidates, scores = (self._arrays.to_host(output) for output in outputs)
        return [
            Decoded(
                _whole(token_ids[index, : counts[index]]),
                np.asarray(alphas[index, : len(utterance) + 1], dtype=np.float32),
                Candidates(candidates[index, : counts[index]], scores[index, : counts[index]]),
            )
            for index, utterance in enumerate(utterances)
        ]

    def check_hotwords(self, words: tuple[str, ...]) -> Hotwords:
        """Which of a session's words are listened for, and which are not and why."""
        return self._spelled(words)

    def _chosen(self, row: OfflineRow, decoded: Decoded) -> Sequence[int]:
        words = self._spelled(row.hotwords).token_ids
        return choose(decoded.candidates, HotwordTree.of(words)) if words else decoded.token_ids

    def _recognised(self, token_ids: Sequence[int], alphas: FloatArray) -> Recognised:
        said = [self.model.tokens[number] for number in token_ids]
        times = token_times_ms(alphas, len(said))
        kept = [(name, time) for name, time in zip(said, times, strict=True) if name not in CONTROL_TOKENS]
        return Recognised(tuple(name for name, _ in kept), tuple(time for _, time in kept))


def _whole(token_ids: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(token) for token in token_ids)
