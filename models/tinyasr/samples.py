"""``python -m tinyasr.samples``: the WAV files under ``tests/data`` and their ``texts.json``.

Voices that no model was trained on. ``utterance-*`` are clean, ``noisy-*`` have noise and a room,
``conversation-*`` hold several sentences with pauses, so that voice activity detection has to cut them.
"""

from __future__ import annotations

import argparse
import json
import wave
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Literal

from tinyasr.speech import SAMPLE_RATE
from tinyasr.testset import Utterance, as_pcm16, conversation, utterance

# Beyond the utterances that the error rate is measured on.
_FIRST_NUMBER = 5000
_SHORTEST_SECONDS, _LONGEST_SECONDS = 2.0, 8.0


def write(folder: Path) -> None:
    """Write 24 clean and 4 noisy utterances of 2 to 8 s, two conversations, and ``texts.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    named: dict[str, Utterance] = {}
    for number, sample in enumerate(islice(_of_fitting_length("clean", _FIRST_NUMBER), 24), 1):
        named[f"utterance-{number:02d}.wav"] = sample
    for number, sample in enumerate(islice(_of_fitting_length("noisy", 2 * _FIRST_NUMBER), 4), 1):
        named[f"noisy-{number:02d}.wav"] = sample
    for number in (1, 2):
        named[f"conversation-{number:02d}.wav"] = conversation(_FIRST_NUMBER + number, 4, 1.2)[0]
    for name, sample in named.items():
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(as_pcm16(sample.samples).tobytes())
    texts = {name: sample.text for name, sample in named.items()}
    (folder / "texts.json").write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _of_fitting_length(kind: Literal["clean", "noisy"], first: int) -> Iterator[Utterance]:
    for number in count(first):
        sample = utterance(kind, number)
        if _SHORTEST_SECONDS <= sample.samples.size / SAMPLE_RATE <= _LONGEST_SECONDS:
            yield sample


def main() -> None:
    """Write the folder named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tinyasr.samples", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[2] / "tests" / "data")
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
