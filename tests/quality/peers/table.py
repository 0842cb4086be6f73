#!/usr/bin/env python3
"""What Rotor and its peers make of one model, calibrated on the same windows, as a Markdown table.

    table.py --bin build/bin --model DIR --calibration TEXT --eval-text TEXT --results FILE...
             [--python PEER=INTERPRETER ...] [--only REGEX] [--parts N ...] [--device cpu|cuda] [--measured]

Every row is calibrated on 24 windows of 1024 tokens out of each third of TEXT (windows.py), and `rotor eval
--against` measures it on the first 12 windows of 1024 tokens of --eval-text: mean and standard deviation over the
thirds. PEER is llm-compressor, modelopt or auto-round; without an interpreter its rows are left out. What is in a
results file is not run again, so that an interrupted table goes on; the first of them is written. --measured prints
what they have, and runs nothing. A row that fails is named on stderr with the end of what it wrote, and the others go
on.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import restate

HERE = pathlib.Path(__file__).resolve().parent
SEQ_LEN = 1024
CALIBRATION, EVALUATION, PARTS = 24, 12, 3

# peer, format, activations, method as the table names it, options
ROWS = [
    *[("rotor", form, a, "default", []) for form in ("nvfp4", "mxfp4") for a in ("a16", "a4")],
    *[("rotor", "mxfp4", a, "--rotation 128", ["--rotation", "128"]) for a in ("a16", "a4")],
    *[("llm-compressor", form, a, method, ["--method", method])
      for form in ("nvfp4", "mxfp4") for a in ("a16", "a4") for method in ("rtn", "gptq")],
    *[("llm-compressor", "nvfp4", a, f"{method}, {observer}",
       ["--method", method, "--observer", observer])
      for a in ("a16", "a4") for method, observer in (
          ("rtn", "nvfp4_expanded_mse"), ("gptq", "nvfp4_expanded_mse"), ("gptq", "imatrix_mse"),
          ("gptq", "nvfp4_expanded_imatrix"))],
    *[("modelopt", "nvfp4", a, method, ["--method", method]) for a in ("a16", "a4")
      for method in ("max", "awq_lite", "mse", "local_hessian", "gptq")],
    *[("modelopt", "mxfp4", a, "max", []) for a in ("a16", "a4")],
    *[("auto-round", form, a, method, ["--method", method])
      for form in ("nvfp4", "mxfp4") for a in ("a16", "a4") for method in ("rtn", "auto-round")],
]


class Failed(Exception):
    pass


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def quantize(a, row, windows, eval_windows, output):
    peer, form, activations, _, options = row
    if peer == "rotor":
        run([a.bin / "rotor", "quantize", a.model, "--output", output, "--calibration", windows,
             "--sequences", CALIBRATION, "--seq-len", SEQ_LEN, "--ranks", "1", "--device", a.device,
             "--format", form, "--activations", activations, *options])
        return
    script = HERE / f"run_{peer.replace('-', '_')}.py"
    more = ["--eval-windows", eval_windows] if peer == "modelopt" else []
    run([a.python[peer], script, "--model", a.model, "--windows", windows, "--output", output,
         "--format", form, "--activations", activations, *options, *more])
    if (peer, activations) == ("auto-round", "a4"):
        restate.restate(output)


def measure(a, row, part):
    with tempfile.TemporaryDirectory(prefix="rotor-peers-") as directory:
        directory = pathlib.Path(directory)
        windows, eval_windows = directory / "windows.jsonl", directory / "eval.jsonl"
        cut = [sys.executable, HERE / "windows.py", a.model]
        run([*cut, a.calibration, windows, "--part", part, "--parts", PARTS,
             "--windows", CALIBRATION, "--seq-len", SEQ_LEN])
        run([*cut, a.eval_text, eval_windows, "--parts", 1, "--windows", EVALUATION,
             "--seq-len", SEQ_LEN])
        output = directory / "out"
        quantize(a, row, windows, eval_windows, output)
        measured = output / "measured.json"
        found = json.loads(measured.read_text() if measured.exists() else run(
            [a.bin / "rotor", "eval", output, "--against", a.model, "--text", a.eval_text,
             "--sequences", EVALUATION, "--seq-len", SEQ_LEN, "--device", a.device, "-o", "json"]))
    return {key: found[key] for key in ("perplexity", "source_perplexity", "kl", "same_top")}


def spread(values, digits):
    if len(values) == 1:
        return f"{values[0]:.{digits}f} (one third)"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def line(row, found):
    above = [entry["perplexity"] - entry["source_perplexity"] for entry in found]
    return "| " + " | ".join([
        row[1], row[2], row[0], row[3], spread([entry["perplexity"] for entry in found], 3),
        f"{statistics.mean(above):.3f}", spread([entry["kl"] for entry in found], 4),
        f"{statistics.mean(entry['same_top'] for entry in found):.1%}"]) + " |"


def measure_all(a, rows, results):
    for part in a.parts:
        for row in rows:
            found = results.setdefault(" ".join(row[:4]), {})
            if str(part) in found or row[0] not in a.python:
                continue
            try:
                found[str(part)] = measure(a, row, part)
            except Failed as failure:
                print(f"{' '.join(row[:4])}, third {part}: {failure}", file=sys.stderr, flush=True)
                continue
            a.results[0].write_text(json.dumps(results, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--calibration", type=pathlib.Path, required=True)
    parser.add_argument("--eval-text", type=pathlib.Path, required=True)
    parser.add_argument("--results", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--python", action="append", default=[], metavar="PEER=INTERPRETER")
    parser.add_argument("--only", default="", help="rows whose names match this expression")
    parser.add_argument("--parts", type=int, nargs="+", default=list(range(PARTS)))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--measured", action="store_true", help="what the results files have")
    a = parser.parse_args()
    a.python = {"rotor": "", **dict(text.split("=", 1) for text in a.python)}
    results = {}
    for path in filter(pathlib.Path.exists, a.results):
        for row, found in json.loads(path.read_text()).items():
            results.setdefault(row, {}).update(found)
    rows = [row for row in ROWS if re.search(a.only, " ".join(row[:4]))]
    if not a.measured:
        measure_all(a, rows, results)
    print("| format | activations | by | method | perplexity | above the source | KL | same token |")
    print("|---|---|---|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: (row[1] != "nvfp4", row[2] != "a16")):
        if found := results.get(" ".join(row[:4])):
            print(line(row, list(found.values())))


if __name__ == "__main__":
    main()
