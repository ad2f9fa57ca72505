"""Tiny random models of every family, written to disk as their libraries write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torchaudio
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import nn
from torchvision.models import get_model
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
_TEXT = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
_SPEECH = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (16, 16, 16),
    "conv_stride": (10, 8, 4),
    "conv_kernel": (20, 8, 4),
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 4,
}
_CLAP_SOUND = {
    "spec_size": 64,
    "num_mel_bins": 16,
    "hidden_size": 32,
    "patch_embeds_hidden_size": 16,
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
    "num_hidden_layers": 2,
    "window_size": 4,
    "patch_size": 4,
    "patch_stride": [4, 4],
}
_GEMMA = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "global_head_dim": 16,
    "hidden_size_per_layer_input": 8,
    "embedding_dim": 24,
}


def transformers_model(kind: str) -> Any:
    """Return a model that is random but not nearly constant."""
    torch.manual_seed(0)
    model: Any = _MODELS[kind]()
    stirred(model)
    return model.eval()


def stirred(network: nn.Module) -> None:
    """Give the matrices a gain, so that different inputs have different outputs."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1 and "parametrizations" not in name:
                nn.init.xavier_normal_(parameter, gain=1.5)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.02)


def write_transformers(kind: str, directory: Path) -> str:
    """Write model, tokenizer and preprocessing; return the encoder's name."""
    transformers_model(kind).save_pretrained(directory)
    if kind in _EXTRACTORS:
        _EXTRACTORS[kind]().save_pretrained(directory)
    if kind in {"clip", "siglip", "siglip2"}:
        statistics = '{"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}'
        (directory / "preprocessor_config.json").write_text(statistics)
    if kind in {"bert", "gpt2", "clip", "siglip", "siglip2", "clap", "embedding_gemma2", "whisper"}:
        tokenizer(padded=kind != "gpt2").save_pretrained(directory)
    return f"transformers:{directory}"


def tokenizer(padded: bool) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer that ends with </s>; without `padded` it has no pad token."""
    pad = {"pad_token": "<pad>"} if padded else {}
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained()), eos_token="</s>", unk_token="<unk>", **pad
    )
    made.model_max_length = 40
    return made


@cache
def _trained() -> str:
    raw = Tokenizer(models.BPE(unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(["a man walks his dog across the lawn smoke fountain"], trainer)
    text: str = raw.to_str()
    return text


def write_torchvision(model: str, directory: Path) -> str:
    torch.manual_seed(0)
    return _saved(f"torchvision:{model}", get_model(model, weights=None, num_classes=7), directory)


def small_wav2vec2() -> nn.Module:
    """Return torchaudio's network in a hundredth of the size of its smallest."""
    network: nn.Module = torchaudio.models.wav2vec2_model(
        extractor_mode="group_norm",
        extractor_conv_layer_config=[(16, 20, 10), (16, 8, 8), (16, 4, 4)],
        extractor_conv_bias=False,
        encoder_embed_dim=32,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=15,
        encoder_pos_conv_groups=4,
        encoder_num_layers=2,
        encoder_num_heads=2,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=64,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=False,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    )
    return network


def write_torchaudio(model: str, directory: Path) -> str:
    torch.manual_seed(0)
    network: nn.Module = getattr(torchaudio.models, model)()
    stirred(network)
    return _saved(f"torchaudio:{model}", network, directory)


def _saved(name: str, network: nn.Module, directory: Path) -> str:
    path = directory / "weights.safetensors"
    save_file({key: value.clone() for key, value in network.state_dict().items()}, path)
    return f"{name}:{path}"


_MODELS: Mapping[str, Callable[[], Any]] = {
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**_TEXT)),
    "gpt2": lambda: transformers.GPT2Model(
        transformers.GPT2Config(
            vocab_size=300,
            n_embd=32,
            n_layer=2,
            n_head=2,
            n_positions=40,
            bos_token_id=2,
            eos_token_id=2,
        )
    ),
    "clip": lambda: transformers.CLIPModel(
        transformers.CLIPConfig(text_config=_TEXT, vision_config=_VISION, projection_dim=24)
    ),
    "siglip": lambda: transformers.SiglipModel(
        transformers.SiglipConfig(text_config=_TEXT, vision_config=_VISION)
    ),
    "siglip2": lambda: transformers.Siglip2Model(
        transformers.Siglip2Config(text_config=_TEXT, vision_config=_VISION | {"num_patches": 16})
    ),
    "clap": lambda: transformers.ClapModel(
        transformers.ClapConfig(
            text_config=_TEXT | {"max_position_embeddings": 60},
            audio_config=_CLAP_SOUND,
            projection_dim=24,
        )
    ),
    "ast": lambda: transformers.ASTModel(
        transformers.ASTConfig(
            **{key: value for key, value in _VISION.items() if key != "image_size"},
            max_length=64,
            num_mel_bins=16,
            frequency_stride=8,
            time_stride=8,
        )
    ),
    "wav2vec2": lambda: transformers.Wav2Vec2Model(
        transformers.Wav2Vec2Config(**_SPEECH, num_feat_extract_layers=3)
    ),
    "hubert": lambda: transformers.HubertModel(
        transformers.HubertConfig(**_SPEECH, num_feat_extract_layers=3)
    ),
    "wavlm": lambda: transformers.WavLMModel(
        transformers.WavLMConfig(**_SPEECH, num_feat_extract_layers=3)
    ),
    "whisper": lambda: transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            vocab_size=300,
            num_mel_bins=16,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_source_positions=100,
            max_target_positions=40,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
        )
    ),
    "embedding_gemma2": lambda: transformers.EmbeddingGemma2Model(
        transformers.EmbeddingGemma2Config(
            text_config=_GEMMA, vision_config=None, audio_config=None
        )
    ),
}

_EXTRACTORS: Mapping[str, Callable[[], Any]] = {
    "clap": lambda: transformers.ClapFeatureExtractor(
        feature_size=16, max_length_s=1, truncation="rand_trunc"
    ),
    "ast": lambda: transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=64),
    "wav2vec2": lambda: transformers.Wav2Vec2FeatureExtractor(do_normalize=True),
    "hubert": lambda: transformers.Wav2Vec2FeatureExtractor(do_normalize=False),
    "wavlm": lambda: transformers.Wav2Vec2FeatureExtractor(do_normalize=False),
    "whisper": lambda: transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=2),
}
