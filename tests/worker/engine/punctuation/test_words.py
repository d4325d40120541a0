"""Splitting text into words is FunASR's, with and without a dictionary."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.punctuation.words import jieba_splitter, split_words
from asrpool_worker.errors import ModelError

PIECES = st.sampled_from(
    ["今天", "天", "开灯", "hello", "i'm", "A", "b2", "42", "T恤", "é", "、", ",", "。", " ", "  ", "\t", "\n", "😀"]
)
TEXTS = st.lists(PIECES, max_size=20).map("".join)


@pytest.fixture(scope="module")
def funasr_split() -> Any:
    return importlib.import_module("funasr.models.ct_transformer.utils").split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n", []),
        ("今天", ["今", "天"]),
        ("hello world", ["hello", "world"]),
        ("开hello灯 ok", ["开", "hello", "灯", "ok"]),
        ("cafés", ["caf", "é", "s"]),
    ],
)
def test_ascii_runs_and_single_characters(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.model
@given(TEXTS)
def test_without_dictionary_as_funasr(funasr_split: Any, text: str) -> None:
    assert split_words(text) == funasr_split(text)


@pytest.mark.model
def test_with_dictionary_as_funasr(funasr_split: Any, tmp_path: Path) -> None:
    """Chinese words come whole, English ones stay apart, and both dictionaries (jieba's own and the model's) count."""
    jieba = importlib.import_module("jieba")
    dictionary = tmp_path / "jieba_usr_dict"
    dictionary.write_text("开灯门 1000000 n\n", encoding="utf-8")
    jieba.load_userdict(str(dictionary))
    ours = jieba_splitter(dictionary)
    assert ours("今天开灯门 hello world42 你好") == ["今天", "开灯门", "hello", "world42", "你好"]

    @given(TEXTS)
    def same(text: str) -> None:
        assert ours(text) == funasr_split(text, jieba_usr_dict=jieba)

    same()


def test_two_models_do_not_share_a_dictionary(tmp_path: Path) -> None:
    """A dictionary belongs to its model: another model in the same process splits as if it were alone."""
    pytest.importorskip("jieba")
    (tmp_path / "one").write_text("灯门开 1000000 n\n", encoding="utf-8")
    (tmp_path / "two").write_text("窗门开 1000000 n\n", encoding="utf-8")
    one, two = jieba_splitter(tmp_path / "one"), jieba_splitter(tmp_path / "two")
    assert one("灯门开") == ["灯门开"]
    assert "灯门开" not in two("灯门开")


def test_a_broken_dictionary_is_named(tmp_path: Path) -> None:
    pytest.importorskip("jieba")
    (tmp_path / "jieba_usr_dict").write_bytes(b"\xff\xfe\xff 1 n\n")
    with pytest.raises(ModelError, match="jieba_usr_dict"):
        jieba_splitter(tmp_path / "jieba_usr_dict")
