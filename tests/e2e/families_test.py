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
WINDOWS = ["--sequences", "8", "--seq-len", "64"]


def perplexity(directory):
    return harness.run([str(harness.BIN / "rotor"), "eval", str(directory), "--text",
                        str(harness.TEXT), "--device", "cpu", *WINDOWS, "-o", "json"])["perplexity"]


def tensors_of(directory):
    """Name -> (dtype, shape) of every tensor, from the files' headers."""
    tensors = {}
    for path in directory.glob("*.safetensors"):
        data = path.read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        header.pop("__metadata__", None)
        tensors |= {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()}
    return tensors


def check_stacks(model, out):
    """A source's stacks of experts are gone, each expert has its bias, and the source's config has given way."""
    stacked = [n for n in tensors_of(model) if ".experts.gate_up_proj" in n or ".experts.down_proj" in n]
    assert stacked, model
    written = tensors_of(out)
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
    ignored, written = config["quantization_config"]["ignore"], tensors_of(out)
    assert not any(name.endswith("_scale_inv") for name in written), sorted(written)
    behind = f"model.layers.{config['num_hidden_layers']}."
    for name, (_, shape) in tensors_of(model).items():
        if name.startswith(behind) and not name.endswith("_scale_inv"):
            assert written[name] == ("BF16", shape), (name, written.get(name))
            module = name.removesuffix(".weight")
            assert (module in ignored) == (len(shape) == 2 and "embed" not in name), (name, ignored)


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
    before, after = perplexity(model), perplexity(out)
    print(f"{family}: {len(done['modules'])} modules, perplexity {before:.2f} before, {after:.2f} after")
    # Random weights: the loss is about that of a guess either way, and quantization moves it little.
    assert abs(after / before - 1.0) < 0.15, (family, before, after)


def main():
    families = sorted(path.name for path in FAMILIES.iterdir() if (path / "config.json").exists())
    assert len(families) >= 11, families
    with harness.temporary_directory() as folder:
        for family in families:
            check(family, pathlib.Path(folder))


main()
