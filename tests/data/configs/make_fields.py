"""Finds which fields of a config.json change what the transformers library computes: fields.json.

For each family of ../families (and llama, which shares mistral's weights), every field of its configuration
class, every field that the model reads while it is made and runs, and those of EXTRA are given other values, one
at a time. What gives other logits from the same weights, or asks for other tensors, is a change. Rotor has to
read each of these fields, or refuse it: tests/unit/model/config_fields_test.cpp.

    make_fields.py        needs torch, transformers 5 and safetensors
"""

import contextlib
import io
import json
import logging
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

FOLDER = pathlib.Path(__file__).parent
FAMILIES = FOLDER.parent / "families"
# Fields that a model reads without declaring them, or that older files have.
EXTRA = {
    "is_causal": [False],
    "use_bidirectional_attention": [True],
    "per_layer_config": [{"0": {"num_key_value_heads": 1}}, {"0": {"intermediate_size": 48}}],
    "attention_chunk_size": [4],
    "sliding_window": [3],
    "attention_bias": [True],
    "mlp_bias": [True],
    "partial_rotary_factor": [0.5],
    "rope_theta": [77.0],
    "rope_interleave": [False],
    "original_max_position_embeddings": [16],
    "layer_types": [["full_attention"], ["sliding_attention"], ["chunked_attention"]],
    "rope_scaling": [
        {"type": "linear", "factor": 2.0},
        {"rope_type": "dynamic", "factor": 4.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
        {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 16},
        {"rope_type": "proportional", "partial_rotary_factor": 0.5},
    ],
}
WORDS = ["relu", "gelu", "silu", "gelu_pytorch_tanh", "softmax", "sigmoid"]
# Laid over a family's config.json before one field is changed: what makes other fields count, and those.
BASES = [
    ({}, None),
    ({"rope_scaling": EXTRA["rope_scaling"][3]}, {"original_max_position_embeddings", "rope_theta"}),
    ({"use_sliding_window": True}, {"max_window_layers", "sliding_window", "layer_types"}),
]
# Of the run, and not of the model.
SKIPPED = {"model_type", "architectures", "transformers_version", "dtype", "torch_dtype", "quantization_config"}


def others(value, layers):
    """Values of the same kind, and of none."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value * 2, max(1, value // 2)]
    if isinstance(value, float):
        return [value * 1.5]
    if isinstance(value, str):
        return [word for word in WORDS if word != value]
    if isinstance(value, list):
        return [value[::-1], [0] * layers]
    if value is None:
        return [True, 4, 0.5]
    return []


def changed(config, base, key):
    """`config` with other values of a field."""
    layers = config["num_hidden_layers"]
    values = [value * layers if key == "layer_types" else value for value in EXTRA.get(key, [])]
    for value in values + others(config.get(key), layers):
        yield value, {**config, **base, key: value}
    if key in config:
        yield None, {**config, **base, key: None}


class Unfit(Exception):
    """The library does not take the config."""


def load(config):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "config.json").write_text(json.dumps(config))
        parsed = transformers.AutoConfig.from_pretrained(folder)
    parsed._attn_implementation = "eager"
    return parsed


def build(config):
    try:
        return transformers.AutoModelForCausalLM.from_config(load(config), dtype=torch.float32).eval()
    except Exception as error:  # whatever the library raises, it has no answer to compare with
        raise Unfit from error


def outcome(config, weights, ids):
    """The logits; none where the model has other tensors."""
    model = build(config)
    if {name: tensor.shape for name, tensor in model.state_dict().items()} != weights["shapes"]:
        return None
    model.load_state_dict(weights["tensors"])
    try:
        with torch.no_grad():
            return model(ids).logits
    except Exception as error:
        raise Unfit from error


def fields_read(config, ids):
    """Names of the fields that the library's code asks for."""
    parsed = load(config)
    kind = type(parsed)
    plain = kind.__getattribute__
    names = set()

    def note(self, name):
        if not name.startswith("_"):
            names.add(name)
        return plain(self, name)

    kind.__getattribute__ = note
    try:
        model = transformers.AutoModelForCausalLM.from_config(parsed).eval()
        with torch.no_grad():
            model(ids)
    finally:
        kind.__getattribute__ = plain
    common = set(transformers.PreTrainedConfig().to_dict())
    declared = set(parsed.to_dict()) - common
    return (names | declared) - {name for name in names if callable(getattr(kind, name, None))} - common


def weights_of(name, config):
    """Tensors as the library's own class has them, random where a family has another layout."""
    model = build(config)
    tensors = model.state_dict()
    generator = torch.Generator().manual_seed(7)
    for tensor in tensors.values():
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return {"tensors": tensors, "shapes": {key: value.shape for key, value in tensors.items()}}


def changes_of(name, config):
    ids = torch.randint(0, config["vocab_size"], (1, 40), generator=torch.Generator().manual_seed(5))
    keys = sorted((fields_read(config, ids) | set(EXTRA)) - SKIPPED)
    found = []
    seen = set()
    for base, only in BASES:
        start = {**config, **base}
        try:
            weights = weights_of(name, start)
            expected = outcome(start, weights, ids)
        except Unfit:
            continue
        for key in keys if only is None else sorted(only):
            for value, other in changed(config, base, key):
                try:
                    logits = outcome(other, weights, ids)
                except Unfit:
                    continue
                same = logits is not None and torch.allclose(logits, expected, rtol=1e-5, atol=1e-5)
                place = (key, json.dumps(value))
                if not same and place not in seen:
                    seen.add(place)
                    found.append({"base": base, "key": key, "value": value})
    return found


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    logging.disable(logging.CRITICAL)
    result = {"transformers": transformers.__version__, "families": {}}
    for folder in sorted(FAMILIES.iterdir()):
        if not (folder / "config.json").exists():
            continue
        config = json.loads((folder / "config.json").read_text())
        if "quantization_config" in config:
            continue
        with contextlib.redirect_stderr(io.StringIO()):
            found = changes_of(folder.name, config)
        result["families"][folder.name] = {"config": config, "changes": found}
        if folder.name == "mistral":
            llama = {**config, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}
            result["families"]["llama"] = {"config": llama, "changes": changes_of("llama", llama)}
        print(folder.name, len(found), sorted({change["key"] for change in found}), file=sys.stderr)
    lines = [json.dumps(result["families"][name]) for name in result["families"]]
    body = ",\n".join(f"{json.dumps(name)}: {line}" for name, line in zip(result["families"], lines))
    head = json.dumps(result["transformers"])
    (FOLDER / "fields.json").write_text('{"transformers": ' + head + ', "families": {\n' + body + "\n}}\n")


if __name__ == "__main__":
    main()
