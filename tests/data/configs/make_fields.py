"""Finds what the transformers library makes of every field of a config.json: fields.json.

For each family of ../families (and llama, which shares mistral's weights), every field of its configuration
class, every field that the model reads while it is made and runs, and those of EXTRA are given other values, one
at a time, and left out. Of a wrapper, the fields of EXTRA beside its text_config. Noted is of each:

* "same": it gives the same logits from the same weights. What does not is a change that Rotor has to read or to
  refuse.
* "set", "drop": what the library's own config then says otherwise than before, once it has put in its defaults and
  decided between fields that contradict one another; neither is there where it says what was written. Rotor has to
  read the one config as the other.

Of values that change nothing at all the first of each field is kept.

tests/unit/model/config_fields_test.cpp holds the readers against it.

    make_fields.py [FAMILY...]        needs torch and transformers 5; the other families stay as they are
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

FOLDER = pathlib.Path(__file__).parent
FAMILIES = FOLDER.parent / "families"
# Fields that a model reads without declaring them, or that older files have.
EXTRA = {
    "is_causal": [False],
    "use_bidirectional_attention": [True],
    "per_layer_config": [{"0": {"num_key_value_heads": 1}}, {"0": {"intermediate_size": 48}}],
    "attention_chunk_size": [4],
    "sliding_window": [3],
    "rms_norm_eps": [0.1],
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
    "rope_parameters": [
        {"rope_theta": 77.0},
        {"rope_type": "linear", "factor": 2.0, "rope_theta": 77.0},
        {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 77.0},
        {"rope_type": "default", "rope_theta": 77.0, "partial_rotary_factor": 0.5},
    ],
    "tie_word_embeddings": [True, False],
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


def variants(config, base, key):
    """`config` with other values of a field, and without it."""
    layers = config["num_hidden_layers"] if "num_hidden_layers" in config else 0
    values = [value * layers if key == "layer_types" else value for value in EXTRA.get(key, [])]
    # Half as much again of an epsilon shows in no logits.
    for value in values + ([] if key == "rms_norm_eps" else others(config.get(key), layers)):
        yield {"value": value}, {**config, **base, key: value}
    if key in config:
        yield {"value": None}, {**config, **base, key: None}
        yield {}, {name: value for name, value in {**config, **base}.items() if name != key}


def make(config, parsed, **options):
    if "text_config" in config:
        return getattr(transformers, config["architectures"][0])._from_config(parsed, **options).eval()
    return transformers.AutoModelForCausalLM.from_config(parsed, **options).eval()


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
        return make(config, load(config), dtype=torch.float32)
    except Exception as error:  # whatever the library raises, it has no answer to compare with
        raise Unfit from error


def difference(before, after):
    """What the library's config says otherwise, by key."""
    old, new = before.to_dict(), after.to_dict()
    old.pop("_name_or_path"), new.pop("_name_or_path")
    changes = {key: value for key, value in new.items() if key not in old or old[key] != value}
    gone = sorted(set(old) - set(new))
    return {"set": changes} | ({"drop": gone} if gone else {})


def noted(key, said, base, same, changes):
    """The entry of a variant, without what goes without saying."""
    entry = ({"base": base} if base else {}) | {"key": key, **said} | ({"same": True} if same else {})
    plain = "value" in said and changes == {"set": {key: said["value"]}}
    return entry if plain else entry | changes


def outcome(config, weights, ids):
    """The logits; none where the model has other tensors."""
    model = build(config)
    if {name: tensor.shape for name, tensor in model.state_dict().items()} != weights["shapes"]:
        return None
    model.load_state_dict(weights["tensors"])
    try:
        with torch.no_grad():
            # See make_golden.py.
            return (model.language_model if config["model_type"] == "llama4" else model)(ids).logits
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
        model = make(config, parsed)
        with torch.no_grad():
            model(ids)
    finally:
        kind.__getattribute__ = plain
    common = set(transformers.PreTrainedConfig().to_dict())
    declared = set(parsed.to_dict()) - common
    return (names | declared) - {name for name in names if callable(getattr(kind, name, None))} - common


def weights_of(config):
    """Random tensors, as the library's own class has them."""
    tensors = build(config).state_dict()
    generator = torch.Generator().manual_seed(7)
    for tensor in tensors.values():
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return {"tensors": tensors, "shapes": {key: value.shape for key, value in tensors.items()}}


def measured(config):
    text = config.get("text_config", config)
    ids = torch.randint(0, text["vocab_size"], (1, 40), generator=torch.Generator().manual_seed(5))
    keys = set(EXTRA) if text is not config else fields_read(config, ids) | set(EXTRA) | set(config)
    found = []
    seen = set()
    unchanging = set()
    for base, only in BASES:
        start = {**config, **base}
        try:
            weights = weights_of(start)
            expected = outcome(start, weights, ids)
            before = load(start)
        except Unfit:
            continue
        for key in sorted((keys if only is None else only) - SKIPPED):
            for said, other in variants(config, base, key):
                place = (key, json.dumps(said))
                if place in seen:
                    continue
                try:
                    logits = outcome(other, weights, ids)
                except Unfit:
                    continue
                seen.add(place)
                same = logits is not None and torch.allclose(logits, expected, rtol=1e-5, atol=1e-5)
                entry = noted(key, said, base, same, difference(before, load(other)))
                if not (same and "set" not in entry and key in unchanging):
                    found.append(entry)
                if same and "set" not in entry:
                    unchanging.add(key)
    return {"config": config, "variants": found}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    logging.disable(logging.CRITICAL)
    result = json.loads((FOLDER / "fields.json").read_text())["families"] if sys.argv[1:] else {}
    for folder in sorted(FAMILIES.iterdir()):
        if not (folder / "config.json").exists() or folder.name not in (sys.argv[1:] or [folder.name]):
            continue
        config = json.loads((folder / "config.json").read_text())
        if "quantization_config" in config:
            continue
        with contextlib.redirect_stderr(io.StringIO()):
            result[folder.name] = measured(config)
        if folder.name == "mistral":
            result["llama"] = measured({**config, "model_type": "llama", "architectures": ["LlamaForCausalLM"]})
        changes = sorted({variant["key"] for variant in result[folder.name]["variants"] if "same" not in variant})
        print(folder.name, len(result[folder.name]["variants"]), changes, file=sys.stderr)
    families = []
    for name, entry in result.items():
        lines = ",\n".join(json.dumps(variant) for variant in entry["variants"])
        families.append(f'{json.dumps(name)}: {{"config": {json.dumps(entry["config"])}, "variants": [\n{lines}\n]}}')
    body = ",\n".join(families)
    head = json.dumps(transformers.__version__)
    (FOLDER / "fields.json").write_text('{"transformers": ' + head + ', "families": {\n' + body + "\n}}\n")


if __name__ == "__main__":
    main()
