"""A source that is quantized already gives the checkpoint of the BF16 model that it stands for, byte for byte, and
its perplexity.

Tiny models of tests/data/families are written again in the forms that models are published in. Codes, scales and
the values that they stand for are made here, apart from Rotor's own code.
"""

import json
import pathlib
import re

import harness
import numpy as np
from source_models import FAMILIES, quantized, read, write

LINEAR = re.compile(r"\.layers\.\d+\..*_proj.*\.weight$")
E4M3 = np.array([(m / 8 if e == 0 else (1 + m / 8) * 2.0 ** (e - 1)) * 2.0**-6
                 for e in range(16) for m in range(8)][:127])
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def to_bf16(values):
    """Rounded to nearest, ties to even, as U16."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(data, shape):
    return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)


def nearest(values, grid):
    """Index of the nearest of an ascending grid."""
    return np.searchsorted((grid[1:] + grid[:-1]) / 2, values)


def spread(scales, block, shape):
    """A scale for every element of a matrix, from one for each [rows, cols] block; it cuts off the last ones."""
    return np.repeat(np.repeat(scales, block[0], 0), block[1], 1)[: shape[0], : shape[1]]


def largest(weight, block):
    """Of each block, its magnitude."""
    counts = [-(-size // n) for size, n in zip(weight.shape, block)]
    padded = np.pad(np.abs(weight), [(0, n * count - size) for n, count, size in zip(block, counts, weight.shape)])
    return padded.reshape(counts[0], block[0], counts[1], block[1]).max((1, 3))


def in_fp8(weight, block, powers):
    """Codes, the scales of [rows, cols] blocks, and the values; powers: scales of two, as their E8M0 bytes."""
    scales = (largest(weight, block) / 448 + 1e-9).astype(np.float32)
    stored = scales
    if powers:
        stored = np.ceil(np.log2(scales)).astype(int) + 127
        scales = np.exp2(stored - 127.0).astype(np.float32)
    each = spread(scales, block, weight.shape)
    codes = nearest(np.abs(weight) / each, E4M3).astype(np.uint8)
    signs = np.signbit(weight)
    values = np.where(signs, -E4M3[codes], E4M3[codes]).astype(np.float32) * each
    return codes | (signs.astype(np.uint8) << 7), stored.astype(np.uint8) if powers else scales, values


def in_int4(weight, group):
    """Words of eight codes, BF16 scales as bits, and the values."""
    bits = to_bf16(largest(weight, (1, group)) / 7.5 + 1e-9)
    scales = from_bf16(bits.tobytes(), bits.shape)
    each = spread(scales, (1, group), weight.shape)
    codes = np.clip(np.rint(weight / each), -8, 7).astype(int)  # of which none is -0
    nibbles = (codes + 8).astype(np.uint32).reshape(weight.shape[0], -1, 8)
    words = (nibbles << (4 * np.arange(8, dtype=np.uint32))).sum(2, dtype=np.uint32)
    return words, bits, codes.astype(np.float32) * each


def in_fp4(weight, scales, group):
    """Bytes of two E2M1 codes, and the values, by scales in F32."""
    each = spread(scales, (1, group), weight.shape)
    codes = nearest(np.abs(weight) / each, E2M1).astype(np.uint8)
    signs = np.signbit(weight)
    values = np.where(signs, -E2M1[codes], E2M1[codes]).astype(np.float32) * each
    nibbles = codes | (signs.astype(np.uint8) << 3)
    return nibbles[:, ::2] | (nibbles[:, 1::2] << 4), values


class Forms:
    """Tensors of a model in a form, and of its twin in BF16."""

    def __init__(self, family):
        self.tensors, self.dtypes = read(FAMILIES / family / "model.safetensors")
        self.twin = dict(self.tensors)

    def linears(self, pattern=LINEAR):
        return [name for name in sorted(self.twin) if pattern.search(name)]

    def weight(self, name):
        shape, data = self.twin[name]
        return from_bf16(data, shape)

    def put(self, name, dtype, array, shape=None):
        self.tensors[name] = list(array.shape if shape is None else shape), np.ascontiguousarray(array).tobytes()
        self.dtypes[name] = dtype

    def replace(self, name, values):
        """Its twin's values; the stored weight is gone."""
        self.twin[name] = self.twin[name][0], to_bf16(values).tobytes()
        del self.tensors[name]

    def fp8(self, name, block, ending, dtype="F32", shape=None):
        """A block of 0 is the whole of the matrix."""
        weight = self.weight(name)
        block = [n or size for n, size in zip(block, weight.shape)]
        codes, scales, values = in_fp8(weight, block, dtype != "F32")
        self.replace(name, values)
        self.put(name, "F8_E4M3", codes)
        self.put(name.removesuffix(".weight") + ending, dtype, scales, shape)

    def int4(self, name, group):
        words, scales, values = in_int4(self.weight(name), group)
        self.replace(name, values)
        self.put(name + "_packed", "I32", words)
        self.put(name + "_scale", "BF16", scales)
        self.put(name + "_shape", "I32", np.array(self.twin[name][0], np.int32))

    def mxfp4(self, name):
        weight = self.weight(name)
        stored = np.ceil(np.log2(largest(weight, (1, 32)) / 6 + 1e-9)) + 127
        codes, values = in_fp4(weight, np.exp2(stored - 127).astype(np.float32), 32)
        self.replace(name, values)
        self.put(name + "_packed", "U8", codes)
        self.put(name + "_scale", "U8", stored.astype(np.uint8))

    def nvfp4(self, name):
        """With a global scale of its input, as a4 has it."""
        weight = self.weight(name)
        ratio = np.float32(2688 / np.abs(weight).max())
        stored = nearest(largest(weight, (1, 16)) / 6 * ratio, E4M3).clip(1)
        codes, values = in_fp4(weight, E4M3[stored].astype(np.float32) / ratio, 16)
        self.replace(name, values)
        self.put(name + "_packed", "U8", codes)
        self.put(name + "_scale", "F8_E4M3", stored.astype(np.uint8))
        self.put(name + "_global_scale", "F32", np.full(1, ratio))
        self.put(name.removesuffix(".weight") + ".input_global_scale", "F32", np.ones(1, np.float32))


def fp8_static():
    """As Mistral publishes: a scale for each matrix and one for its input, and FP8 caches."""
    forms = Forms("qwen3")
    for name in forms.linears():
        forms.fp8(name, (0, 0), ".weight_scale_inv", shape=[])
        forms.put(name.removesuffix(".weight") + ".activation_scale", "F32", np.ones(1, np.float32), [])
        if "k_proj" in name:
            forms.put(name.replace("k_proj.weight", "k_scale"), "F32", np.ones(1, np.float32))
    return forms, {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None,
                   "modules_to_not_convert": ["lm_head"]}


def fp8_powers():
    """As DeepSeek publishes: blocks whose scales are powers of two."""
    forms = Forms("deepseek_v3")
    for name in forms.linears():
        forms.fp8(name, (32, 32), ".weight_scale_inv", "F8_E8M0")
    return forms, {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0", "activation_scheme": "dynamic",
                   "weight_block_size": [32, 32]}


def weights(bits, kind, strategy, **keys):
    return {"num_bits": bits, "type": kind, "strategy": strategy, "symmetric": True, "dynamic": False,
            "group_size": None, "block_structure": None, "actorder": None} | keys


def compressed(groups):
    """config_groups of (format, pattern, weights), as llm-compressor writes them."""
    return {"quant_method": "compressed-tensors", "quantization_status": "compressed", "ignore": ["lm_head"],
            "kv_cache_scheme": None, "format": groups[0][0] if len(groups) == 1 else "mixed-precision",
            "config_groups": {f"group_{i}": {"format": form, "targets": [target], "weights": args,
                                             "input_activations": None, "output_activations": None}
                              for i, (form, target, args) in enumerate(groups)}}


def compressed_fp8():
    """Each granularity of compressed-tensors' FP8 in one model."""
    forms = Forms("qwen3")
    for name in forms.linears():
        if "self_attn" in name:
            forms.fp8(name, (1, 0), ".weight_scale")
        elif "down_proj" in name:
            forms.fp8(name, (0, 0), ".weight_scale", shape=[1])
        elif "gate_proj" in name:
            forms.fp8(name, (40, 48), ".weight_scale")
        else:
            forms.fp8(name, (1, 32), ".weight_scale", "U8")
    return forms, compressed([
        ("float-quantized", "re:.*self_attn.*", weights(8, "float", "channel")),
        ("naive-quantized", "re:.*down_proj", weights(8, "float", "tensor")),
        ("float-quantized", "re:.*gate_proj", weights(8, "float", "block", block_structure=[40, 48])),
        ("mxfp8-quantized", "re:.*up_proj", weights(8, "float", "group", group_size=32))])


def int4_experts():
    """As Kimi K2 publishes: experts in INT4, all else in BF16."""
    forms = Forms("deepseek_v3")
    for name in forms.linears(re.compile(r"mlp\.experts\.\d+\.\w+_proj\.weight$")):
        forms.int4(name, 32)
    return forms, compressed([("pack-quantized", "Linear", weights(4, "int", "group", group_size=32))])


def compressed_fp4():
    """NVFP4 and MXFP4 side by side."""
    forms = Forms("qwen3")
    for name in forms.linears():
        (forms.nvfp4 if "self_attn" in name else forms.mxfp4)(name)
    return forms, compressed([
        ("nvfp4-pack-quantized", "re:.*self_attn.*", weights(4, "float", "tensor_group", group_size=16)),
        ("mxfp4-pack-quantized", "re:.*mlp.*", weights(4, "float", "group", group_size=32))])


SOURCES = {"fp8_static": ("qwen3", fp8_static), "fp8_powers": ("deepseek_v3", fp8_powers),
           "compressed_fp8": ("qwen3", compressed_fp8), "int4_experts": ("deepseek_v3", int4_experts),
           "compressed_fp4": ("qwen3", compressed_fp4)}


def check(form, folder):
    family, make = SOURCES[form]
    config = json.loads((FAMILIES / family / "config.json").read_text())
    forms, quantization = make()
    outputs = {}
    # The card beside a checkpoint names its source.
    for what, tensors, dtypes, keys in (("stored", forms.tensors, forms.dtypes, {"quantization_config": quantization}),
                                        ("decoded", forms.twin, {}, {})):
        model = folder / form / what / family
        dtypes = {n: d for n, d in dtypes.items() if n in tensors} | {
            n: d for n, d in read(FAMILIES / family / "model.safetensors")[1].items() if n not in dtypes}
        write(model, config | keys, tensors, dtypes)
        outputs[what] = quantized(model, folder / form / what / "out")
    harness.assert_same_bytes(outputs["stored"][1], outputs["decoded"][1], form)
    stored, decoded = (harness.perplexity(folder / form / what / family, 2) for what in outputs)
    assert stored == decoded, (form, stored, decoded)
    return outputs["stored"][0]["estimate"].get("warnings", [])


def main():
    with harness.temporary_directory() as folder:
        warnings = {form: check(form, pathlib.Path(folder)) for form in SOURCES}
        assert any("left behind, being scales" in w and "model.layers.*.self_attn.k_scale" in w
                   and "model.layers.*.mlp.up_proj.activation_scale" in w for w in warnings["fp8_static"]), warnings
        again = "lose accuracy a second time"
        assert any("int4" in w and again in w and "model.layers.*.mlp.experts.*.up_proj" in w
                   for w in warnings["int4_experts"]), warnings
        assert sum(again in w for w in warnings["compressed_fp4"]) == 2, warnings
        assert not any(again in w for w in warnings["compressed_fp8"]), warnings
        print("the same checkpoints from", ", ".join(SOURCES))


main()
