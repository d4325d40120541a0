"""BiCif- and SeACo-Paraformer with FunASR's parameter names, written so that no row's result depends on the others.

SeACo recognises as Paraformer does, and beside it lets a second decoder attend from the same tokens to the session's
hotwords, each of them one vector of an LSTM over its tokens. Where that decoder names a token, it takes the place of
the recogniser's; where it says "no bias", the recogniser's stays. A row with more than 50 hotwords first keeps the 50 to
which its tokens attend most. Methods: Shi et al., "SeACo-Paraformer" (2023), arXiv:2308.03266; Shi et al., "Achieving
timestamp prediction while recognizing with non-autoregressive end-to-end ASR model" (2023), arXiv:2301.12343.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrpool_worker.engine.hotword_bias import CANDIDATES
from asrpool_worker.engine.paraformer.cif import token_shares
from asrpool_worker.engine.paraformer.dims import ParaformerDims
from asrpool_worker.engine.paraformer.layers import (
    LAYER_NORM_EPSILON,
    MASKED_SCORE,
    CifWeights,
    Decoder,
    DecoderLayer,
    Encoder,
    LastDecoderLayer,
    key_bias,
)
from asrpool_worker.engine.seaco.dims import (
    FILTER_LAYER,
    FILTERED_HOTWORDS,
    UPSAMPLE_TIMES,
    BiCifDims,
    SeacoDims,
    TimestampDims,
)

TIMESTAMP_INPUTS = ("frames", "frame_mask", "tail_mask")
PASS_OUTPUTS = ("token_ids", "counts", "alphas", "fine_alphas")
TIMESTAMP_OUTPUTS = (*PASS_OUTPUTS, "candidates", "scores")
HOTWORD_INPUTS = (*TIMESTAMP_INPUTS, "word_ids", "word_last", "known_words", "hotwords", "hotword_mask", "bias_weight")
HOTWORD_OUTPUTS = (*PASS_OUTPUTS, "word_vectors")


def turned(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row's first `lengths` frames in the opposite order, the padding after them where it was: (B, T, d) → (B, T, d)."""
    numbers = torch.arange(x.shape[1], device=x.device)[None, :]
    index = torch.where(numbers < lengths[:, None], lengths[:, None] - 1 - numbers, numbers)
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


class BothWays(nn.Module):
    """One LSTM layer in both directions, which starts backwards at each row's own end, not in its padding."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        for suffix in ("", "_reverse"):
            for kind in ("ih", "hh"):
                self.register_parameter(f"weight_{kind}_l0{suffix}", nn.Parameter(torch.empty(4 * size, size)))
                self.register_parameter(f"bias_{kind}_l0{suffix}", nn.Parameter(torch.zeros(4 * size)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Shapes: x (B, T, d), lengths (B,) → (B, T, 2d)."""
        ahead = self._run(x, "")
        back = self._run(turned(x, lengths), "_reverse")
        return torch.cat((ahead, turned(back, lengths)), dim=-1)

    def _run(self, x: Tensor, suffix: str) -> Tensor:
        weights: list[Tensor] = [
            self.get_parameter(f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        start = torch.zeros(1, x.shape[0], self.size, device=x.device, dtype=x.dtype)
        out: Tensor = torch.lstm(x, (start, start), weights, True, 1, 0.0, False, False, True)[0]  # noqa: FBT003
        return out


class BiCifWeights(CifWeights):
    """How much of a token each frame carries, and on a finer grid where tokens begin (FunASR's CifPredictorV3)."""

    def __init__(self, dims: ParaformerDims, head: TimestampDims) -> None:
        super().__init__(dims)
        self.head = head
        self.upsample_cnn = nn.ConvTranspose1d(dims.size, dims.size, UPSAMPLE_TIMES, UPSAMPLE_TIMES)
        if head.recurrent:
            self.blstm = BothWays(dims.size)
        self.cif_output2 = nn.Linear(dims.size * (2 if head.recurrent else 1), 1)

    def fine(self, hidden: Tensor, frame_mask: Tensor) -> Tensor:
        """Weights of the upsampled frames: hidden (B, T, d), frame_mask (B, T) → (B, 3T)."""
        frames = hidden.transpose(1, 2)
        if self.head.shares_convolution:
            frames = torch.relu(self.cif_conv1d(functional.pad(frames, self.padding)))
        upsampled = self.upsample_cnn(frames).transpose(1, 2)
        if self.head.recurrent:
            upsampled = self.blstm(upsampled, frame_mask.float().sum(dim=1).long() * UPSAMPLE_TIMES)
        alphas = torch.relu(torch.sigmoid(self.cif_output2(upsampled)) * self.head.smooth - self.head.noise)
        return alphas.squeeze(-1) * frame_mask.repeat_interleave(UPSAMPLE_TIMES, dim=1)


class OpenDecoder(Decoder):
    """Paraformer's decoder, which also gives its last hidden state, and the tokens' embedding beside it."""

    def __init__(self, dims: ParaformerDims, embedding: bool) -> None:
        super().__init__(dims)
        if embedding:
            self.embed = nn.Sequential(nn.Embedding(dims.vocabulary, dims.size))

    def hidden(self, embeds: Tensor, token_mask: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        """Shapes: embeds (B, U, d), bias (B, 1, 1, K) for memory (B, K, d) → (B, U, d), before the output layer."""
        x = embeds
        for layer in self.decoders:
            x, _ = layer(x, token_mask, memory, bias, None)
        for last in self.decoders3:
            x = last(x)
        out: Tensor = self.after_norm(x)
        return out


class BiasDecoder(nn.Module):
    """The decoder that attends to hotwords."""

    def __init__(self, dims: ParaformerDims) -> None:
        super().__init__()
        self.heads = dims.decoder_heads
        self.decoders = nn.ModuleList([DecoderLayer(dims) for _ in range(dims.decoder_blocks)])
        self.decoders3 = nn.ModuleList([LastDecoderLayer(dims)])
        self.after_norm = nn.LayerNorm(dims.size, eps=LAYER_NORM_EPSILON)

    def forward(self, x: Tensor, token_mask: Tensor, words: Tensor, bias: Tensor) -> Tensor:
        """Shapes: x (B, U, d), words (B, N, d), bias (B, 1, 1, N) → (B, U, d)."""
        for layer in self.decoders:
            x, _ = layer(x, token_mask, words, bias, None)
        for last in self.decoders3:
            x = last(x)
        out: Tensor = self.after_norm(x)
        return out

    def attention(self, x: Tensor, token_mask: Tensor, words: Tensor, bias: Tensor) -> Tensor:
        """How much the tokens of each row attend to each hotword in the filter's layer: (B, N)."""
        for layer in list(self.decoders)[:FILTER_LAYER]:
            x, _ = layer(x, token_mask, words, bias, None)
        deciding = cast("DecoderLayer", self.decoders[FILTER_LAYER])
        remembered, _ = deciding.self_attn(deciding.norm2(deciding.feed_forward(deciding.norm1(x))), token_mask, None)
        query = deciding.src_attn.linear_q(deciding.norm3(x + remembered))
        key = deciding.src_attn.linear_k_v(words)[..., : query.shape[-1]]
        batch, tokens, size = query.shape
        width = size // self.heads
        q = query.view(batch, tokens, self.heads, width).transpose(1, 2) * width**-0.5
        k = key.view(batch, -1, self.heads, width).transpose(1, 2)
        weights = torch.softmax(q @ k.transpose(-2, -1) + bias, dim=-1)
        return (weights.sum(dim=1) * token_mask[..., None]).sum(dim=1)


class BiCifPass(nn.Module):
    """Whole utterances to tokens, and to weights on the finer grid that place them in time."""

    def __init__(self, dims: BiCifDims, embedding: bool = False) -> None:
        super().__init__()
        self.tail = dims.paraformer.cif_tail
        self.threshold = dims.paraformer.cif_threshold
        self.encoder = Encoder(dims.paraformer)
        self.predictor = BiCifWeights(dims.paraformer, dims.timestamps)
        self.decoder = OpenDecoder(dims.paraformer, embedding)

    def forward(self, frames: Tensor, frame_mask: Tensor, tail_mask: Tensor) -> tuple[Tensor, ...]:
        """Shapes: frames (B, T, f), frame_mask (B, T), tail_mask (B, T+1): 1 right after each row's last frame
        → token_ids (B, U), counts (B,), alphas (B, T+1), fine_alphas (B, 3T), not yet scaled to the number of tokens,
        and the likely tokens of each place, best first: candidates (B, U, 8) and their log-probabilities, scores.
        """
        _, _, hidden, counts, alphas, fine = self.recognise(frames, frame_mask, tail_mask)
        logits = self.decoder.output_layer(hidden)
        scores, candidates = torch.log_softmax(logits.float(), dim=-1).topk(CANDIDATES, dim=-1)
        return logits.argmax(dim=-1), counts, alphas, fine, candidates, scores

    def recognise(self, frames: Tensor, frame_mask: Tensor, tail_mask: Tensor) -> tuple[Tensor, ...]:
        """The tokens' acoustic embeddings (B, U, d), their mask (B, U), the decoder's hidden state (B, U, d), and the
        counts and weights that `forward` gives.
        """
        encoded, _ = self.encoder(frames, frame_mask, None)
        spoken = encoded * frame_mask[..., None]
        alphas = self.predictor(spoken) * frame_mask
        alphas = (torch.cat((alphas, torch.zeros_like(alphas[:, :1])), dim=1) + tail_mask * self.tail).float()
        shares, counts, _ = token_shares(alphas, self.threshold)
        held = torch.cat((spoken, torch.zeros_like(spoken[:, :1])), dim=1)
        embeds = shares.to(frames.dtype) @ held
        numbers = torch.arange(shares.shape[1], device=counts.device)
        token_mask = (numbers[None, :] < counts[:, None]).to(frames.dtype)
        hidden = self.decoder.hidden(embeds, token_mask, encoded, key_bias(frame_mask))
        return embeds, token_mask, hidden, counts, alphas, self.predictor.fine(spoken, frame_mask)


class SeacoPass(BiCifPass):
    """The same, with each row's own hotwords taken into account."""

    def __init__(self, dims: SeacoDims) -> None:
        super().__init__(dims, embedding=True)
        size = dims.paraformer.size
        self.no_bias = dims.no_bias
        self.bias_encoder = nn.LSTM(size, size, num_layers=2, batch_first=True)
        self.seaco_decoder = BiasDecoder(dims.bias)
        self.hotword_output_layer = nn.Linear(size, dims.paraformer.vocabulary)

    def forward(  # type: ignore[override] # the graph has more inputs than that of the model it extends
        self,
        frames: Tensor,
        frame_mask: Tensor,
        tail_mask: Tensor,
        word_ids: Tensor,
        word_last: Tensor,
        known_words: Tensor,
        hotwords: Tensor,
        hotword_mask: Tensor,
        bias_weight: Tensor,
    ) -> tuple[Tensor, ...]:
        """W words to encode and K that were encoded before, N hotwords a row, of which the first is always the first of the W,
        the mark <s> ("none of them").

        word_ids (W, L): tokens, padded, word_last (W,): the number of each one's last token, known_words (K, d), hotwords
        (B, N): numbers among the W and the K after them, hotword_mask (B, N), bias_weight (B,): 1 lets hotwords decide as
        FunASR does, 0 leaves the row as it is → the first four of `BiCifPass.forward`, and the W words as vectors (W, d).
        """
        embeds, token_mask, hidden, counts, alphas, fine = self.recognise(frames, frame_mask, tail_mask)
        plain = self.decoder.output_layer(hidden)
        encoded = self.encode_words(word_ids, word_last)
        words = torch.cat((encoded, known_words), dim=0)[hotwords]
        bias = self.filtered(hidden, token_mask, words, hotword_mask)
        attended = self.seaco_decoder(embeds, token_mask, words, bias)
        attended = attended + self.seaco_decoder(hidden, token_mask, words, bias)
        biased = self.hotword_output_layer(attended)
        weight = bias_weight.float()[:, None, None]
        mixed = torch.log_softmax(plain.float(), -1) * (1.0 - weight) + torch.log_softmax(biased.float(), -1) * weight
        taken = (biased.argmax(dim=-1) != self.no_bias) & (bias_weight > 0)[:, None]
        return torch.where(taken, mixed.argmax(dim=-1), plain.argmax(dim=-1)), counts, alphas, fine, encoded

    def encode_words(self, word_ids: Tensor, word_last: Tensor) -> Tensor:
        """One vector a word: word_ids (W, L), word_last (W,) → (W, d)."""
        states, _ = self.bias_encoder(self.decoder.embed(word_ids))
        index = word_last[:, None, None].expand(-1, 1, states.shape[2])
        out: Tensor = states.gather(1, index).squeeze(1)
        return out

    def filtered(self, hidden: Tensor, token_mask: Tensor, words: Tensor, hotword_mask: Tensor) -> Tensor:
        """What to add to attention scores, (B, 1, 1, N), so that a row's tokens see 50 of its hotwords at the most.

        As in FunASR the mark <s> is seen in any case, and twice where it is also among the 50.
        """
        everything = key_bias(hotword_mask)
        scores = self.seaco_decoder.attention(hidden, token_mask, words, everything) + (hotword_mask - 1.0)
        # Whoever has fewer words than are kept has the padding's among the best; the mask takes them out again.
        scores = torch.cat((scores, torch.full_like(scores[:, :1], -2.0).expand(-1, FILTERED_HOTWORDS)), dim=1)
        best = scores.topk(FILTERED_HOTWORDS, dim=1).indices
        chosen = torch.zeros_like(scores).scatter(1, best, torch.ones_like(scores[:, :FILTERED_HOTWORDS]))
        seen = chosen[:, : hotword_mask.shape[1]]
        seen = torch.cat((seen[:, :1] + 1.0, seen[:, 1:]), dim=1)
        many = hotword_mask.float().sum(dim=1, keepdim=True) > FILTERED_HOTWORDS
        seen = torch.where(many, seen, torch.ones_like(seen)) * hotword_mask
        absent = (seen == 0).to(seen.dtype)
        return (torch.log(torch.clamp(seen, min=1.0)) + absent * MASKED_SCORE)[:, None, None, :]
