#!/usr/bin/env python3
"""Quantizes a model with NVIDIA ModelOpt's own presets.

    run_modelopt.py --model DIR --windows FILE --output DIR --format nvfp4|mxfp4 --activations a16|a4
                    --method max|awq_lite|mse|local_hessian|gptq --eval-windows FILE

a16 is the preset without its input quantizers; a model in float32 with the weights as its quantizers make them is
written, a pre-quantization scale multiplied into its column. With a4 the model in memory, its inputs quantized by
ModelOpt, is measured on --eval-windows, and measured.json is written instead. Scales are shared by what engines
fuse, by the function that its export uses. Runs in the environment of requirements-modelopt.txt; without a GPU
NVFP4 alone, with the kernels of modelopt_on_cpu.py.
"""

import argparse
import copy
import json
import pathlib

import measure
import modelopt.torch.quantization as mtq
import torch
import transformers
import windows
from modelopt.torch.export.unified_export_hf import requantize_resmooth_fused_llm_layers

PRESETS = {
    ("nvfp4", "max"): "NVFP4_DEFAULT_CFG",
    ("nvfp4", "awq_lite"): "NVFP4_AWQ_LITE_CFG",
    ("nvfp4", "mse"): "NVFP4_W4A4_WEIGHT_MSE_FP8_SWEEP_CFG",
    ("nvfp4", "local_hessian"): "NVFP4_W4A4_WEIGHT_LOCAL_HESSIAN_CFG",
    # Its recipe nvfp4_default-kv_none-gptq is this preset's quantizers with another algorithm.
    ("nvfp4", "gptq"): "NVFP4_W4A4_WEIGHT_MSE_FP8_SWEEP_CFG",
    ("mxfp4", "max"): "MXFP4_DEFAULT_CFG",
}


def settings(a):
    config = copy.deepcopy(getattr(mtq, PRESETS[a.format, a.method]))
    if a.method == "gptq":
        config["algorithm"] = {"method": "gptq", "layerwise": {"enable": True}}
    if a.activations == "a16":
        config["quant_cfg"] = [entry for entry in config["quant_cfg"]
                               if entry.get("quantizer_name") != "*input_quantizer"]
    return config


@torch.no_grad()
def save_weights(model, plain, output):
    """Into the model without quantizers: every weight as its quantizer makes it."""
    for name, module in model.named_modules():
        quantizer = getattr(module, "weight_quantizer", None)
        if quantizer is None or not quantizer.is_enabled:
            continue
        weight = quantizer(module.weight)
        scale = getattr(module.input_quantizer, "pre_quant_scale", None)
        if scale is not None:
            weight = weight * scale
        plain.get_submodule(name).weight.copy_(weight)
    # Norms that took over a scale have other weights, too.
    for name, parameter in model.named_parameters():
        if "norm" in name:
            plain.get_parameter(name).copy_(parameter)
    plain.save_pretrained(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--windows", required=True)
    parser.add_argument("--eval-windows", required=True, help="as --windows; of the text to measure on")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--format", choices=("nvfp4", "mxfp4"), default="nvfp4")
    parser.add_argument("--activations", choices=("a16", "a4"), default="a16")
    parser.add_argument("--method", default="max",
                        choices=sorted({method for _, method in PRESETS}))
    a = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        import modelopt_on_cpu
        modelopt_on_cpu.install()

    def load():
        return transformers.AutoModelForCausalLM.from_pretrained(
            a.model, dtype=torch.float32).to(device).eval()

    model, source = load(), load()

    def calibrate(calibrated):
        for ids in windows.read(a.windows):
            calibrated(torch.tensor([ids], device=device), use_cache=False)

    model = mtq.quantize(model, settings(a), calibrate)
    requantize_resmooth_fused_llm_layers(model)
    a.output.mkdir(parents=True, exist_ok=True)
    if a.activations == "a4":
        found = measure.against(model, source, windows.read(a.eval_windows))
        (a.output / "measured.json").write_text(json.dumps(found, indent=1) + "\n")
    else:
        save_weights(model, source, a.output)
        transformers.AutoTokenizer.from_pretrained(a.model).save_pretrained(a.output)


if __name__ == "__main__":
    main()
