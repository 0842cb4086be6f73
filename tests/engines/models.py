"""Tiny models with random weights, one of each family that vLLM knows, of widths that its 4-bit kernels take; the text part
alone counts of those that see images.

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
LATENT = {"num_key_value_heads": 4, "q_lora_rank": 128, "kv_lora_rank": 128, "qk_nope_head_dim": 64, "qk_rope_head_dim": 64,
          "v_head_dim": 64, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2,
          "moe_intermediate_size": 256}
WINDOWED = {"sliding_window": 48, "layer_types": ["sliding_attention", "full_attention"]}
GEMMA = {"head_dim": 64, "query_pre_attn_scalar": 64} | WINDOWED
DELTA = {"head_dim": 64, "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2,
         "linear_num_value_heads": 4, "linear_key_head_dim": 64, "linear_value_head_dim": 64,
         "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}}
# What each family's config says besides; a head is 64 wide everywhere.
FAMILIES = {
    "llama": {},
    "mistral": {"head_dim": 64, "sliding_window": 48},
    "qwen2": {},
    "qwen3": {"head_dim": 64},
    "phi3": {"sliding_window": None},
    "gemma2": {"head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 48},
    "gemma3_text": GEMMA,
    "olmo2": {},
    "olmo3": WINDOWED,
    "seed_oss": {"head_dim": 64, "attention_bias": True, "attention_out_bias": False},
    "smollm3": {"no_rope_layers": [1, 0], "use_sliding_window": False},
    "granite": {"embedding_multiplier": 3.0, "attention_multiplier": 0.15, "residual_multiplier": 0.4,
                "logits_scaling": 1.5},
    "ministral": {"head_dim": 64} | WINDOWED,
    "mixtral": {"intermediate_size": 256, "num_local_experts": 8, "num_experts_per_tok": 2},
    "qwen3_moe": EXPERTS | {"head_dim": 64, "norm_topk_prob": True},
    "gpt_oss": {"head_dim": 64, "intermediate_size": 256, "num_local_experts": 8, "num_experts_per_tok": 2,
                "sliding_window": 48,
                "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "beta_fast": 32.0,
                                    "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 128}},
    "deepseek_v3": LATENT | {"n_group": 2, "topk_group": 1, "first_k_dense_replace": 1},
    "glm4_moe_lite": LATENT | {"n_group": 1, "topk_group": 1, "mlp_layer_types": ["dense", "sparse"]},
    "glm4_moe": {"head_dim": 64, "attention_bias": True, "use_qk_norm": True, "n_routed_experts": 8,
                 "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 256,
                 "first_k_dense_replace": 1, "routed_scaling_factor": 1.5},
    "llama4_text": {"head_dim": 64, "intermediate_size": 256, "intermediate_size_mlp": 512, "num_local_experts": 8,
                    "num_experts_per_tok": 1, "attention_chunk_size": 64, "interleave_moe_layer_step": 2,
                    "no_rope_layers": [1, 0]},
    "minimax_m2": {"head_dim": 64, "intermediate_size": 256, "num_local_experts": 8, "num_experts_per_tok": 2,
                   "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
    "qwen3_next": DELTA | EXPERTS | {"shared_expert_intermediate_size": 256, "norm_topk_prob": True},
}
# Of those that see images: what the text part is, its config, and the rest of the config.
TOWER = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32,
         "patch_size": 8}
QWEN_TOWER = {"depth": 1, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 256,
              "patch_size": 8}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12]}}
WRAPPERS = {
    "gemma3": ("gemma3_text", GEMMA, {"vision_config": TOWER | {"model_type": "siglip_vision_model"},
                                      "mm_tokens_per_image": 4}),
    "llava": ("llama", {}, {"vision_config": TOWER | {"model_type": "clip_vision_model", "projection_dim": 64}}),
    "mistral3": ("mistral", {"head_dim": 64, "sliding_window": None},
                 {"vision_config": TOWER | {"model_type": "pixtral", "head_dim": 32}}),
    "qwen2_5_vl": ("qwen2_5_vl_text", MROPE, {"vision_config": QWEN_TOWER | {"fullatt_block_indexes": [0]}}),
    "qwen3_vl": ("qwen3_vl_text", MROPE | {"head_dim": 64},
                 {"vision_config": QWEN_TOWER | {"deepstack_visual_indexes": [0]}}),
    "qwen3_vl_moe": ("qwen3_vl_moe_text", MROPE | EXPERTS | {"head_dim": 64},
                     {"vision_config": QWEN_TOWER | {"deepstack_visual_indexes": [0]}}),
    "qwen3_5": ("qwen3_5_text", DELTA, {"vision_config": QWEN_TOWER}),
    "qwen3_5_moe": ("qwen3_5_moe_text", DELTA | EXPERTS | {"shared_expert_intermediate_size": 256},
                    {"vision_config": QWEN_TOWER}),
}


# Keys of published configs that transformers does not write and engines read.
PUBLISHED = {"deepseek_v3": {"topk_method": "noaux_tc", "scoring_func": "sigmoid"},
             "glm4_moe_lite": {"topk_method": "noaux_tc", "scoring_func": "sigmoid", "first_k_dense_replace": 1},
             "minimax_m2": {"rotary_dim": 32, "scoring_func": "sigmoid", "use_routing_bias": True, "use_qk_norm": True},
             "qwen3_vl_moe": {"text_config": {"norm_topk_prob": True}}}


def fill(model, family):
    import torch

    generator = torch.Generator().manual_seed(sum(map(ord, family)))
    zero_centered = family.startswith(("gemma", "qwen3_next", "qwen3_5"))
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if name.endswith("norm.weight"):
            values = float(not zero_centered or "linear_attn" in name) + 0.2 * values
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

    if family in WRAPPERS:
        text_type, text, rest = WRAPPERS[family]
        config = transformers.AutoConfig.for_model(family, text_config=SIZES | text | {"model_type": text_type}, **rest)
        model = transformers.AutoModelForImageTextToText.from_config(config)
    else:
        config = transformers.AutoConfig.for_model(family, **(SIZES | FAMILIES[family]))
        model = transformers.AutoModelForCausalLM.from_config(config)
    model = model.to(torch.bfloat16)
    fill(model, family)
    folder = pathlib.Path(directory) / family
    model.save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text())
    for key, value in PUBLISHED.get(family, {}).items():
        written[key] = written[key] | value if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')
    return folder


def tokenizer():
    """Of single bytes: the tests pass token ids, but a directory without a tokenizer is no model."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
    from byte_tokenizer import tokenizer as of_bytes

    return of_bytes()


if __name__ == "__main__":
    for each in sys.argv[2:] or [*FAMILIES, *WRAPPERS]:
        print(make(sys.argv[1], each))
