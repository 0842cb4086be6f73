"""A model inside a multimodal one is quantized as it is alone: the same codes, the tower bit for bit.

The demo's Llama, alone and as the text part of a llava with a tower of random weights, under a prefix as published.
"""

import json
import os
import pathlib
import shutil

import harness

CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "8", "--seq-len", "64"]
TOWER = {"vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": [24, 40],
         "vision_tower.vision_model.embeddings.position_embedding.weight": [5, 8],
         "multi_modal_projector.linear_1.weight": [16, 8], "multi_modal_projector.linear_1.bias": [16]}
PREFIX = "language_model."


def read(directory):
    """Name -> (header entry, bytes) of a model in one file."""
    data = (directory / "model.safetensors").read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    return {n: (e, data[begin + e["data_offsets"][0] : begin + e["data_offsets"][1]]) for n, e in header.items()}


def wrap(model, folder):
    """The model at `folder` inside a llava; what its tower holds."""
    shutil.copytree(model, folder)
    tensors = {PREFIX + name: (entry["dtype"], entry["shape"], data) for name, (entry, data) in read(model).items()}
    for name, shape in TOWER.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        bits = bytes(byte & 0x3F if i % 4 == 3 else byte for i, byte in enumerate(os.urandom(4 * count)))  # finite
        tensors[name] = "F32", shape, bits
    header, blob = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + blob)
    config = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"],
              "text_config": json.loads((model / "config.json").read_text()),
              "vision_config": {"model_type": "clip_vision_model", "hidden_size": 8}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text('{"size": 7}')
    return {name: tensors[name][2] for name in TOWER}, config


def quantize(model, out):
    done = harness.run(harness.quantize_command(out, model=model, calibration=CALIBRATION))
    assert done["state"] == "SUCCEEDED", done
    verified = harness.run([str(harness.BIN / "rotor"), "verify", str(out), "-o", "json"])
    assert verified["ok"], verified
    return read(out)


def main():
    with harness.temporary_directory() as name:
        folder = pathlib.Path(name)
        tower, config = wrap(harness.MODEL, folder / "wrapped")
        alone = quantize(harness.MODEL, folder / "alone-out")
        wrapped = quantize(folder / "wrapped", folder / "wrapped-out")
        for tensor, (entry, data) in alone.items():
            inside, bits = wrapped.pop(PREFIX + tensor)
            assert (inside["dtype"], inside["shape"], bits) == (entry["dtype"], entry["shape"], data), tensor
        assert {tensor: data for tensor, (_, data) in wrapped.items()} == tower, sorted(wrapped)
        written = json.loads((folder / "wrapped-out" / "config.json").read_text())
        assert {key: written[key] for key in config} == config, written
        ignored = written["quantization_config"]["ignore"]
        for module in ("vision_tower.vision_model.encoder.layers.0.mlp.fc1", "multi_modal_projector.linear_1"):
            assert module in ignored and f"model.{module}" in ignored, ignored
        assert not any("position_embedding" in module for module in ignored), ignored
        assert (folder / "wrapped-out" / "preprocessor_config.json").read_text() == '{"size": 7}'
        assert harness.perplexity(folder / "wrapped-out", 2) == harness.perplexity(folder / "alone-out", 2)
        print(f"{len(alone)} tensors alike, {len(tower)} of the tower as they were")


main()
