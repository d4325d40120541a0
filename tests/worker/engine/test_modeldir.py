"""A defect in a model directory is answered by one sentence that names the file."""

from __future__ import annotations

import builtins
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.paraformer.dims import read_dims
from asrpool_worker.engine.paraformer.layers import Paraformer
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.weights import load_weights
from asrpool_worker.errors import ModelError
from tests.worker.engine import model_dirs


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return model_dirs.write(tmp_path / "model", model_dirs.paraformer_config(streaming=True))


def test_a_good_directory_is_read(directory: Path) -> None:
    model = modeldir.read(directory)
    assert model.model_class == "ParaformerStreaming"
    assert model.frontend.feature_size == 560
    assert (model.frontend.frame_length_samples, model.frontend.frame_shift_samples) == (400, 160)
    assert model.cmvn.shape == (2, 560)
    assert model.cmvn.dtype == np.float32
    assert model.tokens[:3] == ("<blank>", "<s>", "</s>")


@pytest.mark.parametrize("name", ["config.yaml", "tokens.json", "am.mvn"])
@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe[", b"- 1\n- [2\n", b""], ids=["missing", "binary", "malformed", "empty"]
)
def test_each_broken_file_is_named(directory: Path, name: str, content: bytes | None) -> None:
    (directory / name).unlink()
    if content is not None:
        (directory / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        modeldir.read(directory)


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("frontend_conf", {"fs": 8000}, "fs is 8000"),
        ("frontend_conf", {"lfr_n": 0}, "below 1"),
        ("frontend_conf", {"n_mels": "many"}, "frontend_conf is malformed"),
        ("encoder_conf", {"output_size": None}, "encoder_conf"),
        ("decoder_conf", {"sanm_shfit": 0}, "sanm_shfit must be 5"),
        ("decoder_conf", {"att_layer_num": 1}, "att_layer_num"),
        ("predictor_conf", {"smooth_factor": 2.0}, "smooth_factor"),
        ("model", "Whisper", "Whisper cannot serve as online model"),
        ("decoder", "TransformerDecoder", "TransformerDecoder"),
        ("predictor", "CifPredictor", "predictor CifPredictor is not served"),
    ],
    ids=str,
)
def test_configurations_that_are_not_served(directory: Path, section: str, change: object, words: str) -> None:
    path = directory / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config[section] = {**config[section], **change} if isinstance(change, dict) else change
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=words):
        read_dims(modeldir.read(directory), streaming=True)


@pytest.mark.parametrize(
    ("change", "words"), [({"rorder": 2}, "rorder"), ({"fsmn_layers": None}, "incomplete")], ids=str
)
def test_vad_configurations_that_are_not_served(tmp_path: Path, change: dict[str, object], words: str) -> None:
    config = model_dirs.vad_config()
    directory = model_dirs.write(tmp_path, config)
    config["encoder_conf"] |= change
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=words):
        read_vad(modeldir.read(directory))


@pytest.mark.parametrize("option", [{"decibel_thres": -40}, {"snr_thres": 3}, {"speech_2_noise_ratio": 0.5}], ids=str)
def test_a_vad_option_is_not_ignored_in_silence(tmp_path: Path, option: dict[str, float]) -> None:
    directory = model_dirs.write(tmp_path, model_dirs.vad_config())
    config = model_dirs.vad_config(**option)
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=next(iter(option))):
        read_vad(modeldir.read(directory))


@pytest.mark.parametrize("damage", ["missing", "garbage", "truncated", "other model", "code"])
def test_weights_that_do_not_fit_are_named(directory: Path, tmp_path: Path, damage: str) -> None:
    """Also a pickle that would run code: only tensors are read."""
    path = directory / "model.pt"
    whole = path.read_bytes()
    path.unlink()
    if damage == "garbage":
        path.write_bytes(b"weights")
    elif damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "other model":
        other = model_dirs.write(tmp_path / "other", model_dirs.paraformer_config(streaming=True, size=48))
        path.write_bytes((other / "model.pt").read_bytes())
    elif damage == "code":
        torch.save({"encoder": print}, path)
    module = Paraformer(read_dims(modeldir.read(directory), streaming=True))
    with pytest.raises(ModelError, match=r"model\.pt"):
        load_weights(module, path)


def test_wrapped_checkpoints_are_opened(directory: Path) -> None:
    """FunASR saves training checkpoints with the weights under `state_dict`."""
    path = directory / "model.pt"
    torch.save({"state_dict": torch.load(path, weights_only=True), "epoch": 3}, path)
    module = Paraformer(read_dims(modeldir.read(directory), streaming=True))
    load_weights(module, path)


class TestWeightsPath:
    """Released models name their weights in configuration.json, as CAM++ does; most are called model.pt."""

    def test_the_file_that_a_hub_names_comes_first(self, directory: Path) -> None:
        (directory / "other.bin").touch()
        (directory / "configuration.json").write_text('{"file_path_metas": {"init_param": "other.bin"}}')
        assert modeldir.read(directory).weights_path == directory / "other.bin"

    @pytest.mark.parametrize(
        "content",
        [
            "[",
            "[]",
            '{"file_path_metas": 1}',
            '{"file_path_metas": {"init_param": "absent"}}',
            '{"file_path_metas": {"init_param": ""}}',
            '{"file_path_metas": {"init_param": ["model.pt"]}}',
        ],
    )
    def test_else_it_is_model_pt(self, directory: Path, content: str) -> None:
        (directory / "configuration.json").write_text(content)
        assert modeldir.read(directory).weights_path == directory / "model.pt"


class TestResolve:
    def test_a_path_is_itself(self, directory: Path) -> None:
        assert modeldir.resolve(str(directory)) == directory

    @pytest.mark.parametrize("name", ["/models/absent", "./absent", "a/b/c"])
    def test_an_absent_path_is_not_looked_for_elsewhere(self, name: str) -> None:
        with pytest.raises(ModelError, match="no such model directory"):
            modeldir.resolve(name)

    def test_an_unknown_short_name_lists_the_known(self) -> None:
        with pytest.raises(ModelError, match="paraformer-zh-streaming"):
            modeldir.resolve("paraformer-klingon")

    @pytest.mark.parametrize(
        ("hub", "package", "wanted"),
        [
            ("modelscope", "modelscope", "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch"),
            ("huggingface", "huggingface_hub", "funasr/fsmn-vad"),
        ],
    )
    def test_a_short_name_is_fetched_from_its_hub(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: str, package: str, wanted: str
    ) -> None:
        asked: list[tuple[str, str | None]] = []

        def snapshot_download(name: str, cache_dir: str | None = None) -> str:
            asked.append((name, cache_dir))
            return str(tmp_path)

        client = types.ModuleType(package)
        client.__dict__["snapshot_download"] = snapshot_download
        monkeypatch.setitem(sys.modules, package, client)
        assert modeldir.resolve("fsmn-vad", hub, tmp_path / "cache") == tmp_path
        assert asked == [(wanted, str(tmp_path / "cache"))]

    def test_a_missing_hub_client_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = builtins.__import__

        def refuse(name: str, *rest: object, **named: object) -> object:
            if name.startswith("modelscope"):
                raise ImportError(name)
            return original(name, *rest, **named)  # type: ignore[arg-type]

        monkeypatch.delitem(sys.modules, "modelscope", raising=False)
        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(ModelError, match="modelscope is not installed"):
            modeldir.resolve("fsmn-vad")


class TestSentencepiece:
    """A tokenizer that is a sentencepiece model: found where FunASR finds it, and then tokens.json may be missing."""

    @pytest.fixture
    def spelled(self, directory: Path) -> Path:
        config = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
        config |= {"tokenizer": "SentencepiecesTokenizer", "tokenizer_conf": {"bpemodel": "from_config.model"}}
        (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (directory / "tokens.json").unlink()
        return directory

    def name_in_configuration(self, directory: Path, name: object) -> None:
        files = {"file_path_metas": {"tokenizer_conf": {"bpemodel": name}}}
        (directory / "configuration.json").write_text(json.dumps(files), encoding="utf-8")

    def test_what_a_hub_names_comes_first(self, spelled: Path) -> None:
        for name in ("from_hub.model", "bpe.model", "from_config.model"):
            (spelled / name).touch()
        self.name_in_configuration(spelled, "from_hub.model")
        assert modeldir.read(spelled).sentencepiece_path == spelled / "from_hub.model"
        (spelled / "configuration.json").unlink()
        assert modeldir.read(spelled).sentencepiece_path == spelled / "bpe.model"
        (spelled / "bpe.model").unlink()
        assert modeldir.read(spelled).sentencepiece_path == spelled / "from_config.model"

    @pytest.mark.parametrize("name", ["absent.model", None, 7, ["bpe.model"]], ids=str)
    def test_a_name_without_a_file_is_passed_over(self, spelled: Path, name: object) -> None:
        self.name_in_configuration(spelled, name)
        (spelled / "bpe.model").touch()
        assert modeldir.read(spelled).sentencepiece_path == spelled / "bpe.model"

    @pytest.mark.parametrize("content", ["[", "[]", "{}", '{"file_path_metas": []}'])
    def test_another_kind_of_configuration_json_is_passed_over(self, spelled: Path, content: str) -> None:
        (spelled / "configuration.json").write_text(content, encoding="utf-8")
        (spelled / "bpe.model").touch()
        model = modeldir.read(spelled)
        assert (model.sentencepiece_path, model.tokens) == (spelled / "bpe.model", ())

    def test_without_either_tokens_json_is_asked_for(self, spelled: Path) -> None:
        with pytest.raises(ModelError, match=r"tokens\.json: missing"):
            modeldir.read(spelled)

    def test_tokens_json_is_read_where_it_is(self, spelled: Path) -> None:
        (spelled / "bpe.model").touch()
        (spelled / "tokens.json").write_text('["a"]', encoding="utf-8")
        assert modeldir.read(spelled).tokens == ("a",)

    def test_other_tokenizers_have_none(self, directory: Path) -> None:
        (directory / "bpe.model").touch()
        assert modeldir.read(directory).sentencepiece_path is None
