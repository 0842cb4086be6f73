"""Tiny models with random weights, one of each family that vLLM knows, of widths that its 4-bit kernels take.

models.py DIR [FAMILY...] writes them; needs torch and transformers. Weights are of a size at which logits are far
from flat, so that an engine that misreads one shows.
"""

import json
import pathlib
import sys

SIZES = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
EXPERTS = {"moe_intermediate_size": 256, "num_experts": 8, "num_experts_per_tok": 2}
# What each family's config says besides; a head is 64 wide everywhere.
FAMILIES = {
    "llama": {},
    "mistral": {"head_dim": 64, "sliding_window": 48},
    "qwen2": {},
    "qwen3": {"head_dim": 64},
    "phi3": {"sliding_window": None},
    "gemma2": {"head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 48},
    "gemma3_text": {"head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 48,
                    "layer_types": ["sliding_attention", "full_attention"]},
    "olmo2": {},
    "mixtral": {"intermediate_size": 256, "num_local_experts": 8, "num_experts_per_tok": 2},
    "qwen3_moe": EXPERTS | {"head_dim": 64, "norm_topk_prob": True},
    "gpt_oss": {"head_dim": 64, "intermediate_size": 256, "num_local_experts": 8, "num_experts_per_tok": 2,
                "sliding_window": 48,
                "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "beta_fast": 32.0,
                                    "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 128}},
    "deepseek_v3": {"num_key_value_heads": 4, "q_lora_rank": 128, "kv_lora_rank": 128, "qk_nope_head_dim": 64,
                    "qk_rope_head_dim": 64, "v_head_dim": 64, "n_routed_experts": 8, "n_shared_experts": 1,
                    "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "moe_intermediate_size": 256,
                    "first_k_dense_replace": 1},
}


# Keys of published configs that transformers does not write and engines read.
PUBLISHED = {"deepseek_v3": {"topk_method": "noaux_tc", "scoring_func": "sigmoid"}}


def fill(model, family):
    import torch

    generator = torch.Generator().manual_seed(sum(map(ord, family)))
    offset = 0.0 if family.startswith("gemma") else 1.0
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if name.endswith("norm.weight"):
            values = offset + 0.2 * values
        elif name.endswith(("bias", "sinks")):
            values = 0.3 * values
        elif "embed_tokens" in name:
            values = 0.5 * values
        else:
            values = values / min(parameter.shape[-2:]) ** 0.5
        parameter.data = values.to(parameter.dtype)


def make(directory, family):
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(family, **(SIZES | FAMILIES[family]))
    model = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    fill(model, family)
    folder = pathlib.Path(directory) / family
    model.save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(written | PUBLISHED.get(family, {}), indent=2) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')
    return folder


def tokenizer():
    """Of single bytes: the tests pass token ids, but a directory without a tokenizer is no model."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
    from byte_tokenizer import tokenizer as of_bytes

    return of_bytes()


if __name__ == "__main__":
    for each in sys.argv[2:] or FAMILIES:
        print(make(sys.argv[1], each))
