#!/usr/bin/env python3
"""Quantizes a model with Intel's auto-round.

    run_auto_round.py --model DIR --windows FILE --output DIR --format nvfp4|mxfp4 --activations a16|a4
                      [--method auto-round|rtn] [--iterations N]

With a4 the checkpoint is in compressed-tensors' form; with a16, for which auto-round has no such scheme, the
inputs are left alone (act_bits 16) and a model in float32 with the rounded weights is written. All else is the
library's default: 200 iterations of signed gradient descent on each block. Runs in the environment of
requirements-auto-round.txt.
"""

import argparse
import pathlib
import shutil

import torch
import transformers
import windows
from auto_round import AutoRound


def move_up(output):
    """auto-round may write into a folder of its own below the one it was given."""
    if not (output / "config.json").exists():
        inner = next(output.glob("*/config.json")).parent
        for path in inner.iterdir():
            shutil.move(path, output / path.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--windows", required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--format", choices=("nvfp4", "mxfp4"), default="nvfp4")
    parser.add_argument("--activations", choices=("a16", "a4"), default="a16")
    parser.add_argument("--method", choices=("auto-round", "rtn"), default="auto-round")
    parser.add_argument("--iterations", type=int, default=200)
    a = parser.parse_args()

    model = transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
    calibration = windows.read(a.windows)
    options = {"act_bits": 16} if a.activations == "a16" else {}
    if not torch.cuda.is_available():
        options["device_map"] = "cpu"
    AutoRound(model, tokenizer, scheme=a.format.upper(),
              iters=0 if a.method == "rtn" else a.iterations,
              dataset=[torch.tensor([ids]) for ids in calibration],
              nsamples=len(calibration), seqlen=len(calibration[0]), batch_size=min(8, len(calibration)),
              **options).quantize_and_save(
                  str(a.output), format="fake" if a.activations == "a16" else "llm_compressor")
    move_up(a.output)


if __name__ == "__main__":
    main()
