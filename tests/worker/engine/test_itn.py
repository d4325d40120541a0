"""Spoken numbers become written ones; everything else in the text stays as it is."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("wetext")

from asrpool_worker.engine.itn import inverse

MARKS = '，。？！；"\\{}<>'


@pytest.mark.parametrize(
    ("text", "language", "written"),
    [
        ("今天是二零二四年，我买了三百五十块钱的东西。", "zh", "今天是2024年，我买了350块钱的东西。"),
        ("百分之二十五，一点五公里。", "auto", "25%，1.5km。"),
        ("打开一号灯，一起去。", "zh", "打开一号灯，一起去。"),
        ("你好 hello world 一百二十三 ok", "zh", "你好 hello world 123 ok"),
        ("twenty three dollars and fifty cents.", "en", "$23.50."),
        (" I have two hundred and five apples, he has one hundred.", "EN", " I have 205 apples, he has 100."),
        ("？一百。one hundred!", "auto", "？100。100!"),
        ("二千二十四年です", "auto", "2024年です"),
        ("八百块", "yue", "800块"),
    ],
)
def test_numbers_are_written(text: str, language: str, written: str) -> None:
    assert inverse(text, language) == written


@pytest.mark.parametrize(
    "text", ["", " ", "，。", '"{}\\', "don't stop at e-mail, OK?", "1.5 2020-05-01 12:30", " 你好。", "<unk>"]
)
def test_what_holds_no_spoken_number_stays(text: str) -> None:
    assert inverse(text) == text


def test_a_phrase_ends_at_a_mark() -> None:
    """Two numbers with a comma between them are two numbers; without it they are one."""
    assert inverse("二十，三") == "20，三"
    assert inverse("二十三") == "23"


def test_other_languages_stay() -> None:
    assert inverse("二十 twenty three", "ko") == "二十 twenty three"


@settings(deadline=None, max_examples=200)
@given(
    st.text(st.characters() | st.sampled_from(MARKS + "二十百点"), max_size=30),
    st.sampled_from(["auto", "zh", "en", "ja", "de"]),
)
def test_any_text_is_taken(text: str, language: str) -> None:
    """Nothing that a model or a client can send makes it fail, and all marks stay where they are."""
    written = inverse(text, language)
    assert [mark for mark in written if mark in MARKS] == [mark for mark in text if mark in MARKS]


def test_many_threads_at_first_use() -> None:
    """Sessions of several threads that meet before the rules are loaded get what one alone gets."""
    program = (
        "import sys; from concurrent.futures import ThreadPoolExecutor as Pool\n"
        "from asrpool_worker.engine.itn import inverse\n"
        "assert 'wetext' not in sys.modules, 'loaded before it is needed'\n"
        "with Pool(8) as pool: written = list(pool.map(inverse, ['二十三', 'twenty three'] * 100))\n"
        "assert set(written) == {'23'}, written\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60)


def test_threads_do_not_mix_texts() -> None:
    texts = [f"第 {'二十三' if number % 2 else 'ok 一百'} {number}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(inverse, texts)) == [inverse(text) for text in texts]
