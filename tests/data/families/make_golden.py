"""Makes the models of this folder, and what the transformers library computes with them.

A folder for each family: tiny random weights in BF16, config.json as transformers 5 writes it, config.4.json
the same as transformers 4 wrote it, and golden.*.safetensors with input ids, every hidden state and
the logits, computed in float32. hidden.0 comes out of the embedding, the last one out of the final
norm. The library also runs from config.4.json, and has to give the same logits.

gpt_oss_mxfp4 is a gpt_oss whose experts are written as the released models have them, in MXFP4; the library
computes with their dequantized values.
deepseek_v3_fp8 holds its linears in FP8 with a scale for each block; the library runs on the BF16 values that
these stand for. Models with latent attention have a layer behind the last that predicts further tokens: it takes
no part.
The models of WRAPPERS are multimodal, with a tower of random weights that text does not pass through.

    make_golden.py [FAMILY...]        needs torch, transformers 5 and safetensors
"""

import copy
import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

FOLDER = pathlib.Path(__file__).parent
# What all of them share: heads that are not hidden_size / num_attention_heads where the family
# allows it, windows shorter than the sequences, and grouped keys.
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
    "attn_implementation": "eager",
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 8.0,
    "beta_fast": 2.0,
    "beta_slow": 0.25,
    "original_max_position_embeddings": 16,
}
NOT_CONVERTED = {
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ]
}
# Of the input ids, where it is not their number: no token of these is near another choice of experts (its logits
# are 0.07 apart), so that a backend with BF16 activations chooses alike.
SEEDS = {"gpt_oss": 72, "gpt_oss_mxfp4": 388}
LATENT = {
    "num_hidden_layers": 3,
    "num_key_value_heads": 4,
    "q_lora_rank": 48,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 3,
    "n_group": 4,
    "topk_group": 2,
    "moe_intermediate_size": 32,
}
DEEPSEEK = LATENT | {
    "first_k_dense_replace": 1,
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 32,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 0.7,
    },
}
INDEXED = {"index_topk": 64, "index_n_heads": 2, "index_head_dim": 32}
FP8_BLOCK = [20, 24]  # rows and columns: no divisors of the sizes
DELTA = {
    "head_dim": 32,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 24,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.25},
}
SHARED_EXPERT = {
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 48,
    "num_experts": 8,
    "num_experts_per_tok": 3,
}
# Two chunks and half a third one, in which queries grow four times; equal factors, as Scout has them.
LLAMA4 = {
    "num_hidden_layers": 3,
    "head_dim": 32,
    "intermediate_size": 48,
    "intermediate_size_mlp": 96,
    "num_local_experts": 4,
    "moe_layers": [1, 2],
    "no_rope_layers": [1, 0, 1],
    "attention_chunk_size": 16,
    "floor_scale": 9,
    "attn_scale": 0.7,
    "rope_parameters": {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
                        "high_freq_factor": 1.0, "original_max_position_embeddings": 16},
}
MROPE = {"rope_type": "default", "rope_theta": 500.0, "mrope_section": [4, 6, 6]}
LENGTHS = {"phi3": (40, 24), "qwen3_next": (80,)}  # beyond the original length and within it
FAMILIES = {
    "deepseek_v3": DEEPSEEK,
    "deepseek_v3_fp8": DEEPSEEK | {"q_lora_rank": None, "norm_topk_prob": False, "rope_interleave": False},
    "deepseek_v32": DEEPSEEK | INDEXED | {"rope_parameters": DEEPSEEK["rope_parameters"] | {"mscale_all_dim": 1.0}},
    "gemma2": {
        "head_dim": 32,
        "sliding_window": 8,
        "query_pre_attn_scalar": 24,
        "attn_logit_softcapping": 4.0,
        "final_logit_softcapping": 6.0,
    },
    "gemma3_text": {
        "num_hidden_layers": 3,
        "head_dim": 32,
        "sliding_window": 8,
        "query_pre_attn_scalar": 20,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
        },
    },
    "glm4_moe": {
        "head_dim": 32,
        "attention_bias": True,
        "use_qk_norm": True,
        "n_routed_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 32,
        "routed_scaling_factor": 2.5,
        "first_k_dense_replace": 1,
    },
    "glm4_moe_lite": LATENT | {
        "v_head_dim": 48,
        "n_group": 1,
        "topk_group": 1,
        "rms_norm_eps": 1e-5,
        "routed_scaling_factor": 1.8,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
    },
    "glm_moe_dsa": LATENT | INDEXED | {
        "v_head_dim": 48,
        "n_group": 1,
        "topk_group": 1,
        "rms_norm_eps": 1e-5,
        "first_k_dense_replace": 1,
        "indexer_types": ["full", "shared", "full"],
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
    },
    "gpt_oss": {
        "head_dim": 32,
        "intermediate_size": 96,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": 8,
        "swiglu_alpha": 1.3,
        "swiglu_limit": 2.0,
        "rope_parameters": YARN | {"truncate": False},
    },
    "gpt_oss_mxfp4": {
        "head_dim": 32,
        "intermediate_size": 64,
        "num_local_experts": 6,
        "num_experts_per_tok": 3,
        "sliding_window": 8,
        "swiglu_limit": 2.5,
        "rope_parameters": YARN,
    },
    "granite": {
        "embedding_multiplier": 3.0,
        "attention_multiplier": 0.15,
        "residual_multiplier": 0.4,
        "logits_scaling": 3.0,
        "attention_bias": True,
        "mlp_bias": True,
    },
    "llama4_text": LLAMA4,
    "minimax_m2": {
        "head_dim": 32,
        "intermediate_size": 48,
        "num_local_experts": 8,
        "num_experts_per_tok": 3,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5},
    },
    "ministral": {"head_dim": 32, "sliding_window": 8, "layer_types": ["full_attention", "sliding_attention"]},
    "mistral": {"head_dim": 32, "sliding_window": 8},
    "mixtral": {"intermediate_size": 48, "num_local_experts": 4, "num_experts_per_tok": 2},
    "olmo2": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
    "olmo3": {
        "num_hidden_layers": 3,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": YARN | {"rope_theta": 500000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 500000.0},
        },
    },
    "phi3": {
        "sliding_window": 30,
        "original_max_position_embeddings": 32,
        "partial_rotary_factor": 0.75,
        "rope_parameters": {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.75,
            "short_factor": [1.0, 1.1, 1.2, 1.4, 1.7, 2.0],
            "long_factor": [1.0, 1.5, 2.5, 4.0, 6.0, 9.0],
        },
    },
    "qwen2": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": {"head_dim": 32, "tie_word_embeddings": True},
    "qwen3_moe": {
        "head_dim": 32,
        "moe_intermediate_size": 32,
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "norm_topk_prob": False,
        "mlp_only_layers": [1],
    },
    "qwen3_5_text": DELTA | {"linear_key_head_dim": 24, "linear_value_head_dim": 16},
    "qwen3_5_moe_text": DELTA | SHARED_EXPERT | {"linear_num_value_heads": 2, "linear_conv_kernel_dim": 3},
    "qwen3_next": DELTA | SHARED_EXPERT | {"num_hidden_layers": 3, "mlp_only_layers": [1], "layer_types": [
        "linear_attention", "full_attention", "linear_attention"]},
    "seed_oss": {"head_dim": 32, "attention_out_bias": True, "mlp_bias": True},
    "smollm3": {
        "num_hidden_layers": 3,
        "no_rope_layers": [1, 0, 1],
        "use_sliding_window": True,
        "sliding_window": 8,
    },
}
# Of each, what its text part is, and the rest of its config.
QWEN_TOWER = {"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64,
              "patch_size": 4}
SIGLIP_TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
                "image_size": 16, "patch_size": 4}
WRAPPERS = {
    "gemma3": ("gemma3_text", {"head_dim": 32, "sliding_window": 8, "query_pre_attn_scalar": 20},
               {"vision_config": SIGLIP_TOWER | {"model_type": "siglip_vision_model"}, "mm_tokens_per_image": 4}),
    "llama4": ("llama4_text", LLAMA4 | {"use_qk_norm": False, "attn_temperature_tuning": False},
               {"vision_config": SIGLIP_TOWER | {"vision_output_dim": 32, "projector_input_dim": 32,
                                                 "projector_output_dim": 32}}),
    "llava": ("llama", {}, {"vision_config": SIGLIP_TOWER | {"model_type": "clip_vision_model",
                                                             "projection_dim": 32}}),
    "mistral3": ("mistral", {"head_dim": 32, "sliding_window": None},
                 {"vision_config": SIGLIP_TOWER | {"model_type": "pixtral", "head_dim": 16}}),
    "qwen2_5_vl": ("qwen2_5_vl_text", {"rope_parameters": MROPE | {"mrope_section": [2, 3, 3]}},
                   {"vision_config": QWEN_TOWER | {"fullatt_block_indexes": [0]}}),
    "qwen3_5": ("qwen3_5_text", DELTA, {"vision_config": QWEN_TOWER}),
    "qwen3_5_moe": ("qwen3_5_moe_text", DELTA | SHARED_EXPERT, {"vision_config": QWEN_TOWER}),
    "qwen3_vl": ("qwen3_vl_text", {"head_dim": 32, "rope_parameters": MROPE},
                 {"vision_config": QWEN_TOWER | {"deepstack_visual_indexes": [0]}}),
    "qwen3_vl_moe": ("qwen3_vl_moe_text", {"head_dim": 32, "rope_parameters": MROPE, "num_experts": 8,
                                           "num_experts_per_tok": 3, "moe_intermediate_size": 32},
                     {"vision_config": QWEN_TOWER | {"deepstack_visual_indexes": [0]}}),
}


def fill(model, family):
    """Weights in BF16's values, of a size at which norms, caps, windows and biases all matter."""
    generator = torch.Generator().manual_seed(sum(map(ord, family)))
    zero_centered = family.startswith(("gemma", "qwen3_next", "qwen3_5"))
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if name.endswith("norm.weight"):
            values = float(not zero_centered or "linear_attn" in name) + 0.3 * values
        elif name.endswith(("bias", "sinks")):
            values = 0.5 * values
        elif "embed_tokens" in name:
            values = 0.4 * values
        else:
            values = values * 1.5 / parameter.shape[-1] ** 0.5
        parameter.data = values.bfloat16().float()
        if family == "gpt_oss_mxfp4" and is_expert(name):
            # Stored rows are outputs, as those of other linears.
            codes, exponents = mxfp4(parameter.data.transpose(1, 2))
            parameter.data = decoded(codes, exponents).transpose(1, 2).contiguous()
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.data = 0.1 * torch.randn(buffer.shape, generator=generator)


def is_expert(name):
    return name.endswith(("experts.gate_up_proj", "experts.down_proj"))


E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def mxfp4(weight):
    """Codes 0 to 15 and biased exponents of [.., K] in groups of 32 along K."""
    groups = weight.unflatten(-1, (-1, 32))
    exponents = torch.floor(torch.log2(groups.abs().amax(-1, keepdim=True))) - 2
    scaled = groups / 2**exponents
    nearest = (scaled.abs().unsqueeze(-1) - E2M1).abs().argmin(-1)
    return nearest + 8 * (scaled < 0), (exponents + 127).squeeze(-1)


def decoded(codes, exponents):
    signed = torch.cat([E2M1, -E2M1])[codes]
    return (signed * 2 ** (exponents.unsqueeze(-1) - 127)).flatten(-2)


def write_mxfp4(path):
    """The file's experts as blocks and scales: two codes a byte, the first one low."""
    tensors = load_file(path)
    for name in [name for name in tensors if is_expert(name)]:
        weight = tensors.pop(name).float().transpose(1, 2)
        codes, exponents = mxfp4(weight)
        assert torch.equal(decoded(codes, exponents), weight)
        tensors[name + "_blocks"] = (codes[..., 0::2] + 16 * codes[..., 1::2]).byte()
        tensors[name + "_scales"] = exponents.byte()
    save_file(tensors, path, {"format": "pt"})


def run(model, ids):
    with torch.no_grad():
        out = model(input_ids=ids[None], output_hidden_states=True, use_cache=False)
    return out.logits[0].float(), [state[0].float() for state in out.hidden_states]


def in_fp8(weight):
    """Codes and scales by blocks, and the values in BF16 that they stand for."""
    rows, cols = FP8_BLOCK
    padded = torch.nn.functional.pad(weight, (0, -weight.shape[1] % cols, 0, -weight.shape[0] % rows))
    blocks = padded.unflatten(0, (-1, rows)).unflatten(2, (-1, cols))
    scales = blocks.abs().amax((1, 3), keepdim=True) / 448.0
    codes = (blocks / scales).to(torch.float8_e4m3fn)

    def whole(matrix):
        return matrix.flatten(2, 3).flatten(0, 1)[: weight.shape[0], : weight.shape[1]].contiguous()

    values = whole((codes.float() * scales).bfloat16())
    return (whole(codes.view(torch.uint8)).view(torch.float8_e4m3fn), scales[:, 0, :, 0].contiguous(),
            values)


def predict_layer(index, hidden, vocabulary):
    """Some tensors of a layer that predicts further tokens, by their published names."""
    generator = torch.Generator().manual_seed(index)
    shapes = {"enorm.weight": (hidden,), "hnorm.weight": (hidden,), "eh_proj.weight": (hidden, 2 * hidden),
              "embed_tokens.weight": (vocabulary, hidden), "shared_head.norm.weight": (hidden,),
              "shared_head.head.weight": (vocabulary, hidden), "self_attn.o_proj.weight": (hidden, 128),
              "mlp.experts.0.down_proj.weight": (hidden, 32)}
    return {f"model.layers.{index}.{name}": torch.randn(shape, generator=generator).bfloat16()
            for name, shape in shapes.items()}


def round_to_fp8(model):
    """Gives the model's linears values that FP8 holds; their tensors by the names in a checkpoint."""
    tensors = {}

    def rounded(name, weight):
        tensors[name], tensors[name + "_scale_inv"], values = in_fp8(weight)
        return values.float()

    for name, parameter in model.named_parameters():
        if parameter.dim() == 3:  # all experts, which a checkpoint has apart
            block, kinds = name.removesuffix("_proj").rsplit(".", 1)
            parameter.data = torch.stack([
                torch.cat([rounded(f"{block}.{e}.{kind}_proj.weight", part)
                           for kind, part in zip(kinds.split("_"), each.chunk(len(kinds.split("_"))))])
                for e, each in enumerate(parameter)])
        elif "_proj" in name:
            parameter.data = rounded(name, parameter.data)
    return tensors


def publish_latent(folder, model, fp8_tensors):
    """The saved model as DeepSeek publishes its own: corrections in F32, a layer more, and FP8."""
    tensors = load_file(folder / "model.safetensors")
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            tensors[name] = buffer
    tensors |= predict_layer(LATENT["num_hidden_layers"], SIZES["hidden_size"], SIZES["vocab_size"])
    if fp8_tensors:
        tensors |= fp8_tensors
        for name, weight in list(tensors.items()):
            if "_proj" in name and weight.dtype == torch.bfloat16:
                tensors[name], tensors[name + "_scale_inv"], _ = in_fp8(weight.float())
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def as_transformers_4(config):
    """config.json of transformers 5, said in the keys of transformers 4."""
    old = dict(config)
    old["transformers_version"] = "4.57.1"
    old["torch_dtype"] = old.pop("dtype")
    if "quantization_config" in old:
        del old["torch_dtype"]  # as the released models
    old.pop("layer_types", None)
    family = old["model_type"]
    rope = old.pop("rope_parameters")
    if family == "gemma3_text":
        del old["_sliding_window_pattern"]
        old["sliding_window_pattern"] = 2
        old["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    rope = dict(rope)
    if family != "olmo3":
        old["rope_theta"] = rope.pop("rope_theta")
    if family == "olmo3":
        rope = dict(rope["full_attention"])
        old["rope_theta"] = rope.pop("rope_theta")
    if family == "phi3":
        old["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
        old["original_max_position_embeddings"] = rope.pop("original_max_position_embeddings")
        rope["type"] = rope.pop("rope_type")
    elif (share := rope.pop("partial_rotary_factor", 1.0)) != 1.0:
        old |= {"rotary_dim": 16} if family == "minimax_m2" else {"partial_rotary_factor": share}
    if family == "qwen3_moe":
        old["num_experts"] = old.pop("num_local_experts")
    if family == "deepseek_v3":
        old["num_nextn_predict_layers"] = old.pop("num_mtp_layers", 1)
        old |= {"moe_layer_freq": 1, "scoring_func": "sigmoid", "topk_method": "noaux_tc"}
        rope["type"] = rope.pop("rope_type")
    if family in ("deepseek_v32", "glm_moe_dsa"):
        del old["mlp_layer_types"]
        old |= {"num_nextn_predict_layers": 1, "moe_layer_freq": 1, "scoring_func": "sigmoid",
                "topk_method": "noaux_tc"}
    if family == "glm_moe_dsa":
        del old["indexer_types"]
        old |= {"index_topk_freq": 2, "index_skip_topk_offset": 1, "head_dim": 96, "indexer_rope_interleave": True}
    if family == "glm4_moe_lite":
        del old["mlp_layer_types"]
        old |= {"first_k_dense_replace": 1, "num_nextn_predict_layers": 1, "partial_rotary_factor": 1.0,
                "topk_method": "noaux_tc"}
    if family in ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "ministral", "olmo3"):
        old["layer_types"] = config["layer_types"]
    if family in ("qwen3_next", "qwen3_5_moe_text"):
        old["num_experts"] = old.pop("num_local_experts", old.get("num_experts"))
    old["rope_scaling"] = None if rope.get("rope_type") == "default" else rope
    if family.startswith("gemma"):
        old.pop("tie_word_embeddings")  # it is the family's default, which was left out
    return old


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def check_old(folder, model, ids, logits):
    """The library, from the old config, on the same weights."""
    text = json.loads((folder / "config.4.json").read_text())
    text.pop("quantization_config", None)
    config = transformers.AutoConfig.for_model(**text)
    old = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    old.load_state_dict(model.state_dict())
    assert torch.equal(run(old.eval(), ids)[0], logits), folder


def make(family):
    folder = FOLDER / family
    shutil.rmtree(folder, ignore_errors=True)
    fp8, mxfp4_experts = family.endswith("_fp8"), family.endswith("_mxfp4")
    config = transformers.AutoConfig.for_model(family.removesuffix("_fp8").removesuffix("_mxfp4"),
                                               **(SIZES | FAMILIES[family]))
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model = model.float().eval()
    fill(model, family)
    fp8_tensors = round_to_fp8(model) if fp8 else {}
    for length in LENGTHS.get(family, (40,)):
        generator = torch.Generator().manual_seed(SEEDS.get(family, length))
        ids = torch.randint(SIZES["vocab_size"], (length,), generator=generator)
        logits, states = run(model, ids)
        folder.mkdir(exist_ok=True)
        golden = {"input_ids": ids.int(), "logits": logits}
        golden |= {f"hidden.{i}": state.clone() for i, state in enumerate(states)}
        save_file(golden, folder / f"golden.{length}.safetensors")
        if not (folder / "config.json").exists():
            copy.deepcopy(model).bfloat16().save_pretrained(folder)  # rounds buffers, too
            (folder / "generation_config.json").unlink(missing_ok=True)
            written = json.loads((folder / "config.json").read_text())
            if mxfp4_experts:
                write_mxfp4(folder / "model.safetensors")
                written["quantization_config"] = {"quant_method": "mxfp4"} | NOT_CONVERTED
            if "kv_lora_rank" in FAMILIES[family]:
                publish_latent(folder, model, fp8_tensors)
            if fp8:
                written["quantization_config"] = {"activation_scheme": "dynamic", "fmt": "e4m3",
                                                  "quant_method": "fp8", "weight_block_size": FP8_BLOCK}
            write_json(folder / "config.json", written)
            write_json(folder / "config.4.json", as_transformers_4(written))
        check_old(folder, model, ids, logits)
    print(family, f"logits of size {logits.abs().mean():.3f},",
          sum(f.stat().st_size for f in folder.iterdir()) // 1024, "KiB")


def make_wrapper(family):
    """A model whose text part is one of the above; its file is written as the library publishes it."""
    folder = FOLDER / family
    shutil.rmtree(folder, ignore_errors=True)
    text_type, keys, rest = WRAPPERS[family]
    text = {key: value for key, value in (SIZES | keys).items() if key != "attn_implementation"}
    config = transformers.AutoConfig.for_model(family, text_config=text | {"model_type": text_type}, **rest)
    for key in ("image_token_id", "image_token_index", "video_token_id"):
        if hasattr(config, key):
            setattr(config, key, 255)  # no input has it
    model = transformers.AutoModelForImageTextToText.from_config(config, attn_implementation="eager")
    model = model.float().eval()
    fill(model, family)
    ids = torch.randint(250, (40,), generator=torch.Generator().manual_seed(SEEDS.get(family, 40)))
    # The forward pass of transformers 5.24's wrapper asks its decoder for what that does not give.
    logits, states = run(model.language_model if family == "llama4" else model, ids)
    folder.mkdir()
    golden = {"input_ids": ids.int(), "logits": logits}
    golden |= {f"hidden.{i}": state.clone() for i, state in enumerate(states)}
    save_file(golden, folder / "golden.40.safetensors")
    copy.deepcopy(model).bfloat16().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    write_json(folder / "config.json", json.loads((folder / "config.json").read_text()))
    print(family, f"logits of size {logits.abs().mean():.3f},",
          sum(f.stat().st_size for f in folder.iterdir()) // 1024, "KiB")


for name in sys.argv[1:] or [*FAMILIES, *WRAPPERS]:
    make_wrapper(name) if name in WRAPPERS else make(name)
