#!/usr/bin/env python3
"""Quantizes a model with llm-compressor's one-shot flow, as its NVFP4 and MXFP4 examples do.

    run_llm_compressor.py --model DIR --windows FILE --output DIR --format nvfp4|mxfp4 --activations a16|a4
                          --method gptq|rtn [--observer NAME]

--observer is the one of the weights (llmcompressor.observers); without it, the library's default. All else is
the library's default, too. FILE comes from windows.py. Writes a compressed-tensors checkpoint. Runs in the
environment of requirements-llm-compressor.txt, on the GPU where there is one.
"""

import argparse

import torch
import transformers
import windows
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.quantization import QuantizationModifier

SCHEMES = {("nvfp4", "a16"): "NVFP4A16", ("nvfp4", "a4"): "NVFP4",
           ("mxfp4", "a16"): "MXFP4A16", ("mxfp4", "a4"): "MXFP4"}
METHODS = {"gptq": GPTQModifier, "rtn": QuantizationModifier}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--windows", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--format", choices=("nvfp4", "mxfp4"), default="nvfp4")
    parser.add_argument("--activations", choices=("a16", "a4"), default="a16")
    parser.add_argument("--method", choices=METHODS, default="gptq")
    parser.add_argument("--observer")
    a = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype="auto").to(device)
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
    calibration = [{"input_ids": torch.tensor([ids]),
                    "attention_mask": torch.ones(1, len(ids), dtype=torch.int64)}
                   for ids in windows.read(a.windows)]
    options = {"weight_observer": a.observer} if a.observer else {}
    recipe = METHODS[a.method](targets="Linear", scheme=SCHEMES[a.format, a.activations],
                               ignore=["lm_head"], **options)
    oneshot(model=model, tokenizer=tokenizer, recipe=recipe,
            dataset=torch.utils.data.DataLoader(calibration, batch_size=None),
            num_calibration_samples=len(calibration))
    model.save_pretrained(a.output, save_compressed=True)
    tokenizer.save_pretrained(a.output)


if __name__ == "__main__":
    main()
