"""Which rows are measured, and what their servers are started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.streams.model_dirs import ModelDirs
from bench.streams.rows import BASELINES, OURS, Row, Setup, chosen, server_of

DIRS = ModelDirs(Path("online"), Path("offline"), Path("vad"), Path("punc"))
SETUP = Setup(DIRS, Path("sherpa"), threads=2, max_batch=32, punc=True)


def names(rows: tuple[Row, ...]) -> list[str]:
    return [row.name for row in rows]


def test_without_a_choice_all_of_the_table_is_measured() -> None:
    assert chosen(None, None, None, "cpu", ("funasr", "sherpa")) == (*OURS, *BASELINES)


@pytest.mark.parametrize(
    ("engine", "mode", "dtype", "device", "expected"),
    [
        pytest.param("onnx", "online", None, "cpu", ["onnx int8", "onnx float32"], id="one engine, one mode"),
        pytest.param(None, "2pass", None, "cpu", ["onnx int8"], id="one mode"),
        pytest.param("torch", "2pass", "float32", "cpu", ["torch float32"], id="not in the table"),
        pytest.param("torch", "online", "float16", "cuda", ["torch float16"], id="a GPU"),
        pytest.param(None, "online", None, "cuda", ["torch float32"], id="a GPU, left open"),
    ],
)
def test_a_choice_leaves_the_rows_that_fit(
    engine: str | None, mode: str | None, dtype: str | None, device: str, expected: list[str]
) -> None:
    rows = chosen(engine, mode, dtype, device, ())
    assert [f"{row.engine} {row.dtype}" for row in rows] == expected
    assert {row.device for row in rows} == {device}


def test_baselines_are_of_the_modes_measured() -> None:
    assert names(chosen("onnx", "2pass", "int8", "cpu", ("funasr", "sherpa")))[1:] == ["funasr 2pass torch float32 cpu"]


def test_on_a_gpu_funasr_runs_there_too_and_sherpa_is_left_out() -> None:
    rows = chosen("torch", "online", "float16", "cuda", ("funasr", "sherpa"))
    assert names(rows) == ["asrpool online torch float16 cuda", "funasr online torch float32 cuda"]


def test_mode_online_loads_the_streaming_model_alone() -> None:
    command = " ".join(server_of(OURS[0], SETUP).command)
    assert "--online online" in command
    assert "--dtype int8" in command
    assert "--vad" not in command


def test_2pass_loads_all_models_and_punctuation_where_it_is_served() -> None:
    command = server_of(OURS[3], SETUP).command
    assert {"--online", "--offline", "--vad", "--punc"} <= set(command)
    without = Setup(DIRS, None, threads=2, max_batch=32, punc=False)
    assert "--punc" not in server_of(OURS[3], without).command


def test_every_server_is_told_its_port_and_threads() -> None:
    for row in (*OURS, *BASELINES):
        command = server_of(row, SETUP).command
        assert command[command.index("--port") + 1] == "{port}"
        assert command[command.index("--threads") + 1] == "2"


def test_a_sherpa_row_without_its_model_is_a_fault() -> None:
    with pytest.raises(ValueError, match="sherpa"):
        server_of(BASELINES[2], Setup(DIRS, None, threads=2, max_batch=32, punc=True))
