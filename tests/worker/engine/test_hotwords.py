"""How hotwords are spelled, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.hotwords import MAX_HOTWORD_TOKENS, MAX_HOTWORDS, Speller
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.errors import ModelError
from tests.worker.engine import model_dirs

TOKENS = ("<blank>", "<s>", "</s>", "开", "灯", "2", "wi@@", "fi", "hello", "it's", "b", "<unk>")


@pytest.fixture
def model(tmp_path: Path) -> ModelDir:
    import json

    directory = model_dirs.write(tmp_path, model_dirs.vad_config())
    config = (directory / "config.yaml").read_text(encoding="utf-8")
    (directory / "config.yaml").write_text(config + "\ntokenizer: CharTokenizer\n", encoding="utf-8")
    (directory / "tokens.json").write_text(json.dumps(TOKENS), encoding="utf-8")
    (directory / "seg_dict").write_text("wifi wi@@ fi\n开关 开 <unk>\n\n灯 灯\n", encoding="utf-8")
    return modeldir.read(directory)


@pytest.mark.parametrize(
    ("word", "tokens"),
    [
        ("开灯", ["开", "灯"]),
        ("开wifi灯", ["开", "wi@@", "fi", "灯"]),
        ("WiFi", ["wi@@", "fi"]),
        ("hello", ["hello"]),
        ("hello wifi", ["hello", "wi@@", "fi"]),
        ("it's", ["it's"]),
        ("开2灯", ["开", "2", "灯"]),
        ("22", ["2", "2"]),
        ("  灯  ", ["灯"]),
    ],
)
def test_words_are_spelled(model: ModelDir, word: str, tokens: list[str]) -> None:
    assert Speller(model).spell(word) == tuple(TOKENS.index(token) for token in tokens)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("窗帘", "no token for '窗'"),
        ("开关", "no token for '<unk>'"),
        ("helo", "no token for 'helo'"),
        ("<s>", "no token"),
        ("开-灯", "no token for '-'"),
        (" ", "is empty"),
        ("", "is empty"),
        ("灯" * (MAX_HOTWORD_TOKENS + 1), f"longer than {MAX_HOTWORD_TOKENS}"),
    ],
)
def test_words_that_cannot_be_spelled_say_why(model: ModelDir, word: str, reason: str) -> None:
    """They are left out; the others of the list stay."""
    found = Speller(model).spell_all(["开", word, "灯"])
    assert found.token_ids == ((3,), (4,))
    (skipped,) = found.skipped
    assert skipped.word == word
    assert reason in skipped.reason


def test_a_list_is_bounded(model: ModelDir) -> None:
    """A client's list cannot take memory without end."""
    found = Speller(model).spell_all(["灯"] * (MAX_HOTWORDS + 2))
    assert len(found.token_ids) == MAX_HOTWORDS
    assert [skipped.reason for skipped in found.skipped] == [
        f"only {MAX_HOTWORDS} hotwords are listened for at once"
    ] * 2


def test_without_a_seg_dict_words_are_spelled_by_character(model: ModelDir) -> None:
    (model.path / "seg_dict").unlink()
    assert Speller(model).spell("开灯") == (3, 4)
    assert Speller(model).spell("wifi") == "the model has no token for 'wifi'"


def test_a_seg_dict_that_cannot_be_read_is_named(model: ModelDir) -> None:
    (model.path / "seg_dict").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="seg_dict"):
        Speller(model)
