"""Training of the speaker model, in a minute or two, for what CAM++ costs to train as a whole is not worth a tiny one.

Random convolutions over the spectrum already tell voices apart, if what follows is made from speech (seen: 52 dense
layers with random weights lose most of it again). So the head keeps its random weights; the layer after it learns from
the training speakers, by gradient; the dense blocks hand its channels on untouched beside their own random ones; and the
last projection is where the training speakers lie farthest apart for how much each of them scatters (Fisher's linear
discriminant), so that a cosine between two embeddings of people never heard before means something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as functional

from tinyasr import configuration, funasr_classes
from tinyasr.speakers import SpeakerSpeech

_CROPS_PER_UTTERANCE, _CROP_FRAMES = 2, 98
_NORM_BATCHES, _NORM_ROWS = 6, 32
_STEPS, _ROWS_PER_STEP, _PEAK_RATE, _SCALE = 600, 64, 3e-3, 16.0
_STEP_FRAMES, _DROPPED = 64, 0.25
_SMOOTHING = 0.1
"""Of the discriminant: this share of the mean scatter is added in every direction."""


def train(speech: SpeakerSpeech, log: Callable[[str], None]) -> Any:
    """A trained model, ready to evaluate."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    model: Any = funasr_classes.build(configuration.speaker())
    crops, numbers = _crops(speech, rng)
    _measure_norms(model.head, crops, rng)
    views = _run(model.head, crops).half()
    log(f"heard {len(views)} crops")
    _learn_first_layer(model.xvector.tdnn, views, numbers, rng, log)
    _measure_norms(model.xvector[1:], _run(model.xvector.tdnn, views), rng)
    _hand_on(model.xvector)
    statistics = _run(model.xvector[:-1], views)
    _discriminate(model.xvector.dense, statistics.double().numpy(), numbers.numpy())
    log("projection found")
    return model.eval()


def _crops(speech: SpeakerSpeech, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Seconds of speech (N, 80, T), each less its own mean, and who speaks (N,)."""
    crops = []
    for mel in speech.mel:
        for _ in range(_CROPS_PER_UTTERANCE):
            begin = int(rng.integers(0, max(1, len(mel) - _CROP_FRAMES)))
            crop = np.resize(mel[begin : begin + _CROP_FRAMES].astype(np.float32), (_CROP_FRAMES, mel.shape[1]))
            crops.append((crop - crop.mean(0)).T)
    return torch.from_numpy(np.stack(crops)), torch.tensor(speech.numbers).repeat_interleave(_CROPS_PER_UTTERANCE)


def _measure_norms(module: torch.nn.Module, rows: torch.Tensor, rng: np.random.Generator) -> None:
    """Give the batch norms of `module` the statistics of `rows`, and no others from now on."""
    norms = [norm for norm in module.modules() if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    module.train()
    with torch.no_grad():
        for _ in range(_NORM_BATCHES):
            module(rows[rng.choice(len(rows), _NORM_ROWS, replace=False)].float())
    module.eval()


def _run(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """What the module says of all rows, evaluated in batches."""
    module.eval()
    with torch.no_grad():
        return torch.cat([module(part.float()) for part in torch.split(rows, 64)])


def _learn_first_layer(
    layer: torch.nn.Module,
    views: torch.Tensor,
    numbers: torch.Tensor,
    rng: np.random.Generator,
    log: Callable[[str], None],
) -> None:
    """Train `layer` so that mean and deviation of its channels over time name the training speakers."""
    channels = configuration.speaker()["model_conf"]["init_channels"]
    naming = torch.nn.Sequential(
        torch.nn.BatchNorm1d(2 * channels, affine=False), torch.nn.Linear(2 * channels, 128, bias=False)
    )
    directions = torch.nn.Parameter(torch.randn(int(numbers.max()) + 1, 128))
    parameters = [*layer.parameters(), *naming.parameters(), directions]
    optimiser = torch.optim.AdamW(parameters, lr=_PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK_RATE, total_steps=_STEPS)
    layer.train()
    right: list[float] = []
    for step in range(1, _STEPS + 1):
        rows = torch.from_numpy(rng.choice(len(views), _ROWS_PER_STEP, replace=False))
        begin = int(rng.integers(0, _CROP_FRAMES - _STEP_FRAMES + 1))
        seen = views[rows, :, begin : begin + _STEP_FRAMES].float()
        # Without losing some of what it sees, the layer learns the training speakers by heart.
        heard = layer(functional.dropout1d(seen, _DROPPED))
        named = naming(torch.cat([heard.mean(-1), heard.std(-1)], dim=-1))
        cosines = functional.normalize(named) @ functional.normalize(directions).T
        loss = functional.cross_entropy(_SCALE * cosines, numbers[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        right.append((cosines.argmax(dim=1) == numbers[rows]).float().mean().item())
        if step % 50 == 0:
            log(f"step {step} loss {loss.item():.3f} right {np.mean(right):.2f}")
            right.clear()


def _hand_on(layers: Any) -> None:
    """Let the first layer's channels, which are never negative, pass through all transits and norms as they are."""
    channels = configuration.speaker()["model_conf"]["init_channels"]
    with torch.no_grad():
        for transit in (layers.transit1, layers.transit2, layers.transit3):
            _pass(transit.nonlinear.batchnorm, channels)
            weight = transit.linear.weight
            # The random channels enter a ReLU next: only those handed on may keep their sign.
            weight[:channels] = 0.0
            weight[:channels, :channels, 0] = torch.eye(channels)
        _pass(layers.out_nonlinear.batchnorm, channels)


def _pass(norm: Any, channels: int) -> None:
    norm.running_mean[:channels] = 0.0
    norm.running_var[:channels] = 1.0 - norm.eps


def _discriminate(dense: Any, statistics: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any]) -> None:
    """Fill the last layer with Fisher's linear discriminant of `statistics` (N, C) over the speakers."""
    mean, deviation = statistics.mean(0), statistics.std(0) + 1e-6
    rows = (statistics - mean) / deviation
    centres = np.stack([rows[numbers == number].mean(0) for number in np.unique(numbers)])
    scatter = np.cov((rows - centres[numbers]).T)
    scatter += _SMOOTHING * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    _, directions = scipy.linalg.eigh(np.cov(centres.T), scatter)
    size = dense.linear.weight.shape[0]
    weight = directions[:, ::-1][:, :size].T / deviation
    with torch.no_grad():
        dense.linear.weight[..., 0] = torch.from_numpy(weight.copy()).float()
        dense.nonlinear.batchnorm.running_mean.copy_(torch.from_numpy(weight @ mean))
        dense.nonlinear.batchnorm.running_var.fill_(1.0)
