"""What the reference libraries make of a checkpoint."""

import math

import torch
import transformers
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.quantization.lifecycle.forward import dequantize
from compressed_tensors.transform import TransformConfig, apply_transform_config

import checkpoint_tensors
from checkpoint_tensors import same_bits


def scheme_of(quantization):
    keys = {key: value for key, value in quantization.items()
            if key not in ("transform_config", "sparsity_config", "version")}
    return QuantizationConfig.model_validate(keys).config_groups["group_0"]


def dequantize_in_f32(state, scheme, compressor):
    """The library's unpacking and dequantization, with F32 asked for instead of its default."""
    packed = state["weight_packed"]
    if packed.dtype == torch.int32:
        codes = unpack_from_int32(packed, 4, torch.Size(state["weight_shape"].tolist())).float()
        scale = state["weight_scale"].float()
    else:
        codes = unpack_fp4_from_uint8(packed, packed.shape[0], packed.shape[1] * 2, torch.float32)
        scale = compressor._decompress_scale(state["weight_scale"], torch.float32)
    return dequantize(x_q=codes, scale=scale, args=scheme.weights, dtype=torch.float32,
                      global_scale=state.get("weight_global_scale"))


def check_decompression(directory, tensors, modules):
    """compressed-tensors' decompression of every module: in F32 the very bits that Rotor decodes to,
    by default those rounded to BF16."""
    quantization = checkpoint_tensors.quantization_config(directory)
    scheme = scheme_of(quantization)
    compressor = BaseCompressor.get_value_from_registry(quantization["format"])
    for name, values in modules.items():
        state = {key[len(name) + 1:]: tensor for key, tensor in tensors.items()
                 if key.rpartition(".")[0] == name and not key.endswith(".bias")}
        exact = dequantize_in_f32(state, scheme, compressor)
        assert same_bits(exact, values), f"{name}: compressed-tensors decodes to other values"
        weight = compressor.decompress(state, scheme)["weight"]
        assert same_bits(weight, values.to(weight.dtype)), f"{name}: {weight.dtype} differs"
    return len(modules)


def load(directory, **options):
    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, **options)
    return model.eval()


def apply_input_rotations(model, quantization):
    """The library's own transforms, on the inputs; the weights are stored rotated already."""
    config = quantization["transform_config"]
    if not config:
        return False
    groups = {name: {**group, "apply": [a for a in group["apply"] if a["location"] == "input"]}
              for name, group in config["config_groups"].items()}
    apply_transform_config(model, TransformConfig.model_validate({"config_groups": groups}))
    return True


def windows(directory, text, sequences, length):
    """As `rotor eval` cuts them."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    ids = tokenizer(text, return_tensors="pt", truncation=False)["input_ids"][0]
    return ids[:sequences * length].reshape(sequences, length)


@torch.no_grad()
def perplexity(model, ids):
    total, count = 0.0, 0
    for window in ids:
        logits = model(window[None]).logits[0, :-1].double()
        total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
        count += len(window) - 1
    return math.exp(total / count)
