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

    silent (B, T): frames with no speech for a quarter of a second around them.
    """

    features: torch.Tensor
    silent: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor
    counts: torch.Tensor


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

    def epoch(self, frames_per_batch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Every example once, in random order, in batches of about ``frames_per_batch`` (60 ms each)."""
        lengths = np.array([len(mel) / LFR_HOP for mel in self._mel])
        order = np.argsort(lengths * rng.uniform(0.9, 1.1, lengths.size))
        batches: list[list[int]] = [[]]
        for index in order:
            if batches[-1] and lengths[index] * (len(batches[-1]) + 1) > frames_per_batch:
                batches.append([])
            batches[-1].append(int(index))
        for position in rng.permutation(len(batches)):
            # Clips without speech teach beside others; a batch of nothing else has no tokens to learn.
            if any(self._targets[index] for index in batches[position]):
                yield self._collate(batches[position], rng)

    def _collate(self, indices: list[int], rng: np.random.Generator) -> Batch:
        stacked = [stack_frames(self._augmented(index, rng), LFR_WIDTH, LFR_HOP) for index in indices]
        targets = [self._targets[index] for index in indices]
        lengths = torch.tensor([len(frames) for frames in stacked])
        counts = torch.tensor([len(target) for target in targets])
        silent = torch.zeros(len(indices), int(lengths.max()), dtype=torch.bool)
        features = torch.zeros(len(indices), int(lengths.max()), stacked[0].shape[1])
        padded = torch.full((len(indices), int(counts.max())), -1)
        for row, (index, frames, target) in enumerate(zip(indices, stacked, targets, strict=True)):
            features[row, : len(frames)] = torch.from_numpy(frames)
            silent[row, : len(frames)] = torch.from_numpy(self._silent[index])
            padded[row, : len(target)] = torch.tensor(target, dtype=torch.long)
        return Batch(features, silent, lengths, padded, counts)

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
