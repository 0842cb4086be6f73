"""Every family through the programs: quantize, verify, eval, on the tiny models of tests/data/families.

Each model gets a tokenizer of single bytes, because `rotor eval` reads text.
"""

import json
import pathlib
import shutil

import harness
from byte_tokenizer import tokenizer

FAMILIES = harness.SOURCE / "tests" / "data" / "families"
CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "16", "--seq-len", "64"]


def check_stacks(model, out):
    """A source's stacks of experts are gone, each expert has its bias, and the source's config has given way."""
    stacked = [n for n in harness.tensors_of(model) if ".experts.gate_up_proj" in n or ".experts.down_proj" in n]
    assert stacked, model
    written = harness.tensors_of(out)
    assert not set(stacked) & set(written), sorted(written)
    for projection in ("gate_proj", "up_proj", "down_proj"):
        packed = {n.rsplit(".", 1)[0] for n in written if n.endswith(f"{projection}.weight_packed")}
        assert packed and packed == {n.rsplit(".", 1)[0] for n in written if n.endswith(f"{projection}.bias")}
    assert any(n.endswith("self_attn.sinks") for n in written), written
    quantization = json.loads((out / "config.json").read_text())["quantization_config"]
    assert quantization["quant_method"] == "compressed-tensors", quantization
    assert "model.layers.0.mlp.router" in quantization["ignore"], quantization["ignore"]


def check_copied(model, out):
    """What lies behind the model's last layer is there, in BF16 and in the ignore list; nothing is in FP8."""
    config = json.loads((out / "config.json").read_text())
    ignored, written = config["quantization_config"]["ignore"], harness.tensors_of(out)
    assert not any(name.endswith("_scale_inv") for name in written), sorted(written)
    behind = f"model.layers.{config.get('text_config', config)['num_hidden_layers']}."
    for name, (_, shape) in harness.tensors_of(model).items():
        if name.startswith(behind) and not name.endswith("_scale_inv"):
            assert written[name] == ("BF16", shape), (name, written.get(name))
            module = name.removesuffix(".weight")
            assert (module in ignored) == (len(shape) == 2 and "embed" not in name), (name, ignored)


def contents_of(directory):
    """Name -> bytes of every tensor of a model in one file."""
    data = (directory / "model.safetensors").read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    return {name: data[begin + e["data_offsets"][0] : begin + e["data_offsets"][1]] for name, e in header.items()}


def check_wrapper(model, out):
    """All but the text part is there bit for bit; its linears are ignored by each name that a loader has for them."""
    config = json.loads((out / "config.json").read_text())
    ignored, before, after = config["quantization_config"]["ignore"], contents_of(model), contents_of(out)
    outside = [name for name in before if "vis" in name or "projector" in name]
    assert outside, sorted(before)
    shapes = harness.tensors_of(model)
    for name in outside:
        assert after.get(name) == before[name], name
        module = name.removesuffix(".weight")
        if len(shapes[name][1]) == 2 and name.endswith(".weight") and "emb" not in module.rsplit(".", 1)[1]:
            # Llama 4's class has the names of its file.
            same = module.startswith("model.") or config["model_type"] == "llama4"
            loaded = module if same else f"model.{module}"
            assert module in ignored and loaded in ignored, (name, ignored)
    source = json.loads((model / "config.json").read_text())
    assert {key: config[key] for key in source} == source, "the nested config has changed"
    assert not any(f"{name}.weight_packed" in after for name in ignored)


def check(family, folder):
    model, out = folder / family, folder / f"{family}-nvfp4"
    model.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FAMILIES / family / name, model / name)
    (model / "tokenizer.json").write_text(json.dumps(tokenizer()))

    done = harness.run(harness.quantize_command(out, model=model, calibration=CALIBRATION))
    assert done["state"] == "SUCCEEDED", done
    assert done["modules"] and all(m["method"] == "mr-gptq" for m in done["modules"]), done
    verified = harness.run([str(harness.BIN / "rotor"), "verify", str(out), "-o", "json"])
    assert verified["ok"], verified
    if family.startswith("gpt_oss"):
        check_stacks(model, out)
    check_copied(model, out)
    if (model / "config.json").read_text().find('"vision_config"') >= 0:
        check_wrapper(model, out)
    before, after = harness.perplexity(model), harness.perplexity(out)
    print(f"{family}: {len(done['modules'])} modules, perplexity {before:.2f} before, {after:.2f} after")
    # Random weights: the loss is about that of a guess either way, and quantization moves it little.
    assert abs(after / before - 1.0) < 0.15, (family, before, after)


def check_gpt_oss_layout(folder):
    """The layout that gpt-oss is published in holds the codes that compressed-tensors holds, and is read as a source."""
    model, perplexities = folder / "gpt_oss", {}
    for name, options in {"gpt-oss": ["--layout", "gpt-oss"],
                          "compressed-tensors": ["--ignore", "*self_attn*"]}.items():
        out = folder / f"layout-{name}"
        done = harness.run(harness.quantize_command(
            out, "--format", "mxfp4", "--rotation", "none", *options, model=model, calibration=CALIBRATION))
        assert done["state"] == "SUCCEEDED", done
        assert all(".experts." in module["name"] for module in done["modules"]), done["modules"]
        verified = harness.run([str(harness.BIN / "rotor"), "verify", str(out), "-o", "json"])
        assert verified["ok"], verified
        perplexities[name] = harness.perplexity(out)
    source, written = harness.tensors_of(model), harness.tensors_of(folder / "layout-gpt-oss")
    stacks = [name for name in source if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]
    for name in stacks:
        experts, inputs, outputs = source[name][1]
        assert written[name + "_blocks"] == ("U8", [experts, outputs, inputs // 32, 16]), written[name + "_blocks"]
        assert written[name + "_scales"] == ("U8", [experts, outputs, inputs // 32]), written[name + "_scales"]
        assert written[name + "_bias"] == source[name + "_bias"], written[name + "_bias"]
    assert stacks and set(written) - set(source) == {f"{name}_{end}" for name in stacks for end in ("blocks", "scales")}
    # The same codes; the layout's reader rounds nothing that BF16 does not hold.
    assert perplexities["gpt-oss"] == perplexities["compressed-tensors"], perplexities


def main():
    families = sorted(path.name for path in FAMILIES.iterdir() if (path / "config.json").exists())
    assert len(families) >= 11, families
    with harness.temporary_directory() as folder:
        for family in families:
            check(family, pathlib.Path(folder))
        check_gpt_oss_layout(pathlib.Path(folder))


main()
