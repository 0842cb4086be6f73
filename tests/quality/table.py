#!/usr/bin/env python3
"""Perplexity of every recipe that the paper's code was measured with, Rotor's beside the paper's.

Runs one `rotor quantize` a row (calibration: the first 128 windows of 1024 tokens of calib.txt; 100
windows of eval.txt, measured in memory at the job's end) and prints a Markdown table. Rows already in
the results file are not run again, so an interrupted table goes on.

    tests/quality/table.py --bin build/bin --data DIR [--device cpu|cuda] [--results FILE] [--only REGEX]
                           [--measured]

DIR holds models/llama-22m, text/ and golden/llama-22m/peer_quality.json.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile


def options_of(row):
    method = row["method"]
    if method == "gptq" and row["rotation_block"]:
        method = "mr-gptq"
    options = ["--format", row["format"], "--activations", row["activations"], "--method", method,
               "--scale-search", row["scale_search"],
               "--rotation", str(row["rotation_block"] or "none"),
               "--act-order" if row["act_order"] else "--no-act-order"]
    if row["format"] == "int4":
        options += ["--group-size", str(row["group_size"])]
    return options


def measure(arguments, options):
    data = arguments.data
    with tempfile.TemporaryDirectory(prefix="rotor-quality-") as directory:
        command = [str(arguments.bin / "rotor"), "quantize", str(data / "models/llama-22m"),
                   "--output", f"{directory}/out", "--device", arguments.device, "--ranks", "1",
                   "--calibration", str(data / "text/calib.txt"), "--sequences", "128",
                   "--seq-len", "1024", "--eval-text", str(data / "text/eval.txt"),
                   "--eval-sequences", "100", "--eval-seq-len", "1024", *options, "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr[-3000:]}")
        return json.loads(done.stdout)


def peer_rows(arguments):
    path = arguments.data / "golden/llama-22m/peer_quality.json"
    # The first entries are the unquantized model, without a format; no layout holds INT4 with
    # quantized activations.
    rows = [row for row in json.loads(path.read_text()) if "format" in row
            and (row["format"], row["activations"]) != ("int4", "a4")]
    return [row for row in rows if re.search(arguments.only, " ".join(options_of(row)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("quality.json"))
    parser.add_argument("--only", default="", help="rows whose options match this expression")
    parser.add_argument("--measured", action="store_true", help="rows in the results file alone")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}

    print("| format | activations | method | rotation | scales | act-order | perplexity | paper's "
          "code | difference |")
    print("|---|---|---|---|---|---|---|---|---|")
    worst = 0.0
    for row in peer_rows(arguments):
        options = options_of(row)
        key = " ".join(options)
        if key not in results and arguments.measured:
            continue
        if key not in results:
            report = measure(arguments, options)
            results[key] = {name: report[name] for name in ("perplexity", "seconds")}
            arguments.results.write_text(json.dumps(results, indent=1))
        ours = results[key]["perplexity"]
        difference = ours / row["perplexity_eval"] - 1
        worst = max(worst, difference)
        name = row["format"] + (f" g{row['group_size']}" if row["format"] == "int4" else "")
        print(f"| {name} | {row['activations']} | {row['method']} | {row['rotation_block'] or 'none'}"
              f" | {row['scale_search']} | {'yes' if row['act_order'] else 'no'} | {ours:.3f}"
              f" | {row['perplexity_eval']:.3f} | {100 * difference:+.2f} % |", flush=True)
    print(f"\nWorst difference: {100 * worst:+.2f} %")


if __name__ == "__main__":
    main()
