"""Models that a test writes itself, to give them to `rotor quantize`."""

import json

import harness
from byte_tokenizer import tokenizer

FAMILIES = harness.SOURCE / "tests" / "data" / "families"
OPTIONS = ["--calibration", str(harness.TEXT), "--sequences", "8", "--seq-len", "32"]


def read(path):
    """Name -> (shape, bytes) of every tensor of a file, and name -> dtype."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    spans = {n: (e["shape"], data[begin + e["data_offsets"][0] : begin + e["data_offsets"][1]])
             for n, e in header.items()}
    return spans, {n: e["dtype"] for n, e in header.items()}


def write(folder, config, tensors, dtypes):
    """A model directory with a tokenizer; tensors without a dtype are in BF16."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    header, blob = {}, b""
    for name, (shape, data) in sorted(tensors.items()):
        header[name] = {"dtype": dtypes.get(name, "BF16"), "shape": shape,
                        "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + blob)


def quantized(model, out):
    """The job's result, and the digests of all that it wrote."""
    done = harness.run(harness.quantize_command(out, model=model, calibration=OPTIONS))
    assert done["state"] == "SUCCEEDED", done
    return done, harness.digests(out)
