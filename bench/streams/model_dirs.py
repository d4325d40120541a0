"""FunASR model directories of real size with random weights, made once and kept in ~/.cache/asrpool/bench.

A directory's name carries a hash of what it was made from, so a changed size or recipe makes a new one. Graphs are made
by `asrpool-worker export` and marked with a hash of the engine's sources that make them: where those have changed the
graphs are made anew, which takes minutes at real size; the weights stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.streams.configs import SHAPES, Size, paraformer_config, punc_config, vad_config

PROJECT = Path(__file__).resolve().parents[2]
CACHE = Path.home() / ".cache" / "asrpool" / "bench"
ENGINE_SOURCES = PROJECT / "worker" / "asrpool_worker" / "engine"
GRAPH_SOURCE = re.compile(r"^\s*(import|from) (torch|onnx)\b|GRAPH_VERSION", re.MULTILINE)
WEIGHTS_RECIPE = Path(__file__).with_name("weights.py")
CMVN_SHIFT, CMVN_SCALE = -9.0, 0.25
"""The mean of the log filter bank is about 6.6 in the bench speech's pauses, and from 11 to 17 where someone speaks."""

LONGEST_STEP_SECONDS = 1_800
Tell = Callable[[str], None]


class ModelsError(RuntimeError):
    """A model directory could not be made; the message says at which step and why."""


@dataclass(frozen=True)
class ModelDirs:
    """The directories of one size."""

    online: Path
    offline: Path
    vad: Path
    punc: Path


def make(size: Size, tell: Tell, cache: Path = CACHE) -> ModelDirs:
    """All directories with their weights. Raises `ModelsError`."""
    shape = SHAPES[size]
    home = cache / size
    return ModelDirs(
        online=_directory(home, "online", paraformer_config(shape, streaming=True), shape.tokens, tell),
        offline=_directory(home, "offline", paraformer_config(shape, streaming=False), shape.tokens, tell),
        vad=_directory(home, "vad", vad_config(), 0, tell),
        punc=_directory(home, "punc", punc_config(shape), shape.punc_tokens, tell),
    )


def export(directory: Path, dtype: str, tell: Tell) -> None:
    """The graph of `directory` for the onnx engine: model.onnx, and model.int8.onnx too for int8. Raises `ModelsError`."""
    mark = directory / f"exported-{dtype}"
    sources = hash_of_files(sorted(path for path in ENGINE_SOURCES.rglob("*.py") if _shapes_graphs(path)))
    if mark.is_file() and mark.read_text(encoding="utf-8") == sources:
        return
    tell(f"exporting {directory.name} ({dtype})")
    flags = ["--int8"] if dtype == "int8" else []
    run([sys.executable, "-m", "asrpool_worker.main", "export", *flags, str(directory)], f"export of {directory}")
    for written in {"float32", dtype}:
        (directory / f"exported-{written}").write_text(sources, encoding="utf-8")


def _shapes_graphs(path: Path) -> bool:
    """Whether a source of the engine has a say in the graphs: networks, sizes, the export itself and the graphs' version."""
    text = path.read_text(encoding="utf-8")
    return path.name == "dims.py" or GRAPH_SOURCE.search(text) is not None


def run(command: Sequence[str], what: str) -> None:
    """Run a step in a process of its own, with the project's packages on its path. Raises `ModelsError` with its last words."""
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "models"), os.environ.get("PYTHONPATH", "")])
    try:
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_STEP_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelsError(f"{what}: not done after {LONGEST_STEP_SECONDS} s") from error
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise ModelsError(f"{what}: failed with exit status {done.returncode}:\n{last}")


def hash_of_files(paths: Sequence[Path]) -> str:
    """One hash over names and contents."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def write_tokens(path: Path, count: int) -> None:
    """`count` tokens in FunASR's order: control tokens, single Chinese characters, then made-up words, <unk> last."""
    characters = [chr(0x4E00 + number) for number in range(min(count - 4, 0x5000))]
    words = [f"w{number}" for number in range(count - 4 - len(characters))]
    tokens = ["<blank>", "<s>", "</s>", *characters, *words, "<unk>"]
    path.write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")


def _directory(home: Path, name: str, config: dict[str, Any], token_count: int, tell: Tell) -> Path:
    statistics = [CMVN_SHIFT, CMVN_SCALE]
    recipe = json.dumps([config, token_count, statistics, hash_of_files([WEIGHTS_RECIPE])], sort_keys=True)
    directory = home / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if directory.is_dir():
        return directory
    tell(f"making {directory}")
    home.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=home, prefix=f".{name}-"))
    try:
        (draft / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        if token_count:
            write_tokens(draft / "tokens.json", token_count)
        if "frontend_conf" in config:
            write_cmvn(draft / "am.mvn", config["frontend_conf"]["n_mels"] * config["frontend_conf"]["lfr_m"])
        run([sys.executable, "-m", "bench.streams.weights", str(draft)], f"random weights of {name}")
        draft.rename(directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return directory


def write_cmvn(path: Path, size: int) -> None:
    """Statistics in Kaldi's text form, the same shift and scale for every value."""
    lines = ["<Nnet>", f"<Splice> {size} {size}", "[ 0 ]"]
    for name, value in (("<AddShift>", CMVN_SHIFT), ("<Rescale>", CMVN_SCALE)):
        row = " ".join([f"{value}"] * size)
        lines += [f"{name} {size} {size}", f"<LearnRateCoef> 0 [ {row} ]"]
    path.write_text("\n".join([*lines, "</Nnet>", ""]), encoding="utf-8")
