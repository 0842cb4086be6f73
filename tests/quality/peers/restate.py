#!/usr/bin/env python3
"""Says of auto-round's checkpoint what it holds in the words that `rotor eval` knows.

    restate.py CHECKPOINT

auto-round stores what Rotor stores (docs/formats.md section 1), under the same names, and leaves keys out of
`quantization_config`; llm-compressor's is read as it is. Rotor's own is put in its place, so that inputs are quantized
as those of Rotor's a4 checkpoints are; config.json as it was stays as config-peer.json. No tensor is changed. Refuses
what is not NVFP4 or MXFP4 with 4-bit activations, and tensors that Rotor's layout does not have.
"""

import json
import pathlib
import sys

import safetensors

# format: group, dtype of the scales, strategy, which inputs are scaled at run time, their observer
FORMATS = {
    "nvfp4-pack-quantized": (16, "torch.float8_e4m3fn", "tensor_group", "local", "static_minmax"),
    "mxfp4-pack-quantized": (32, "torch.uint8", "group", True, None),
}
SUFFIXES = {"weight_packed", "weight_scale", "weight_global_scale", "input_global_scale", "weight"}


def arguments(name, dynamic, observer, actorder):
    group, scale_dtype, strategy, _, _ = FORMATS[name]
    return {"actorder": actorder, "block_structure": None, "dynamic": dynamic, "group_size": group,
            "num_bits": 4, "observer": observer, "observer_kwargs": {}, "scale_dtype": scale_dtype,
            "strategy": strategy, "symmetric": True, "type": "float", "zp_dtype": None}


def restated(name):
    _, _, _, dynamic, observer = FORMATS[name]
    group = {"format": name, "targets": ["Linear"], "output_activations": None,
             "input_activations": arguments(name, dynamic, observer, None),
             "weights": arguments(name, False, "mse", "static")}
    return {"config_groups": {"group_0": group}, "format": name, "global_compression_ratio": None,
            "ignore": ["lm_head"], "kv_cache_scheme": None, "quant_method": "compressed-tensors",
            "quantization_status": "compressed", "sparsity_config": {}, "transform_config": {},
            "version": "0.18.0"}


def check(directory, peer):
    groups = list(peer["config_groups"].values())
    name = groups[0].get("format") or peer["format"]
    inputs = groups[0].get("input_activations")
    if len(groups) != 1 or name not in FORMATS or not inputs or inputs["num_bits"] != 4:
        sys.exit(f"{directory}/config.json: quantization_config is none with 4-bit weights and activations")
    for path in directory.glob("*.safetensors"):
        with safetensors.safe_open(path, framework="numpy") as file:
            strange = {key for key in file.keys() if key.rsplit(".", 1)[-1] not in SUFFIXES}
        if strange:
            sys.exit(f"{path}: {sorted(strange)[0]} is in no checkpoint of Rotor's")
    return name


def restate(directory):
    path = directory / "config.json"
    config = json.loads(path.read_text())
    name = check(directory, config["quantization_config"])
    path.rename(directory / "config-peer.json")
    config["quantization_config"] = restated(name)
    path.write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    restate(pathlib.Path(sys.argv[1]))
