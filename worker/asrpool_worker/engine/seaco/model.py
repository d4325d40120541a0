"""BiCif- and SeACo-Paraformer as the engine uses them: utterances of many sessions in, each with its own hotwords.

What a word becomes is computed once for all rows that ask for it, and kept: a session brings the same list with each of
its utterances, so a step costs by the words that are new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.backend import Backend, RunGraph
from asrpool_worker.engine.hotword_bias import Candidates, HotwordTree, choose
from asrpool_worker.engine.hotwords import SPELLED_LISTS, Hotwords, Speller
from asrpool_worker.engine.modeldir import FloatArray, ModelDir
from asrpool_worker.engine.paraformer.dims import EXTENDED_CLASSES
from asrpool_worker.engine.paraformer.online_model import SENTENCE_MARKS, place
from asrpool_worker.engine.paraformer.timestamps import token_times_ms
from asrpool_worker.engine.recogniser import OfflineRow, Recognised
from asrpool_worker.engine.seaco.dims import (
    HOTWORD_CLASS,
    HOTWORD_GRAPH,
    TIMESTAMP_GRAPH,
    UPSAMPLE_TIMES,
    BiCifDims,
    SeacoDims,
    graph_sizes,
    read_bicif,
    read_seaco,
)
from asrpool_worker.engine.seaco.timestamps import fine_token_times_ms
from asrpool_worker.engine.slots import Arrays
from asrpool_worker.engine.text import CONTROL_TOKENS

NamedArrays = dict[str, npt.NDArray[Any]]
CLASSES = EXTENDED_CLASSES
"""FunASR's classes that this module runs."""

Word = tuple[int, ...]
NONE_OF_THEM: Word = (1,)
"""The token <s>, which stands first among every row's hotwords."""

REMEMBERED_WORDS = 16_384
"""Words whose vectors are kept from step to step: 32 MiB at a width of 512. To encode 500 anew would cost as much as an utterance."""

BIAS_WEIGHT = 1.0
"""How far hotwords decide over the recogniser; FunASR gives them all of it."""


class BiCifModel:
    """Whole-utterance Paraformer with a time-stamp head. It has no bias encoder: hotwords choose among its candidates."""

    reads_samples = False

    def __init__(self, model: ModelDir, dims: BiCifDims, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self._graph = graph
        self._arrays = arrays
        self._spelled = lru_cache(maxsize=SPELLED_LISTS)(Speller(model).spell_all)

    def check_hotwords(self, words: tuple[str, ...]) -> Hotwords:
        """Which of a session's words are listened for, and which are not and why."""
        return self._spelled(words)

    def run(self, rows: Sequence[OfflineRow]) -> list[Recognised]:
        """See `Recogniser`."""
        token_ids, counts, alphas, fine, *likely = self._outputs(rows)
        said = []
        for index, (row, count) in enumerate(zip(rows, counts.tolist(), strict=True)):
            chosen = self._chosen(row, token_ids[index, :count].tolist(), [array[index, :count] for array in likely])
            weights = alphas[index, : len(row.frames) + 1], fine[index, : len(row.frames) * UPSAMPLE_TIMES]
            said.append(self._recognised(chosen, *(np.asarray(array, dtype=np.float32) for array in weights)))
        return said

    def _chosen(self, row: OfflineRow, token_ids: list[int], likely: list[npt.NDArray[Any]]) -> list[int]:
        words = self._spelled(row.hotwords).token_ids
        return choose(Candidates(*likely), HotwordTree.of(words)) if words else token_ids

    def _outputs(self, rows: Sequence[OfflineRow]) -> list[npt.NDArray[Any]]:
        return self._run(self._utterances(rows))

    def _run(self, named: NamedArrays) -> list[npt.NDArray[Any]]:
        outputs = self._graph({name: self._arrays.from_host(array) for name, array in named.items()})
        return [self._arrays.to_host(output) for output in outputs]

    def _utterances(self, rows: Sequence[OfflineRow]) -> NamedArrays:
        dims = self.dims.paraformer
        utterances = [row.frames for row in rows]
        longest = max(map(len, utterances))
        frames = np.zeros((len(utterances), longest, dims.feature_size), dtype=np.float32)
        frame_mask = np.zeros((len(utterances), longest), dtype=np.float32)
        tail_mask = np.zeros((len(utterances), longest + 1), dtype=np.float32)
        for index, utterance in enumerate(utterances):
            frames[index, : len(utterance)] = place(utterance, 0, dims)
            frame_mask[index, : len(utterance)] = 1.0
            tail_mask[index, len(utterance)] = 1.0
        return {"frames": frames, "frame_mask": frame_mask, "tail_mask": tail_mask}

    def _recognised(self, token_ids: list[int], alphas: FloatArray, fine: FloatArray) -> Recognised:
        spoken = [(place, number) for place, number in enumerate(token_ids) if number >= SENTENCE_MARKS]
        times = fine_token_times_ms(fine, len(token_ids), len(spoken))
        if times is None:
            coarse = token_times_ms(alphas, len(token_ids))
            times = tuple(coarse[place] for place, _ in spoken)
        named = [(self.model.tokens[number], time) for (_, number), time in zip(spoken, times, strict=True)]
        kept = [(name, time) for name, time in named if name not in CONTROL_TOKENS]
        return Recognised(tuple(name for name, _ in kept), tuple(time for _, time in kept))


class SeacoModel(BiCifModel):
    """Whole-utterance Paraformer with a bias encoder."""

    def __init__(self, model: ModelDir, dims: SeacoDims, graph: RunGraph, arrays: Arrays) -> None:
        super().__init__(model, dims, graph, arrays)
        self._vectors: OrderedDict[Word, FloatArray] = OrderedDict()

    def _outputs(self, rows: Sequence[OfflineRow]) -> list[npt.NDArray[Any]]:
        asked = [self._spelled(row.hotwords).token_ids for row in rows]
        different = dict.fromkeys(word for words in asked for word in words)
        known = [word for word in different if word in self._vectors]
        fresh = [NONE_OF_THEM, *(word for word in different if word not in self._vectors)]
        *outputs, vectors = self._run(self._utterances(rows) | self._words(asked, fresh, known))
        for word, vector in zip(fresh[1:], vectors[1:], strict=True):
            self._vectors[word] = np.array(vector, dtype=np.float32)
        for word in known:
            self._vectors.move_to_end(word)
        while len(self._vectors) > REMEMBERED_WORDS:
            self._vectors.popitem(last=False)
        return outputs

    def _words(self, asked: Sequence[Sequence[Word]], fresh: Sequence[Word], known: Sequence[Word]) -> NamedArrays:
        """The inputs that carry each row's hotwords, of which the graph encodes only the `fresh` ones."""
        word_ids = np.zeros((len(fresh), max(map(len, fresh))), dtype=np.int64)
        for number, word in enumerate(fresh):
            word_ids[number, : len(word)] = word
        vectors = [self._vectors[word] for word in known]
        numbers = {word: number for number, word in enumerate((*fresh, *known))}
        hotwords = np.zeros((len(asked), 1 + max(map(len, asked))), dtype=np.int64)
        mask = np.zeros(hotwords.shape, dtype=np.float32)
        for index, words in enumerate(asked):
            hotwords[index, 1 : 1 + len(words)] = [numbers[word] for word in words]
            mask[index, : 1 + len(words)] = 1.0
        return {
            "word_ids": word_ids,
            "word_last": np.array([len(word) - 1 for word in fresh], dtype=np.int64),
            "known_words": np.array(vectors, dtype=np.float32).reshape(len(known), self.dims.paraformer.size),
            "hotwords": hotwords,
            "hotword_mask": mask,
            "bias_weight": np.array([BIAS_WEIGHT if words else 0.0 for words in asked], dtype=np.float32),
        }

    def _chosen(self, row: OfflineRow, token_ids: list[int], likely: list[npt.NDArray[Any]]) -> list[int]:  # noqa: ARG002
        """The graph itself has decided."""
        return token_ids


def load(model: ModelDir, backend: Backend) -> BiCifModel:
    """The recogniser of a BiCifParaformer or SeacoParaformer directory. Raises `ModelError`."""
    if model.model_class == HOTWORD_CLASS:
        dims = read_seaco(model)
        return SeacoModel(model, dims, backend.load(model, HOTWORD_GRAPH, graph_sizes(dims)), backend.arrays)
    plain = read_bicif(model)
    return BiCifModel(model, plain, backend.load(model, TIMESTAMP_GRAPH, graph_sizes(plain)), backend.arrays)
