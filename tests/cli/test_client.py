"""What a final says of its times, ours and FunASR's own."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool.client import Heard

STAMPS = {"timestamp": "[[510,700],[700,900]]", "stamp_sents": [{"start": 510, "end": 900}]}


@pytest.mark.parametrize(
    ("message", "begin_ms", "ends_ms"),
    [
        pytest.param(STAMPS | {"start": 480, "end": 960}, 480, [700, 900], id="ours"),
        pytest.param(STAMPS, 510, [700, 900], id="FunASR's"),
        pytest.param({"start": 480}, 480, [], id="a model without times"),
        pytest.param({"stamp_sents": []}, 0, [], id="nothing told"),
    ],
)
def test_times_of_a_final(message: dict[str, Any], begin_ms: float, ends_ms: list[float]) -> None:
    heard = Heard("你好", final=True, end=False, message=message)
    assert (heard.begin_ms, heard.token_ends_ms) == (begin_ms, ends_ms)
