"""FunASR's ways to write hot words, and what is refused."""

from __future__ import annotations

import pytest

from asrpool_worker.session.errors import ProtocolError
from asrpool_worker.session.hotwords import parse_hotwords


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("", {}, id="none"),
        pytest.param(None, {}, id="null"),
        pytest.param('{"阿里巴巴": 20, "通义": "30"}', {"阿里巴巴": 20, "通义": 30}, id="JSON object in a string"),
        pytest.param({"窗帘": 5.0}, {"窗帘": 5}, id="JSON object"),
        pytest.param("窗帘 厨房", {"窗帘": 20, "厨房": 20}, id="words parted by spaces"),
        pytest.param(
            "窗帘,厨房，走廊", {"窗帘": 20, "厨房": 20, "走廊": 20}, id="words parted by commas of both kinds"
        ),
        pytest.param(" 窗帘,, ", {"窗帘": 20}, id="empty words are dropped"),
    ],
)
def test_reads(value: object, expected: dict[str, int]) -> None:
    assert parse_hotwords(value) == expected


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param(["窗帘"], "must be a string", id="list"),
        pytest.param(7, "must be a string", id="number"),
        pytest.param('{"a": ', "not one", id="broken JSON"),
        pytest.param('{"a":' * 60_000, "not one", id="JSON nested without end"),
        pytest.param({"窗帘": 5.5}, "weight of '窗帘'", id="fraction"),
        pytest.param({"窗帘": True}, "weight of '窗帘'", id="boolean"),
        pytest.param({"窗帘": -1}, "weight of '窗帘'", id="negative"),
        pytest.param('{"窗帘": NaN}', "weight of '窗帘'", id="NaN"),
        pytest.param('{"窗帘": 1e999}', "weight of '窗帘'", id="infinity"),
        pytest.param("字" * 65, "65 characters", id="long word"),
        pytest.param(" ".join(str(number) for number in range(1001)), "1001 words", id="many words"),
    ],
)
def test_refuses(value: object, sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        parse_hotwords(value)
