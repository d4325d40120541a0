"""Training of the two recognisers, on one thread each, with a checkpoint to go on from.

Both begin with a stage over whole utterances, which is cheap; from its weights the streaming model
goes on in simulated streams and the offline model goes on as it is, each to a learning rate of 0.
A last, short stage adds clips with pauses and clips in which nobody speaks: without it both hear
words in silence.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from tinyasr import configuration, funasr_classes, lexicon
from tinyasr.batches import Batch, SpeechSet
from tinyasr.simulation import Chunking, forward

_CTC_WEIGHT = 0.2
_SMOOTHING = 0.1


@dataclass(frozen=True)
class Stage:
    """One run of the optimiser.

    ``decay``: the learning rate ends at zero. ``streaming``: in simulated streams instead of whole
    utterances. ``pauses``: the predictor is also held to nothing where nobody speaks; streams may have
    gone on for long, and hold up to four utterances, so that the count stays right from one to the
    next; meant for a corpus with clips of talk and silence.
    """

    steps: int
    peak_rate: float
    warmup_steps: int
    decay: bool
    frames_per_batch: int
    seed: int
    streaming: bool
    pauses: bool


FIRST = Stage(3000, 1.5e-3, 200, decay=False, frames_per_batch=1000, seed=1, streaming=False, pauses=False)
OFFLINE = Stage(2500, 1.2e-3, 100, decay=True, frames_per_batch=1000, seed=2, streaming=False, pauses=False)
STREAMING = Stage(3500, 1.2e-3, 100, decay=True, frames_per_batch=800, seed=3, streaming=True, pauses=False)
OFFLINE_PAUSES = Stage(700, 5e-4, 50, decay=True, frames_per_batch=1000, seed=4, streaming=False, pauses=True)
STREAMING_PAUSES = Stage(900, 5e-4, 50, decay=True, frames_per_batch=800, seed=6, streaming=True, pauses=True)


def train(stage: Stage, model: Any, speech: SpeechSet, checkpoint: Path, log: Callable[[str], None]) -> None:
    """Train ``model`` in place. Goes on from ``checkpoint`` where there is one, and keeps it up to date."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(stage.seed)
    aligner = torch.nn.Linear(configuration.MODEL_SIZE, model.vocab_size)
    parameters = [*model.parameters(), *aligner.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=stage.peak_rate, weight_decay=0.01, betas=(0.9, 0.98))
    step = epoch = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        aligner.load_state_dict(state["aligner"])
        optimiser.load_state_dict(state["optimiser"])
        step, epoch = state["step"], state["epoch"]
    model.train()
    losses: list[float] = []
    started = time.monotonic()
    while step < stage.steps:
        rng = np.random.default_rng([stage.seed, epoch])
        for batch in speech.epoch(stage.frames_per_batch, rng, 4 if stage.streaming and stage.pauses else 1):
            if step >= stage.steps:
                break
            for group in optimiser.param_groups:
                group["lr"] = _rate(stage, step)
            loss = _loss(stage, model, aligner, batch, rng)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimiser.step()
            losses.append(loss.item())
            step += 1
            if step % 50 == 0:
                log(f"step {step} loss {np.mean(losses):.3f} seconds {time.monotonic() - started:.0f}")
                losses.clear()
            if step % 250 == 0:
                _save(checkpoint, model, aligner, optimiser, step, epoch)
        epoch += 1
    _save(checkpoint, model, aligner, optimiser, step, epoch)
    model.eval()


def _save(checkpoint: Path, model: Any, aligner: torch.nn.Module, optimiser: Any, step: int, epoch: int) -> None:
    temporary = checkpoint.with_suffix(".tmp")
    state = {"model": model.state_dict(), "aligner": aligner.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**state, "step": step, "epoch": epoch}, temporary)
    temporary.rename(checkpoint)


def _rate(stage: Stage, step: int) -> float:
    if step < stage.warmup_steps:
        return stage.peak_rate * (step + 1) / stage.warmup_steps
    if not stage.decay:
        return stage.peak_rate
    done = (step - stage.warmup_steps) / (stage.steps - stage.warmup_steps)
    return stage.peak_rate * 0.5 * (1.0 + float(np.cos(np.pi * done)))


def _draw_chunking(stage: Stage, rng: np.random.Generator) -> Chunking | None:
    """Mostly [5, 10, 5] with look-backs 4 and 1; sometimes what other clients ask for."""
    if not stage.streaming:
        return None
    left = 5 if rng.random() < 0.8 else 0
    encoder_look_back = 4 if rng.random() < 0.85 else 0
    decoder_look_back = 1 if rng.random() < 0.7 else 0
    return Chunking(left, 10, 5, encoder_look_back, decoder_look_back)


def _draw_position(stage: Stage, rng: np.random.Generator) -> int:
    """How many frames of 60 ms the stream has behind it: at most half a minute's, or 40 minutes'."""
    if not stage.streaming:
        return 0
    return int(rng.integers(0, 40000 if stage.pauses and rng.random() < 0.4 else 600))


def _loss(stage: Stage, model: Any, aligner: torch.nn.Module, batch: Batch, rng: np.random.Generator) -> torch.Tensor:
    """Per token: cross-entropy, the error of the count, with pauses what is found where nobody speaks.

    Over whole utterances also CTC on the encoder, which steadies the start.
    """
    chunking = _draw_chunking(stage, rng)
    outputs = forward(model, batch.features, batch.lengths, batch.counts, chunking, _draw_position(stage, rng))
    spoken = batch.counts.sum()
    loss = functional.cross_entropy(
        outputs.logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-1, label_smoothing=_SMOOTHING
    )
    found = outputs.alphas.cumsum(1).gather(1, batch.ends)
    loss = loss + ((found - batch.spoken).abs() * (batch.spoken >= 0)).sum() / spoken
    if stage.pauses:
        loss = loss + (outputs.alphas * batch.silent).sum() / spoken
    if not stage.streaming:
        scores = functional.log_softmax(aligner(outputs.encoded), dim=-1).transpose(0, 1)
        ctc = functional.ctc_loss(
            scores, batch.targets.clamp(min=0), batch.lengths, batch.counts, reduction="sum", zero_infinity=True
        )
        loss = loss + _CTC_WEIGHT * ctc / spoken
    return loss


def fresh(streaming: bool) -> Any:
    """A recogniser with random weights that depend on the seed alone."""
    torch.manual_seed(0)
    vocabulary = len(lexicon.token_list())
    return funasr_classes.build((configuration.streaming if streaming else configuration.offline)(vocabulary))


def streaming_from(offline_model: Any) -> Any:
    """A streaming recogniser with the weights of a whole-utterance one.

    The decoder's convolution looks at earlier tokens only in a stream: the taps for earlier tokens
    move to the end of the kernel, those for later tokens are lost.
    """
    model = fresh(streaming=True)
    weights = dict(offline_model.state_dict())
    past = (configuration.KERNEL - 1) // 2
    for name, kernel in weights.items():
        if name.startswith("decoder.decoders.") and name.endswith("fsmn_block.weight"):
            moved = torch.zeros_like(kernel)
            moved[:, :, past:] = kernel[:, :, : past + 1]
            weights[name] = moved
    model.load_state_dict(weights)
    return model
