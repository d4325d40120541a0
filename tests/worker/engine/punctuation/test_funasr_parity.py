"""Text with marks is what FunASR's AutoModel gives on the same directory, for both models and over many calls."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from asrpool_worker.engine.punctuation.model import PuncModel, PuncRow
from tests.worker.engine.punctuation import punc_dirs
from tests.worker.engine.punctuation.loading import funasr_model, load

pytestmark = pytest.mark.model
LENGTHS = (1, 2, 3, 19, 20, 21, 40, 75, 260)
VOCABULARY = (*punc_dirs.WORDS, "窗", "XyZ", "don't", "é", "_", "？")
"""Known words, words the model does not know, and what looks like marks."""


def sentence(rng: random.Random, words: int) -> str:
    return "".join(rng.choice(VOCABULARY) + rng.choice(("", "", " ")) for _ in range(words))


@pytest.mark.parametrize(
    ("blocks", "embed_size", "likely"),
    [(3, 32, punc_dirs.USUAL), (1, 32, punc_dirs.USUAL), (2, 48, punc_dirs.COMMAS_ONLY), (2, 32, {"_": 1.0})],
    ids=["usual", "one block", "commas only, another width", "unknown mark"],
)
def test_offline(tmp_path: Path, blocks: int, embed_size: int, likely: dict[str, float]) -> None:
    config = punc_dirs.punc_config(realtime=False, blocks=blocks, embed_size=embed_size)
    directory = punc_dirs.write(tmp_path, config, seed=blocks, likely=likely)
    ours, theirs = load(directory), funasr_model(directory)
    rng = random.Random(blocks)
    seen: set[str] = set()
    for words in (*LENGTHS, *LENGTHS):
        text = sentence(rng, words)
        expected = theirs.generate(input=text)[0]
        (result,) = ours.run([PuncRow(text)])
        assert result.text == expected["text"]
        numbers = [punc_dirs.PUNC_LIST.index(mark or "_") for mark in result.marks]
        assert numbers == expected["punc_array"].tolist()
        seen.update(result.marks)
    assert len(seen) > 2


def test_blank_text_stays_blank(offline_dir: Path) -> None:
    assert funasr_model(offline_dir).generate(input=" ")[0]["text"] == ""
    assert load(offline_dir).run([PuncRow(" ")])[0].text == ""


def test_offline_with_a_dictionary(tmp_path: Path) -> None:
    """The large released model knows words of several characters."""
    directory = punc_dirs.write(
        tmp_path, punc_dirs.punc_config(realtime=False), seed=3, user_dict=tuple(punc_dirs.PHRASES)
    )
    ours, theirs = load(directory), funasr_model(directory)
    rng = random.Random(3)
    whole = 0
    for words in LENGTHS:
        text = sentence(rng, words) + rng.choice(punc_dirs.PHRASES)
        (result,) = ours.run([PuncRow(text)])
        assert result.text == theirs.generate(input=text)[0]["text"]
        whole += sum(word in punc_dirs.PHRASES for word in result.words)
    assert whole > 5


@pytest.mark.parametrize(
    ("blocks", "embed_size", "likely"),
    [(3, 32, punc_dirs.USUAL), (1, 32, punc_dirs.USUAL), (2, 48, punc_dirs.COMMAS_ONLY)],
    ids=["usual", "one block", "commas only, another width"],
)
def test_realtime(tmp_path: Path, blocks: int, embed_size: int, likely: dict[str, float]) -> None:
    """Calls that follow each other: the same text and the same open sentence after each."""
    config = punc_dirs.punc_config(realtime=True, blocks=blocks, embed_size=embed_size)
    directory = punc_dirs.write(tmp_path, config, seed=blocks, likely=likely)
    ours, theirs = load(directory), funasr_model(directory)
    rng = random.Random(blocks)
    carried = 0
    for _ in range(6):
        cache: dict[str, list[str]] = {}
        past: tuple[str, ...] = ()
        for words in rng.sample(LENGTHS, 5):
            # FunASR itself fails on a single word with nothing before it.
            text = sentence(rng, words) if past else "今天" + sentence(rng, words)
            expected = theirs.generate(input=text, cache=cache)[0]["text"]
            (result,) = ours.run([PuncRow(text, past)])
            assert result.text == expected
            assert [word.strip() for word in cache["pre_text"]] == list(result.past)
            past = result.past
            carried += bool(past)
    assert carried > 15


def test_a_single_first_word_in_realtime(realtime_dir: Path) -> None:
    """Where FunASR fails there is still a result, and a text without words changes nothing."""
    ours: PuncModel = load(realtime_dir)
    (first,) = ours.run([PuncRow("好")])
    assert (first.text, first.past, first.marks) == ("好", ("好",), ("",))
    (blank,) = ours.run([PuncRow("  ", first.past)])
    assert (blank.text, blank.past, blank.words) == ("", ("好",), ())
