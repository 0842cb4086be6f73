"""A checkpoint's tensors by the safetensors library, and what its modules decode to.

The expected values come from tests/python/independent_reader.py, whose digests are compared with those
of `rotor verify`: so what the libraries are compared with is what Rotor says it wrote.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import safetensors
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import independent_reader as reader  # noqa: E402


def quantization_config(directory):
    return json.loads((pathlib.Path(directory) / "config.json").read_text())["quantization_config"]


def read_with_safetensors(directory):
    """Every tensor of every file, by name."""
    tensors = {}
    for path in sorted(pathlib.Path(directory).glob("*.safetensors")):
        with safetensors.safe_open(path, framework="pt") as file:
            for name in file.keys():
                tensors[name] = file.get_tensor(name)
    return tensors


def raw_bytes(tensor):
    flat = tensor.reshape(-1).contiguous()
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def check_safetensors(directory, verified):
    """The library reads the bytes that `rotor verify` digested; returns the tensors."""
    tensors = read_with_safetensors(directory)
    for name, digest in verified["tensors"].items():
        found = hashlib.sha256(raw_bytes(tensors[name])).hexdigest()
        assert found == digest, f"{name}: sha256 {found}, rotor verify says {digest}"
    raw = reader.Tensors(directory)
    assert set(raw.entries) == set(tensors), "the library and the independent reader list other tensors"
    for name, tensor in tensors.items():
        assert raw_bytes(tensor) == raw.raw(name), f"{name}: other bytes"
        assert list(tensor.shape) == raw.entries[name][1], f"{name}: another shape"
    return tensors


def decoded_modules(directory, verified):
    """F32 values of every quantized module, as stored (rotated)."""
    quantization = quantization_config(directory)
    raw = reader.Tensors(directory)
    modules = {}
    for name in reader.modules_of(raw, quantization):
        values = np.ascontiguousarray(reader.decode(raw, name, quantization), "<f4")
        found = hashlib.sha256(values.tobytes()).hexdigest()
        wanted = verified["modules"][name]["digest"]
        assert found == wanted, f"{name}: digest {found}, rotor verify says {wanted}"
        modules[name] = torch.from_numpy(values)
    assert set(modules) == set(verified["modules"])
    return modules


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and raw_bytes(a) == raw_bytes(b)
