"""Experts in one tensor a layer give the checkpoint that experts one by one give, byte for byte.

The tiny mixtures of tests/data/families hold their experts one by one. Here each is written again with the stacks
that transformers 5 makes of them, and the other way round, inputs first.
"""

import json
import pathlib
import re

import harness
from source_models import FAMILIES, quantized, read, write

EXPERT = re.compile(r"(.*\.)(\w+)\.experts\.(\d+)\.(\w+)\.weight$")
LAYER = re.compile(r"\.layers\.(\d+)\.")
PLACES = {"gate_proj": 0, "up_proj": 1, "w1": 0, "w3": 1}


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


def check(family, block, folder):
    tensors, dtypes = read(FAMILIES / family / "model.safetensors")
    config = json.loads((FAMILIES / family / "config.json").read_text())
    layers = config["num_hidden_layers"]
    made = {"apart": tensors, "outputs": stacked(tensors, False, block, layers),
            "inputs": stacked(tensors, True, block, layers)}
    assert len(made["outputs"]) < len(tensors), family
    outputs = {}
    for form, what in made.items():
        model = folder / form / family  # the card beside a checkpoint names its source
        write(model, config, what, dtypes)
        _, outputs[form] = quantized(model, folder / form / f"{family}-out")
    for form in ("outputs", "inputs"):
        harness.assert_same_bytes(outputs[form], outputs["apart"], f"{family}, {form} first")
    print(f"{family}: {len(tensors)} tensors, {len(made['outputs'])} with stacks: the same checkpoint")


def main():
    with harness.temporary_directory() as folder:
        for family, block in (("qwen3_moe", "mlp"), ("mixtral", "mlp"), ("deepseek_v3", "mlp")):
            check(family, block, pathlib.Path(folder))


main()
