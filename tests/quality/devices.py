#!/usr/bin/env python3
"""How far a GPU's results are from the CPU's, and how far the CPU's own are from each other.

Quantizes by each recipe on both devices (calibration: the first 128 windows of 1024 tokens of calib.txt;
100 windows of eval.txt, measured in memory at the job's end) and prints a Markdown table. The last
columns are the yardstick: the same job on the CPU with its sums cut into other lanes, which changes
nothing but the order of additions. A job that fails ends the script.

    tests/quality/devices.py --bin build/bin --data DIR [--model NAME] [--jobs N] [--threads N]

DIR holds models/ and text/. N jobs run on the CPU at the same time, each with its own threads.
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

RECIPES = [
    ("llama-22m", "--format nvfp4"),
    ("llama-22m", "--format nvfp4 --activations a4"),
    ("llama-22m", "--format nvfp4 --method rtn --rotation none"),
    ("llama-22m", "--format nvfp4 --method rtn --rotation none --activations a4"),
    ("llama-22m", "--format mxfp4"),
    ("llama-22m", "--format mxfp4 --activations a4"),
    ("llama-22m", "--format int4 --group-size 32"),
    ("qwen3moe-20m", "--format nvfp4"),
    ("qwen3moe-20m", "--format nvfp4 --activations a4"),
]


def quantize(arguments, directory, recipe, *options):
    model, settings = recipe
    command = [str(arguments.bin / "rotor"), "quantize", str(arguments.data / "models" / model),
               "--output", tempfile.mkdtemp(dir=directory) + "/out", "--ranks", "1",
               "--calibration", str(arguments.data / "text/calib.txt"), "--sequences", "128",
               "--seq-len", "1024", "--eval-text", str(arguments.data / "text/eval.txt"),
               "--eval-sequences", "100", "--eval-seq-len", "1024", *settings.split(), *options,
               "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def difference(report, reference):
    """Of the perplexities and of the modules' errors, the largest one; relative."""
    expected = {module["name"]: module["relative_error"] for module in reference["modules"]}
    errors = [abs(module["relative_error"] / expected[module["name"]] - 1)
              for module in report["modules"] if expected[module["name"]] > 0]
    return report["perplexity"] / reference["perplexity"] - 1, max(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--model", help="this one alone")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    recipes = [recipe for recipe in RECIPES if arguments.model in (None, recipe[0])]
    on_cpu = ("--device", "cpu", "--threads", str(arguments.threads))
    print("| model | recipe | CPU | GPU | difference | errors | other lanes | difference | errors |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="rotor-devices-") as directory, \
            concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        rows = [(recipe, pool.submit(quantize, arguments, directory, recipe, *on_cpu),
                 pool.submit(quantize, arguments, directory, recipe, *on_cpu, "--lanes", "16"))
                for recipe in recipes]
        on_gpu = [quantize(arguments, directory, recipe, "--device", "cuda") for recipe in recipes]
        for gpu, (recipe, first, second) in zip(on_gpu, rows):
            cpu, other = first.result(), second.result()
            cells = [*recipe, f"{cpu['perplexity']:.4f}"]
            for report in (gpu, other):
                moved, errors = difference(report, cpu)
                cells += [f"{report['perplexity']:.4f}", f"{moved:+.2%}", f"{errors:.1%}"]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
