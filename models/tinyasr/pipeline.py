"""What ``make models`` does: speech, training, model directories, ONNX exports.

Two processes at a time, one thread each. Whatever is done stays done: an interrupted run goes on
from the speech and the checkpoints in ``~/.cache/asrpool`` (or ``$ASRPOOL_CACHE``).
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from tinyasr import configuration, corpus, folders, lexicon, speakers, train_asr, train_speaker, train_vad
from tinyasr.batches import SpeechSet
from tinyasr.train_asr import FIRST, OFFLINE, OFFLINE_PAUSES, STREAMING, STREAMING_PAUSES, Stage

MODELS = Path(__file__).parents[1]
STREAMING_NAME, OFFLINE_NAME, VAD_NAME = "paraformer-tiny-streaming", "paraformer-tiny", "fsmn-vad-tiny"
SPEAKER_NAME = "campplus-tiny"


class TrainingFailedError(RuntimeError):
    """A training process ended early; its own traceback stands above."""


def make(out: Path = MODELS) -> None:
    """Make the four model directories below ``out`` (default: the ``models`` folder of the repository)."""
    corpus.prepare(corpus.TURNS)
    corpus.prepare(corpus.TALK)
    _side_by_side(_train_first, (), _train_vad_and_speaker, (out,))
    _side_by_side(_train_streaming, (out,), _train_offline, (out,))
    folders_to_export = [str(out / name) for name in (STREAMING_NAME, OFFLINE_NAME, VAD_NAME, SPEAKER_NAME)]
    subprocess.run([sys.executable, "-m", "asrpool_worker.main", "export", *folders_to_export], check=True)


def _train_first() -> None:
    model = train_asr.fresh(streaming=False)
    train_asr.train(FIRST, model, _speech(corpus.TURNS), _checkpoint("first", FIRST), _log("first"))


def _train_offline(out: Path) -> None:
    _train_further(_after_first(), (OFFLINE, OFFLINE_PAUSES), configuration.offline, out / OFFLINE_NAME)


def _train_streaming(out: Path) -> None:
    model = train_asr.streaming_from(_after_first())
    _train_further(model, (STREAMING, STREAMING_PAUSES), configuration.streaming, out / STREAMING_NAME)


def _train_further(
    model: torch.nn.Module,
    stages: tuple[Stage, Stage],
    configure: Callable[[int], dict[str, object]],
    folder: Path,
) -> None:
    """Both later stages of a recogniser, then its directory."""
    turns, pauses = stages
    speech = _speech(corpus.TURNS)
    log = _log(folder.name)
    train_asr.train(turns, model, speech, _checkpoint(folder.name, FIRST, turns), log)
    log("now with pauses")
    train_asr.train(
        pauses, model, _speech(corpus.TURNS, corpus.TALK), _checkpoint(folder.name, FIRST, turns, pauses), log
    )
    tokens = lexicon.token_list()
    folders.write(folder, configure(len(tokens)), model, speech.mean, speech.deviation, tokens)


def _train_vad_and_speaker(out: Path) -> None:
    _train_vad(out)
    train_speaker_model(out)


def train_speaker_model(out: Path) -> None:
    """The speaker model alone: its speech and its training depend on nothing else."""
    log = _log("speaker")
    model = train_speaker.train(speakers.prepare(speakers.Recipe(), log), log)
    folders.write_without_frontend(out / SPEAKER_NAME, configuration.speaker(), model)


def _train_vad(out: Path) -> None:
    trained = train_vad.train(corpus.folder_of(corpus.TALK), _log("vad"))
    folders.write(out / VAD_NAME, configuration.vad(), trained.model, trained.mean, trained.deviation, [])


def _after_first() -> torch.nn.Module:
    model: torch.nn.Module = train_asr.fresh(streaming=False)
    model.load_state_dict(torch.load(_checkpoint("first", FIRST), weights_only=True)["model"])
    return model


def _speech(*recipes: corpus.Recipe) -> SpeechSet:
    return SpeechSet(*(corpus.folder_of(recipe) for recipe in recipes))


def _checkpoint(name: str, *stages: Stage) -> Path:
    """Where a stage keeps its state: a name for everything that the result depends on."""
    sizes = configuration.offline(len(lexicon.token_list()))
    inputs = [corpus.folder_of(corpus.TURNS).name, sizes, [asdict(stage) for stage in stages]]
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    folder = corpus.cache_root().parent / "training"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{digest}.pt"


def _side_by_side(
    one: Callable[..., None],
    one_arguments: tuple[Path, ...],
    other: Callable[..., None],
    other_arguments: tuple[Path, ...],
) -> None:
    """Run both, each in a process of its own; raise if either fails."""
    context = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = [
        context.Process(target=one, args=one_arguments),
        context.Process(target=other, args=other_arguments),
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode != 0 for process in processes):
        raise TrainingFailedError("training stopped early: see the error above, then run `make models` again")


def _log(name: str) -> Callable[[str], None]:
    started = time.monotonic()
    return lambda message: print(f"{name} [{time.monotonic() - started:5.0f} s] {message}", flush=True)
