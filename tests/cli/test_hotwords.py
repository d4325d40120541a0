"""Hot words from a command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from asrpool.hotwords import as_message, hotwords
from asrpool_worker.session.hotwords import parse_hotwords


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("窗帘", {"窗帘": 20}),
        ("窗帘:35", {"窗帘": 35}),
        ("窗帘:0", {"窗帘": 0}),
        ("New York:1000", {"New York": 1000}),
        ("a:b:3", {"a:b": 3}),
        ("x" * 5_000, {"x" * 5_000: 20}),
    ],
)
def test_words_with_and_without_weights(text: str, words: dict[str, int]) -> None:
    assert hotwords(text) == words


def test_a_file_is_read_as_funasrs_client_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "hotwords.txt"
    file.write_text("\ufeff阿里巴巴 30\n\n窗帘\n  New York   15 \nopen the door\n", encoding="utf-8")
    assert hotwords(str(file)) == {"阿里巴巴": 30, "窗帘": 20, "New York": 15, "open the door": 20}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("窗帘:", "weight ''"),
        ("窗帘:many", "weight 'many'"),
        ("窗帘:1001", "from 0 to 1000"),
        ("窗帘:-1", "from 0 to 1000"),
        ("", "holds no word"),
        (":5", "holds no word"),
    ],
)
def test_what_is_no_hotword_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=sentence):
        hotwords(text)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("窗帘 20\n厨房 20.5\n".encode(), "line 2.*weight '20.5'"),
        ("窗帘 -1\n".encode(), "line 1.*weight '-1'"),
        (b"\xff\xfe\x00", "cannot read hot words from"),
    ],
)
def test_a_wrong_line_of_a_file_is_named(tmp_path: Path, data: bytes, sentence: str) -> None:
    file = tmp_path / "hotwords.txt"
    file.write_bytes(data)
    with pytest.raises(argparse.ArgumentTypeError, match=sentence):
        hotwords(str(file))


def test_all_go_into_one_message_that_the_worker_reads() -> None:
    assert as_message([]) == ""
    message = as_message([{"窗帘": 20, "厨房": 5}, {"窗帘": 30}])
    assert json.loads(message) == {"窗帘": 30, "厨房": 5}
    assert parse_hotwords(message) == {"窗帘": 30, "厨房": 5}
