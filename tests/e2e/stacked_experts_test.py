"""Experts in one tensor a layer give the checkpoint that experts one by one give, byte for byte.

The tiny mixtures of tests/data/families hold their experts one by one. Here each is written again with the stacks
that transformers 5 makes of them, and the other way round, inputs first.
"""

import json
import pathlib
import re

import harness

FAMILIES = harness.SOURCE / "tests" / "data" / "families"
OPTIONS = ["--calibration", str(harness.TEXT), "--sequences", "8", "--seq-len", "32"]
EXPERT = re.compile(r"(.*\.)(\w+)\.experts\.(\d+)\.(\w+)\.weight$")
LAYER = re.compile(r"\.layers\.(\d+)\.")
PLACES = {"gate_proj": 0, "up_proj": 1, "w1": 0, "w3": 1}


def read(path):
    """Name -> (shape, bytes) of a file whose tensors are all in BF16 or F32, and name -> dtype."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    spans = {n: (e["shape"], data[begin + e["data_offsets"][0] : begin + e["data_offsets"][1]])
             for n, e in header.items()}
    return spans, {n: e["dtype"] for n, e in header.items()}


def write(path, tensors, dtypes):
    header, blob = {}, b""
    for name, (shape, data) in sorted(tensors.items()):
        header[name] = {"dtype": dtypes.get(name, "BF16"), "shape": shape,
                        "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob)


def transposed(shape, data):
    """A matrix of two bytes an element, its columns as rows."""
    rows, cols = shape
    return [cols, rows], b"".join(data[2 * (r * cols + c) :][:2] for c in range(cols) for r in range(rows))


def stacked(tensors, inputs_first, block, layers):
    """Experts as stacks below `block`, and what else lies beside them (a router) there, too. What lies behind the last
    of the model's layers is copied as it is, and stays as it is."""
    out, found = {}, {}
    own = {m[2] for m in map(EXPERT.match, tensors) if m}
    for name, value in tensors.items():
        match = EXPERT.match(name)
        if match and int(LAYER.search(name)[1]) < layers:
            kind = "gate_up_proj" if match[4] in PLACES else "down_proj"
            key = int(match[3]), PLACES.get(match[4], 0)
            found.setdefault(f"{match[1]}{block}.experts.{kind}", {})[key] = value
        else:
            for old in own:
                name = name.replace(f".{old}.gate.", f".{block}.gate.")
            out[name] = value
    for name, parts in found.items():
        experts = 1 + max(expert for expert, _ in parts)
        whole = []
        for expert in range(experts):
            mine = [parts[key] for key in sorted(parts) if key[0] == expert]
            shape = [sum(s[0] for s, _ in mine), mine[0][0][1]]
            data = b"".join(d for _, d in mine)
            whole.append(transposed(shape, data) if inputs_first else (shape, data))
        out[name] = [experts, *whole[0][0]], b"".join(d for _, d in whole)
    return out


def quantized(model, out):
    done = harness.run(harness.quantize_command(out, model=model, calibration=OPTIONS))
    assert done["state"] == "SUCCEEDED", done
    return {name: digest for name, digest in harness.digests(out).items() if name != "rotor_report.json"}


def write_tokenizer(folder):
    from byte_tokenizer import tokenizer

    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))


def check(family, block, folder):
    tensors, dtypes = read(FAMILIES / family / "model.safetensors")
    layers = json.loads((FAMILIES / family / "config.json").read_text())["num_hidden_layers"]
    made = {"apart": tensors, "outputs": stacked(tensors, False, block, layers),
            "inputs": stacked(tensors, True, block, layers)}
    assert len(made["outputs"]) < len(tensors), family
    outputs = {}
    for form, what in made.items():
        model = folder / form / family  # the card beside a checkpoint names its source
        model.mkdir(parents=True)
        (model / "config.json").write_bytes((FAMILIES / family / "config.json").read_bytes())
        write_tokenizer(model)
        write(model / "model.safetensors", what, dtypes)
        outputs[form] = quantized(model, folder / form / f"{family}-out")
    for form in ("outputs", "inputs"):
        harness.assert_same_bytes(outputs[form], outputs["apart"], f"{family}, {form} first")
    print(f"{family}: {len(tensors)} tensors, {len(made['outputs'])} with stacks: the same checkpoint")


def main():
    with harness.temporary_directory() as folder:
        for family, block in (("qwen3_moe", "mlp"), ("mixtral", "mlp"), ("deepseek_v3", "mlp")):
            check(family, block, pathlib.Path(folder))


main()
