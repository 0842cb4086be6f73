"""What the reference libraries make of a checkpoint."""

import math
import re

import torch
import transformers
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.quantization.lifecycle.forward import dequantize, forward_quantize
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


def activations_as_documented(x, args, global_scale):
    """Quantized and back, per group, as Rotor computes it (quant/format/activations.h)."""
    groups = x.reshape(-1, args.group_size)
    largest = groups.abs().amax(-1, keepdim=True)
    if global_scale is not None:
        scale = (global_scale * largest / 6).clamp(max=448).to(torch.float8_e4m3fn).float()
        scale = scale / global_scale
    else:
        mantissa, exponent = torch.frexp(largest)  # mantissa in [0.5, 1)
        scale = torch.ldexp(torch.ones_like(largest),
                            exponent - 3 + (mantissa >= 0.875).to(torch.int32))
    levels = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    quotient = groups / scale
    # Ties go to the even index: up from an odd one, down from an even one.
    index = (quotient.abs() > torch.tensor(0.25)).int() + (quotient.abs() >= 0.75).int()
    index += (quotient.abs() > 1.25).int() + (quotient.abs() >= 1.75).int()
    index += (quotient.abs() > 2.5).int() + (quotient.abs() >= 3.5).int()
    index += (quotient.abs() > 5.0).int()
    return (levels[index] * quotient.sign() * scale).reshape(x.shape)


def check_activations(model, modules):
    """compressed-tensors quantizes inputs to the same bits; returns how many modules do so. Experts in a stack
    are no modules: their inputs are kept."""
    generator = torch.Generator().manual_seed(1)
    quantized = 0
    present = dict(model.named_modules())
    for name in modules:
        if name not in present:
            continue
        module = present[name]
        args = module.quantization_scheme.input_activations
        if args is None:
            continue
        x = torch.randn(32, module.in_features, generator=generator)
        x *= torch.rand(32, 1, generator=generator)
        theirs = forward_quantize(module, x, "input", args)
        ours = activations_as_documented(x, args, getattr(module, "input_global_scale", None))
        assert torch.equal(theirs, ours), f"{name}: inputs are quantized to other values"
        quantized += 1
    return quantized


def load(directory):
    transformers.logging.set_verbosity_error()
    return transformers.AutoModelForCausalLM.from_pretrained(directory, dtype="auto").eval()


def apply_input_rotations(model, quantization):
    """compressed-tensors' own transforms, on the inputs: the weights are stored rotated. transformers
    reads no transform_config, so whoever loads a rotated checkpoint with it has to do this."""
    groups = {name: {**group, "apply": [a for a in group["apply"] if a["location"] == "input"]}
              for name, group in quantization["transform_config"]["config_groups"].items()}
    apply_transform_config(model, TransformConfig.model_validate({"config_groups": groups}))


def check_rotations(model, tensors):
    """The library makes the very matrices that the checkpoint holds."""
    found = 0
    for name, tensor in tensors.items():
        module, _, rest = name.rpartition(".")
        if module.endswith("_input") and rest == "weight":
            made = model.get_submodule(module).weight
            assert same_bits(made, tensor.to(made.dtype)), f"{name}: not the library's matrix"
            found += 1
    assert found > 0, "the checkpoint holds no rotation matrix"


def check_loaded(model, modules):
    """The weights that transformers ends up with are those of the checkpoint, in BF16."""
    for name, values in modules.items():
        assert same_bits(*in_one_dtype(model, name, values)), f"{name}: loaded as other values"


@torch.no_grad()
def runnable(directory, quantization, tensors, modules):
    """The model by transformers, run in F32, and in words what that took."""
    model = load(directory)
    model(torch.zeros(1, 2, dtype=torch.long))  # the first forward pass decompresses
    check_loaded(model, modules)
    torch.nn.Module.float(model)  # transformers refuses to cast a quantized model itself
    inputs = check_activations(model, modules)
    how = f"inputs of {inputs} modules quantized alike" if inputs else "as loaded"
    if quantization["transform_config"]:
        apply_input_rotations(model, quantization)
        check_rotations(model, tensors)
        how += "; compressed-tensors' transforms applied by hand"
    return model, how


@torch.no_grad()
def with_f32_weights(model, modules):
    """compressed-tensors decompresses to BF16: the same model with the values before that rounding,
    which check_decompression has found to be those of the library."""
    for name, values in modules.items():
        weight_of(model, name).copy_(values)
    return model


def stacks_experts(directory, modules):
    """Whether the library has one tensor where the checkpoint has a linear for each expert."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.from_pretrained(directory))
    missing = set(modules) - {name for name, _ in model.named_modules()}
    assert all(".experts." in name for name in missing), missing
    return bool(missing)


@torch.no_grad()
def why_experts_are_wrong(directory, tensors, modules):
    """What the library makes of stacked experts that keeps it from running the checkpoint; empty where they
    are right. Fails where it is something else than what is known."""
    model = load(directory)
    model(torch.zeros(1, 2, dtype=torch.long))
    experts = [name for name in modules if ".experts." in name]
    if model.config.model_type == "gpt_oss":
        read = [name for name in experts if same_bits(*in_one_dtype(model, name, modules[name]))]
        assert not read, f"{read[0]}: read after all: extend this test"
        return "transformers reads none of its experts"
    scales = {name: tensors.get(name + ".weight_global_scale") for name in experts}
    if all(scale is None for scale in scales.values()):
        return ""
    for name, scale in scales.items():
        weight = weight_of(model, name).float() / scale.float()
        assert torch.allclose(weight, modules[name], rtol=1e-2, atol=0), f"{name}: extend this test"
    return "transformers decodes experts in NVFP4 without their global scale"


def in_one_dtype(model, name, values):
    weight = weight_of(model, name)
    return weight, values.to(weight.dtype)


def weight_of(model, name):
    """The weight that the library runs for a module of the checkpoint, if it is a part of a stack."""
    expert = re.fullmatch(r"(.*)\.(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)", name)
    if not expert or not hasattr(model.get_submodule(expert[1]).mlp.experts, "gate_up_proj"):
        return model.get_submodule(name).weight.data
    stack = model.get_submodule(expert[1]).mlp.experts
    if expert[3] in ("down_proj", "w2"):
        return stack.down_proj.data[int(expert[2])]
    gate, up = stack.gate_up_proj.data[int(expert[2])].chunk(2)
    return gate if expert[3] in ("gate_proj", "w1") else up


def refusal(directory):
    """What transformers says to a layout that it cannot run here; it must refuse and not run."""
    try:
        load(directory)
    except Exception as error:  # which one is the library's business
        return f"refused, {type(error).__name__}: {str(error).splitlines()[0][:160]}"
    raise AssertionError("transformers loaded a layout that it was not expected to: extend this test")


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
