"""Makes checkpoints with Rotor and loads them with the libraries that others use.

Usage: interop.py --bin DIR --work DIR --text FILE [--calibration FILE] [--only REGEX] MODEL...

For every MODEL and recipe (recipes.py): quantize, `rotor verify`, the independent reader, the safetensors
library, compressed-tensors' decompression of every module, the transformers model's perplexity beside
that of `rotor eval`. Prints one row of a Markdown table a checkpoint, exits with 1 if any check failed.
"""

import argparse
import importlib.metadata
import pathlib
import re
import shutil
import sys
import traceback

import torch

import checkpoint_tensors
import libraries
import recipes

LIBRARIES = ("compressed-tensors", "transformers", "safetensors", "torch", "numpy")
# Of the libraries' F32 forward pass against Rotor's, over the same F32 weights. With a4 the last bit of an
# activation may move it to another code, and with it all that follows: two such runs differ as two
# draws of the quantization's noise do, here over eight thousand tokens.
TOLERANCE = {"a16": 2e-4, "a4": 1e-2}


def run_transformers(directory, verified, tensors, modules, rotor, text):
    """Perplexity by transformers, as loaded (weights in BF16) and with the weights in F32, by `rotor
    eval`, and what it took."""
    quantization = checkpoint_tensors.quantization_config(directory)
    model, how = libraries.runnable(directory, quantization, tensors, modules)
    sequences = recipes.SEQUENCES[verified["activations"]]
    ids = libraries.windows(directory, text, sequences, recipes.seq_len(directory))
    loaded = libraries.perplexity(model, ids)
    theirs = libraries.perplexity(libraries.with_f32_weights(model, modules), ids)
    ours = rotor.perplexity(directory, sequences)
    assert abs(theirs / ours - 1) < TOLERANCE[verified["activations"]], \
        f"perplexity {theirs}, rotor eval {ours}"
    return f"{loaded:.4f} | {theirs:.4f} | {ours:.4f} | {how}"


def check(model, recipe, rotor, work, text):
    directory = work / f"{model.name}-{recipe}"
    shutil.rmtree(directory, ignore_errors=True)
    rotor.quantize(model, recipe, directory)
    verified = rotor.verify(directory)
    assert verified["ok"], verified["problems"]
    tensors = checkpoint_tensors.check_safetensors(directory, verified)
    modules = checkpoint_tensors.decoded_modules(directory, verified)
    quantization = checkpoint_tensors.quantization_config(directory)
    if quantization["quant_method"] != "compressed-tensors":
        refusal = libraries.refusal(directory)
        return f"{len(tensors)} | {len(modules)} | not its layout | | | | {refusal}"
    decoded = libraries.check_decompression(directory, tensors, modules)
    if libraries.stacks_experts(directory, modules):
        why = libraries.why_experts_are_wrong(directory, tensors, modules)
        if why:
            return f"{len(tensors)} | {len(modules)} | {decoded} same | | | | not run: {why}"
    return (f"{len(tensors)} | {len(modules)} | {decoded} same | "
            + run_transformers(directory, verified, tensors, modules, rotor, text))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the built programs")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, required=True, help="evaluation text")
    parser.add_argument("--calibration", type=pathlib.Path, help="default: the evaluation text")
    parser.add_argument("--only", default="", help="recipes that match")
    parser.add_argument("models", type=pathlib.Path, nargs="+", metavar="MODEL")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    arguments.work.mkdir(parents=True, exist_ok=True)
    rotor = recipes.Rotor(arguments.bin, arguments.calibration or arguments.text, arguments.text)
    text = arguments.text.read_text()
    for library in LIBRARIES:
        print(f"{library} {importlib.metadata.version(library)}")
    print("\n| model | recipe | tensors read | modules decoded | compressed-tensors | transformers, BF16 "
          "weights | F32 weights | rotor eval | how |\n|---|---|---|---|---|---|---|---|---|")
    failed = 0
    for model in arguments.models:
        for recipe in recipes.RECIPES:
            if not re.search(arguments.only, recipe):
                continue
            try:
                row = check(model, recipe, rotor, arguments.work, text)
            except Exception:  # one row must not hide the others
                failed += 1
                row = "FAILED"
                traceback.print_exc()
            print(f"| {model.name} | {recipe} | {row} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
