"""The prepared corpus in memory, and the batches drawn from it.

Batches hold utterances of similar length and about the same number of frames. Bands of the
spectrum and stretches of time are blanked at random, so that no single one is relied on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tinyasr import corpus, lexicon
from tinyasr.configuration import LFR_HOP, LFR_WIDTH
from tinyasr.features import Features, stack_frames


@dataclass(frozen=True)
class Batch:
    """features (B, T, 560) zero-padded, lengths (B,), targets (B, L) padded with -1, counts (B,).

    silent (B, T): frames with no speech for a quarter of a second around them. A row may hold several
    utterances one after another: ends (B, K) is the last frame of each, spoken (B, K) how many tokens
    there are up to it, -1 where a row has fewer than K.
    """

    features: torch.Tensor
    silent: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor
    counts: torch.Tensor
    ends: torch.Tensor
    spoken: torch.Tensor


class SpeechSet:
    """All examples of some corpora; ``mean`` and ``deviation`` are of the first one's mel bands, (80,)."""

    def __init__(self, *folders: Path) -> None:
        tokens = lexicon.token_list()
        self._mel: list[npt.NDArray[np.float16]] = []
        self._targets: list[list[int]] = []
        self._silent: list[npt.NDArray[np.bool_]] = []
        for example in itertools.chain.from_iterable(corpus.load(folder) for folder in folders):
            self._mel.append(example.mel.astype(np.float16))
            self._targets.append(lexicon.encode(example.text, tokens))
            self._silent.append(_silent_frames(example.speech))
        sample = np.concatenate(self._mel[:2000]).astype(np.float32)
        self.mean: Features = sample.mean(0)
        self.deviation: Features = sample.std(0)

    def epoch(self, frames_per_batch: int, rng: np.random.Generator, most_joined: int = 1) -> Iterator[Batch]:
        """Every example once, in random order, in batches of about ``frames_per_batch`` (60 ms each).

        Up to ``most_joined`` examples follow one another in a row, as in a stream that goes on.
        """
        rows = self._rows(rng, most_joined)
        lengths = np.array([sum(len(self._mel[index]) for index in row) / LFR_HOP for row in rows])
        order = np.argsort(lengths * rng.uniform(0.9, 1.1, lengths.size))
        batches: list[list[list[int]]] = [[]]
        for number in order:
            if batches[-1] and lengths[number] * (len(batches[-1]) + 1) > frames_per_batch:
                batches.append([])
            batches[-1].append(rows[number])
        for position in rng.permutation(len(batches)):
            # Clips without speech teach beside others; a batch of nothing else has no tokens to learn.
            if any(self._targets[index] for row in batches[position] for index in row):
                yield self._collate(batches[position], rng)

    def _rows(self, rng: np.random.Generator, most_joined: int) -> list[list[int]]:
        if most_joined == 1:
            return [[index] for index in range(len(self._mel))]
        shuffled = rng.permutation(len(self._mel)).tolist()
        rows = []
        while shuffled:
            count = int(rng.integers(1, most_joined + 1))
            rows.append(shuffled[:count])
            del shuffled[:count]
        return rows

    def _collate(self, rows: list[list[int]], rng: np.random.Generator) -> Batch:
        pieces = [[stack_frames(self._augmented(index, rng), LFR_WIDTH, LFR_HOP) for index in row] for row in rows]
        targets = [[token for index in row for token in self._targets[index]] for row in rows]
        lengths = torch.tensor([sum(len(piece) for piece in row) for row in pieces])
        counts = torch.tensor([len(target) for target in targets])
        features = torch.zeros(len(rows), int(lengths.max()), pieces[0][0].shape[1])
        silent = torch.zeros(len(rows), int(lengths.max()), dtype=torch.bool)
        padded = torch.full((len(rows), int(counts.max())), -1)
        ends = torch.zeros(len(rows), max(len(row) for row in rows), dtype=torch.long)
        spoken = torch.full_like(ends, -1)
        for number, (row, target) in enumerate(zip(rows, targets, strict=True)):
            features[number, : lengths[number]] = torch.from_numpy(np.concatenate(pieces[number]))
            silent[number, : lengths[number]] = torch.from_numpy(np.concatenate([self._silent[index] for index in row]))
            padded[number, : len(target)] = torch.tensor(target, dtype=torch.long)
            ends[number, : len(row)] = torch.tensor([len(piece) for piece in pieces[number]]).cumsum(0) - 1
            spoken[number, : len(row)] = torch.tensor([len(self._targets[index]) for index in row]).cumsum(0)
        return Batch(features, silent, lengths, padded, counts, ends, spoken)

    def _augmented(self, index: int, rng: np.random.Generator) -> Features:
        mel = (self._mel[index].astype(np.float32) - self.mean) / self.deviation
        for _ in range(rng.integers(0, 3)):
            width, low = rng.integers(1, 12), rng.integers(0, 76)
            mel[:, low : low + width] = 0.0
        for _ in range(rng.integers(0, 3)):
            width, begin = rng.integers(1, 10), rng.integers(0, len(mel))
            mel[begin : begin + width] = 0.0
        return np.asarray(mel + rng.normal(0.0, 0.1))


def _silent_frames(speech: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """For each stacked frame whether nobody speaks from 250 ms before it to 250 ms after it."""
    reach = 25
    near = np.convolve(speech, np.ones(2 * reach + 1), mode="full")[reach : reach + len(speech)] > 0.5
    return np.asarray(~near[::LFR_HOP])
