"""Whisper directories with random weights, in CTranslate2's form, and the same weights as transformers runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ctranslate2.converters.transformers import WhisperLoader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

LANGUAGES = ("en", "zh", "de", "ja", "ko")
WORDS, TIMES = 300, 1501
HEARING = 8.0


def special_tokens() -> list[str]:
    """What stands behind the text tokens, in Whisper's order; English-only models have the languages too."""
    names = ["endoftext", "startoftranscript", *LANGUAGES]
    names += ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    return [f"<|{name}|>" for name in names] + [f"<|{0.02 * step:.2f}|>" for step in range(TIMES)]


def tokenizer(multilingual: bool) -> Tokenizer:
    """Bytes, then words that stand for one token each, then the special ones.

    An empty token among the words is what CTranslate2 knows a multilingual Whisper by.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*(f"Ġword{number}" for number in range(WORDS)), *([""] if multilingual else [])]
    built = Tokenizer(models.BPE({token: number for number, token in enumerate([*alphabet, *words])}, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(name, special=True) for name in special_tokens()])
    return built


def write(directory: Path, seed: int = 0, multilingual: bool = True, mel_bins: int = 80) -> Any:
    """Write a tiny random model to `directory`; gives the model of transformers that has the same weights."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    tokens = tokenizer(multilingual)
    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=tokens.get_vocab_size(),
        num_mel_bins=mel_bins,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        init_std=0.5,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
    )
    model: Any = WhisperForConditionalGeneration(config)
    model.eval()
    # What is heard must weigh more than what was said before, else a random model says the same to every audio.
    model.model.encoder.layer_norm.weight.data *= HEARING
    model.model.decoder.layers[0].encoder_attn.out_proj.weight.data *= HEARING
    loader = WhisperLoader()
    spec = loader.get_model_spec(model)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [tokens.token_to_id(f"<|{name}|>") for name in LANGUAGES]
    spec.config.alignment_heads = [(0, 0)]
    spec.register_vocabulary([str(tokens.id_to_token(number)) for number in range(tokens.get_vocab_size())])
    spec.validate()
    spec.optimize()
    directory.mkdir(parents=True, exist_ok=True)
    spec.save(str(directory))
    tokens.save(str(directory / "tokenizer.json"))
    return model
