"""Training of the voice activity detector: frame by frame, silence against speech.

Labels come from the clean speech before room and noise were added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from tinyasr import configuration, corpus, funasr_classes
from tinyasr.features import Features, stack_frames

_STEPS = 1200
_CLIPS_PER_BATCH = 8
_CROP_FRAMES = 500
_PEAK_RATE = 3e-3
# The end-point logic takes the logarithm of both outputs: neither may become 0.
_SMOOTHING = 0.02


@dataclass(frozen=True)
class TrainedDetector:
    """The model, and the mean and deviation of the mel bands it was trained with."""

    model: Any
    mean: Features
    deviation: Features


def train(folder: Path, log: Callable[[str], None]) -> TrainedDetector:
    """Train a detector on a prepared ``talk`` corpus."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(5)
    rng = np.random.default_rng(5)
    examples = list(corpus.load(folder))
    every_frame = np.concatenate([example.mel for example in examples]).astype(np.float32)
    mean, deviation = every_frame.mean(0), every_frame.std(0)
    model: Any = funasr_classes.build(configuration.vad())
    encoder = model.encoder
    encoder.use_softmax = False
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=_PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK_RATE, total_steps=_STEPS)
    losses: list[float] = []
    for step in range(1, _STEPS + 1):
        features, labels = _batch(examples, mean, deviation, rng)
        logits = encoder(features)
        loss = functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=-1, label_smoothing=_SMOOTHING
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            log(f"step {step} loss {np.mean(losses):.4f}")
            losses.clear()
    encoder.use_softmax = True
    return TrainedDetector(model.eval(), mean, deviation)


def _batch(
    examples: list[corpus.Example], mean: Features, deviation: Features, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, T, 400) and labels (B, T): 1 speech, 0 silence, -1 past the end of a clip."""
    features = torch.zeros(_CLIPS_PER_BATCH, _CROP_FRAMES, 80 * configuration.VAD_LFR_WIDTH)
    labels = torch.full((_CLIPS_PER_BATCH, _CROP_FRAMES), -1)
    for row, index in enumerate(rng.integers(0, len(examples), _CLIPS_PER_BATCH)):
        example = examples[index]
        mel = (example.mel.astype(np.float32) - mean) / deviation
        stacked = stack_frames(mel, configuration.VAD_LFR_WIDTH, 1)
        begin = int(rng.integers(0, max(1, len(stacked) - _CROP_FRAMES)))
        crop = slice(begin, begin + _CROP_FRAMES)
        count = len(stacked[crop])
        features[row, :count] = torch.from_numpy(stacked[crop])
        labels[row, :count] = torch.from_numpy(example.speech[crop].astype(np.int64))
    return features, labels
