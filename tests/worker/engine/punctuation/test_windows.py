"""How a text is cut into windows: which words are read again, and when a comma ends a sentence."""

from __future__ import annotations

import pytest

from asrpool_worker.engine.punctuation.dims import PuncDims
from asrpool_worker.engine.punctuation.windows import Windows, last_closing

MARKS = ("<unk>", "_", "，", "。", "？", "、")
DIMS = PuncDims(
    realtime=False,
    vocabulary=10,
    unknown=9,
    embed_size=8,
    size=8,
    encoder_heads=1,
    encoder_units=8,
    encoder_blocks=1,
    encoder_kernel=3,
    encoder_shift=0,
    marks=MARKS,
    sentence_end=3,
)


def run(words: int, marked: dict[int, str]) -> tuple[list[int], list[int], str]:
    """Feed `words` words to a model that always gives `marked`: sizes of windows, sizes of stretches, all final marks."""
    text = Windows([str(number) for number in range(words)], DIMS)
    windows: list[int] = []
    while text.waiting:
        windows.append(len(text.window))
        text.take([MARKS.index(marked.get(int(word), "_")) for word in text.window])
    assert [word for stretch in text.closed for word in stretch.words] == [str(number) for number in range(words)]
    marks = "".join(MARKS[number] for stretch in text.closed for number in stretch.marks)
    return windows, [len(stretch.words) for stretch in text.closed], marks


@pytest.mark.parametrize(
    ("words", "marked", "windows", "stretches"),
    [
        pytest.param(0, {}, [], [], id="nothing"),
        pytest.param(20, {5: "。"}, [20], [20], id="one window is closed as a whole"),
        pytest.param(21, {}, [20, 21], [0, 21], id="no sentence ends: all words are read again"),
        pytest.param(40, {9: "。"}, [20, 30], [10, 30], id="words after the last full stop are read again"),
        pytest.param(40, {9: "？", 12: "，"}, [20, 30], [10, 30], id="a question mark closes, a comma does not"),
        pytest.param(40, {1: "。"}, [20, 40], [0, 40], id="no sentence of two words"),
        pytest.param(40, {2: "。"}, [20, 37], [3, 37], id="one of three"),
        pytest.param(40, {19: "。"}, [20, 40], [0, 40], id="the newest word's mark does not close"),
        pytest.param(40, {18: "。"}, [20, 21], [19, 21], id="the one before it does"),
        pytest.param(45, {4: "。", 18: "。", 30: "。"}, [20, 21, 14], [19, 12, 14], id="three windows"),
    ],
)
def test_windows(words: int, marked: dict[int, str], windows: list[int], stretches: list[int]) -> None:
    assert run(words, marked)[:2] == (windows, stretches)


def test_a_long_sentence_ends_at_its_newest_comma() -> None:
    """More than 200 words without an end: the comma becomes a full stop, and only then."""
    windows, stretches, marks = run(240, {7: "，", 150: "，"})
    assert windows == [*range(20, 221, 20), 89]
    assert stretches == [*[0] * 10, 151, 89]
    assert (marks[7], marks[150]) == ("，", "。")
    assert run(200, {7: "，"})[2].count("。") == 0


def test_a_long_sentence_without_comma_goes_on() -> None:
    assert run(300, {7: "、"})[1] == [*[0] * 14, 300]


@pytest.mark.parametrize(
    ("marks", "place"), [("", None), ("_", None), ("___。", None), ("。。_", None), ("__。_", 2), ("__。_？_", 4)]
)
def test_last_closing(marks: str, place: int | None) -> None:
    assert last_closing(list(marks)) == place
