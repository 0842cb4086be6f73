#!/usr/bin/env python3
"""Decodes a quantized checkpoint from the format's description alone and compares it with Rotor.

Usage: independent_reader.py CHECKPOINT_DIR VERIFY_JSON

VERIFY_JSON is what `rotor verify CHECKPOINT_DIR -o json` printed. Nothing of Rotor is used: headers
are parsed here, values decoded with numpy. The arithmetic is F32: scale / global scale, then code
times that. Exit code 0 if every digest agrees, 1 if one does not, 2 for wrong usage.
"""

import hashlib
import json
import os
import struct
import sys

import numpy as np

DTYPES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "I16": 2, "U16": 2,
    "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def e4m3_table():
    table = np.empty(256, np.float32)
    for byte in range(256):
        sign = -1.0 if byte & 0x80 else 1.0
        exponent, mantissa = byte >> 3 & 15, byte & 7
        if exponent == 15 and mantissa == 7:
            table[byte] = np.nan
        elif exponent == 0:
            table[byte] = sign * mantissa / 8 * 2.0**-6
        else:
            table[byte] = sign * (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return table


E4M3 = e4m3_table()


class Tensors:
    """All tensors of a directory by name: (dtype, shape, file, offset of the first byte, bytes)."""

    def __init__(self, directory):
        self.entries = {}
        for name in sorted(os.listdir(directory)):
            if name.endswith(".safetensors"):
                self._add(os.path.join(directory, name))

    def _add(self, path):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length).decode("utf-8"))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if name in self.entries:
                raise ValueError(f"{name}: in two files")
            begin, end = entry["data_offsets"]
            size = DTYPES[entry["dtype"]]
            for dimension in entry["shape"]:
                size *= dimension
            if size != end - begin:
                raise ValueError(f"{name}: {end - begin} bytes, not {size}")
            self.entries[name] = (entry["dtype"], entry["shape"], path, 8 + length + begin, size)

    def raw(self, name):
        _, _, path, offset, size = self.entries[name]
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(size)
        if len(data) != size:
            raise ValueError(f"{name}: {path} ends early")
        return data

    def array(self, name):
        """In F32 for floats, as stored for integers."""
        dtype, shape, *_ = self.entries[name]
        data = self.raw(name)
        if dtype == "BF16":
            words = np.frombuffer(data, "<u2").astype(np.uint32) << 16
            return words.view(np.float32).reshape(shape)
        if dtype == "F8_E4M3":
            return E4M3[np.frombuffer(data, np.uint8)].reshape(shape)
        numpy_name = {"U8": "u1", "I32": "<i4", "I64": "<i8", "F16": "<f2", "F32": "<f4"}[dtype]
        values = np.frombuffer(data, numpy_name).reshape(shape)
        return values.astype(np.float32) if dtype == "F16" else values


def e2m1_codes(packed):
    codes = np.empty((packed.shape[0], packed.shape[1] * 2), np.uint8)
    codes[:, 0::2] = packed & 15
    codes[:, 1::2] = packed >> 4
    return E2M1[codes]


def powers_of_two(bytes_):
    return np.ldexp(np.float32(1), bytes_.astype(np.int32) - 127)


def int4_codes(packed):
    words = packed.view(np.uint32)
    codes = np.empty((packed.shape[0], packed.shape[1] * 8), np.float32)
    for i in range(8):
        codes[:, i::8] = (words >> np.uint32(4 * i) & np.uint32(15)).astype(np.float32) - 8
    return codes


def decode_compressed_tensors(tensors, module, quantization):
    form = quantization["format"]
    packed = tensors.array(module + ".weight_packed")
    scale = tensors.array(module + ".weight_scale")
    if form == "nvfp4-pack-quantized":
        return e2m1_codes(packed), scale / tensors.array(module + ".weight_global_scale")[0], 16
    if form == "mxfp4-pack-quantized":
        return e2m1_codes(packed), powers_of_two(scale), 32
    if form != "pack-quantized":
        raise ValueError(f"unknown format {form}")
    values = int4_codes(packed)
    if list(tensors.array(module + ".weight_shape")) != list(values.shape):
        raise ValueError(f"{module}: weight_shape is not that of the codes")
    return values, scale, quantization["config_groups"]["group_0"]["weights"]["group_size"]


def decode_fp_quant(tensors, module, quantization):
    bits = tensors.array(module + ".scales")
    global_scale = tensors.array(module + ".weight_global_scale")
    if global_scale.shape != (1,):
        raise ValueError(f"{module}: weight_global_scale of shape {global_scale.shape}")
    if quantization["forward_dtype"] == "nvfp4":
        stored, group = E4M3[bits], 16
    else:
        stored, group = powers_of_two(bits), 32
        if global_scale[0] != 3:
            raise ValueError(f"{module}: weight_global_scale {global_scale[0]}, not 3")
    return e2m1_codes(tensors.array(module + ".qweight")), stored / global_scale[0], group


def decode_modelopt(tensors, module, quantization):
    if quantization["quant_algo"] not in ("NVFP4", "W4A16_NVFP4"):
        raise ValueError(f"unknown algorithm {quantization['quant_algo']}")
    factor = tensors.array(module + ".weight_scale_2")
    if factor.shape != ():
        raise ValueError(f"{module}: weight_scale_2 of shape {factor.shape}")
    scale = tensors.array(module + ".weight_scale") * factor
    return e2m1_codes(tensors.array(module + ".weight")), scale, quantization["group_size"]


# By quant_method: what decodes a module, what its codes are called (with their dtype), its tensors.
LAYOUTS = {
    "compressed-tensors": (decode_compressed_tensors, "weight_packed", ("U8", "I32"),
                           ("weight_packed", "weight_scale", "weight_shape", "weight_global_scale",
                            "input_global_scale")),
    "fp_quant": (decode_fp_quant, "qweight", ("U8",),
                 ("qweight", "scales", "weight_global_scale", "act_global_scale")),
    "modelopt": (decode_modelopt, "weight", ("U8",),
                 ("weight", "weight_scale", "weight_scale_2", "input_scale")),
}


def decode(tensors, module, quantization):
    values, scale, group = LAYOUTS[quantization["quant_method"]][0](tensors, module, quantization)
    scale = scale.astype(np.float32)
    if scale.shape != (values.shape[0], values.shape[1] // group):
        raise ValueError(f"{module}: scales {scale.shape} for {values.shape}")
    return values * np.repeat(scale, group, axis=1)


def modules_of(tensors, quantization):
    _, suffix, dtypes, _ = LAYOUTS[quantization["quant_method"]]
    return [name[: -len(suffix) - 1] for name, entry in tensors.entries.items()
            if name.endswith("." + suffix) and entry[0] in dtypes]


def own_tensors(tensors, module, quantization):
    suffixes = LAYOUTS[quantization["quant_method"]][3]
    return {f"{module}.{s}" for s in suffixes if f"{module}.{s}" in tensors.entries}


def compare(what, ours, theirs):
    failures = [f"{what} {name}: only in one of the two" for name in sorted(set(ours) ^ set(theirs))]
    failures += [f"{what} {name}: {ours[name]} decoded here, {theirs[name]} reported"
                 for name in sorted(set(ours) & set(theirs)) if ours[name] != theirs[name]]
    return failures


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory, report_path = arguments
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        quantization = json.load(file).get("quantization_config")
    with open(report_path, encoding="utf-8") as file:
        report = json.load(file)
    tensors = Tensors(directory)
    modules, owned = {}, set()
    if quantization is not None:
        for module in modules_of(tensors, quantization):
            values = np.ascontiguousarray(decode(tensors, module, quantization), "<f4")
            modules[module] = hashlib.sha256(values.tobytes()).hexdigest()
            owned |= own_tensors(tensors, module, quantization)
    others = {name: hashlib.sha256(tensors.raw(name)).hexdigest()
              for name in tensors.entries if name not in owned}
    failures = compare("module", modules, {n: m["digest"] for n, m in report["modules"].items()})
    failures += compare("tensor", others, report["tensors"])
    if not report["ok"]:
        failures.append(f"rotor verify reports {len(report['problems'])} problems")
    for failure in failures:
        print(failure)
    print(f"{len(modules)} modules and {len(others)} other tensors decoded, "
          f"{len(failures)} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
