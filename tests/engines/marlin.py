#!/usr/bin/env python3
"""Times vLLM's Marlin beside Rotor's packed products and cuBLAS: marlin.py [--bin DIR] [--m LIST] [--formats LIST] [--json FILE]

Runs `rotor-bench gemm`, then Marlin over the same shapes, formats and counts of rows by the same method: a CUDA graph of calls
that take turns over copies of the weight four times the cache together, the median of seven replays. Needs a GPU and a Python
that has vLLM.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch
import vllm._custom_ops  # noqa: F401 (registers the kernels)
from vllm.model_executor.layers.quantization.utils import marlin_utils, marlin_utils_fp4
from vllm.scalar_type import scalar_types

HERE = pathlib.Path(__file__).resolve().parent
REPLAYS, LEAST_CALLS, MOST_SETS, WARM_UP = 7, 20, 64, 0.04
GROUPS = {"nvfp4": 16, "mxfp4": 32, "int4": 128}
DEVICE = torch.device("cuda")


class Weight:
    """A weight [n, k] as Marlin takes it; random codes and scales time as any others do."""

    def __init__(self, form, n, k):
        self.form, self.n, self.k = form, n, k
        self.workspace = marlin_utils.marlin_make_workspace_new(DEVICE)
        self.none = torch.empty(0, dtype=torch.int, device=DEVICE)
        self.codes = torch.randint(-2**31, 2**31 - 1, (k // 16, n * 2), dtype=torch.int32, device=DEVICE)
        scales = torch.rand(k // GROUPS[form], n, device=DEVICE)
        if form == "nvfp4":
            self.scales, _ = marlin_utils_fp4.nvfp4_marlin_process_scales(scales.bfloat16())
        elif form == "mxfp4":
            self.scales = marlin_utils_fp4.mxfp4_marlin_process_scales(scales.bfloat16())
        else:
            self.scales = (0.01 * scales).bfloat16()
        self.factor = torch.ones(1, device=DEVICE) if form == "nvfp4" else None

    def bytes(self):
        return self.codes.nbytes + self.scales.nbytes

    def multiply(self, x):
        if self.form == "int4":
            return marlin_utils.apply_gptq_marlin_linear(
                x, self.codes, self.scales, self.none, self.none, self.none, self.workspace, scalar_types.uint4b8,
                self.n, self.k, is_k_full=True)
        return marlin_utils_fp4.apply_fp4_marlin_linear(x, self.codes, self.scales, self.factor, self.workspace,
                                                        self.n, self.k)


def check():
    """Marlin is called as it wants to be: its product of a small weight is the reference's."""
    like = torch.randn(256, 512, dtype=torch.bfloat16, device=DEVICE)
    reference, codes, scales, factor = marlin_utils_fp4.rand_marlin_weight_nvfp4_like(like, 16)
    x = torch.randn(3, 512, dtype=torch.bfloat16, device=DEVICE)
    out = marlin_utils_fp4.apply_fp4_marlin_linear(x, codes, scales, factor,
                                                   marlin_utils.marlin_make_workspace_new(DEVICE), 256, 512)
    wanted = x.float() @ reference.float()
    assert (out.float() - wanted).norm() < 0.01 * wanted.norm()


def seconds(sets, call):
    """As worker/bench/kernel_timer.h measures."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call(0)
        stream.synchronize()
        calls = -(-LEAST_CALLS // sets) * sets
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for index in range(calls):
                call(index % sets)
        until = time.monotonic() + WARM_UP
        while time.monotonic() < until:
            graph.replay()
            stream.synchronize()
        times = []
        for _ in range(REPLAYS):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record(stream)
            graph.replay()
            end.record(stream)
            stream.synchronize()
            times.append(begin.elapsed_time(end) * 1e-3 / calls)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=HERE.parents[1] / "build" / "bin")
    parser.add_argument("--m", default="1,2,4,8,16,32,64,128,512,2048")
    parser.add_argument("--formats", default="nvfp4,mxfp4,int4")
    parser.add_argument("--json", help="file for the results")
    options = parser.parse_args()
    check()
    results = []
    cache = torch.cuda.get_device_properties(0).L2_cache_size
    for form in options.formats.split(","):
        ours = json.loads(subprocess.run(
            [pathlib.Path(options.bin) / "rotor-bench", "gemm", "--format", form, "--m", options.m], check=True,
            capture_output=True, text=True).stdout)
        for shape in dict.fromkeys((row["shape"], row["n"], row["k"]) for row in ours["times"]):
            name, n, k = shape
            size = Weight(form, n, k).bytes()
            weights = [Weight(form, n, k) for _ in range(min(max(4 * cache // size + 1, 2), MOST_SETS))]
            for row in (row for row in ours["times"] if row["shape"] == name):
                x = torch.randn(row["m"], k, dtype=torch.bfloat16, device=DEVICE)
                marlin = seconds(len(weights), lambda index, x=x: weights[index].multiply(x))
                results.append(row | {"marlin_seconds": marlin})
                print(f"{form} {name:18} {row['m']:5} rotor {row['seconds'] * 1e6:8.1f} us "
                      f"{size / row['seconds'] * 1e-12:5.2f} TB/s  marlin {marlin * 1e6:8.1f} us "
                      f"{size / marlin * 1e-12:5.2f} TB/s  bf16 {row['bf16_seconds'] * 1e6:8.1f} us  "
                      f"marlin / rotor {marlin / row['seconds']:.2f}", flush=True)
            del weights
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
