#!/usr/bin/env python3
"""How far a GPU's results are from the CPU's.

Quantizes by each recipe on both devices, on N different choices of 128 windows of 1024 tokens of
calib.txt, and measures 100 windows of eval.txt in memory at each job's end. Prints a Markdown table:
mean perplexities; the mean relative difference with its standard error, since GPTQ chooses among codes
that are as good as each other and a rounding elsewhere moves the choice; and, of all modules, the
largest mean relative difference of an error, with its standard error. Experts that saw no token on a
device are left out there: their errors are those of the weights alone. A job that fails ends the script.

    tests/quality/devices.py --bin build/bin --data DIR [--seeds N] [--model NAME] [--recipe TEXT]
                             [--jobs N] [--threads N]

DIR holds models/ and text/. N jobs run on the CPU at the same time, each with its own threads.
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

RECIPES = [
    ("llama-22m", "--format nvfp4"),
    ("llama-22m", "--format nvfp4 --activations a4"),
    ("llama-22m", "--format mxfp4"),
    ("llama-22m", "--format mxfp4 --activations a4"),
    ("llama-22m", "--format int4 --group-size 32"),
    ("qwen3moe-20m", "--format nvfp4"),
    ("qwen3moe-20m", "--format nvfp4 --activations a4"),
]


def quantize(arguments, directory, recipe, seed, *options):
    model, settings = recipe
    command = [str(arguments.bin / "rotor"), "quantize", str(arguments.data / "models" / model),
               "--output", tempfile.mkdtemp(dir=directory) + "/out", "--ranks", "1",
               "--calibration", str(arguments.data / "text/calib.txt"), "--sequences", "128",
               "--seq-len", "1024", "--seed", str(seed),
               "--eval-text", str(arguments.data / "text/eval.txt"),
               "--eval-sequences", "100", "--eval-seq-len", "1024", *settings.split(), *options,
               "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def mean_and_error(values):
    """The mean and its standard error; no error of a single value."""
    if len(values) == 1:
        return values[0], math.nan
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def module_errors(report):
    return {module["name"]: module["relative_error"] for module in report["modules"]
            if module["tokens"] > 0}


def largest_difference(pairs):
    """Of the modules' errors: name, mean relative difference and its standard error."""
    errors = [(module_errors(gpu), module_errors(cpu)) for gpu, cpu in pairs]
    found = []
    for name in errors[0][0]:
        of_module = [gpu[name] / cpu[name] - 1 for gpu, cpu in errors
                     if name in gpu and cpu.get(name, 0.0) > 0.0]
        if of_module:
            found.append((name, *mean_and_error(of_module)))
    return max(found, key=lambda entry: abs(entry[1]))


def row(recipe, pairs):
    perplexities = [[report["perplexity"] for report in pair] for pair in pairs]
    moved, error = mean_and_error([gpu / cpu - 1 for gpu, cpu in perplexities])
    name, of_module, of_module_error = largest_difference(pairs)
    gpu, cpu = (statistics.mean(of_device) for of_device in zip(*perplexities))
    return "| " + " | ".join([
        *recipe, f"{cpu:.4f}", f"{gpu:.4f}", f"{moved:+.2%} ± {error:.2%}",
        f"{of_module:+.1%} ± {of_module_error:.1%} ({name})"]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--model", help="this one alone")
    parser.add_argument("--recipe", help="those that hold this text alone")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    recipes = [recipe for recipe in RECIPES if arguments.model in (None, recipe[0])
               and (arguments.recipe is None or arguments.recipe in recipe[1])]
    seeds = range(arguments.seeds)
    on_cpu = ("--device", "cpu", "--threads", str(arguments.threads))
    print("| model | recipe | CPU | GPU | difference | module that differs most |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="rotor-devices-") as directory, \
            concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        slow = {(recipe, seed): pool.submit(quantize, arguments, directory, recipe, seed, *on_cpu)
                for recipe in recipes for seed in seeds}
        for recipe in recipes:
            fast = [quantize(arguments, directory, recipe, seed, "--device", "cuda")
                    for seed in seeds]
            print(row(recipe, [(gpu, slow[recipe, seed].result())
                               for gpu, seed in zip(fast, seeds)]), flush=True)


if __name__ == "__main__":
    main()
