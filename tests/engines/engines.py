#!/usr/bin/env python3
"""Holds vLLM against `rotor eval` on Rotor's checkpoints, token by token: engines.py --work DIR [options]

Needs GPUs, vLLM and a built Rotor. Every row of rows.py is quantized, evaluated by Rotor, and run by vLLM; the losses of
all tokens are compared. README.md says how rows are judged.
"""

import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

import numpy
import rows as table

HERE = pathlib.Path(__file__).resolve().parent
WINDOWS, SEQ_LEN = 24, 1024  # of trained models
WINDOWS_A4 = 174  # a rounding that falls the other way is noise, which takes more tokens to average out
TINY_WINDOWS, TINY_SEQ_LEN = 8, 256
SAME_PERPLEXITY = 0.002
# A tiny model's losses differ by rounding alone: by as much as those of its source do in the same engine, twice at most.
SAME_LOSS = 2.0
SAME_MEAN = 3.0  # standard errors over windows


class Gpus:
    """Hands out GPUs: each takes `share` programs at a time, or one that has several GPUs to itself."""

    def __init__(self, count, share):
        self.free = queue.Queue()
        self.count = count
        for _ in range(share):
            for gpu in range(count):
                self.free.put(gpu)

    def run(self, task):
        gpu = self.free.get()
        try:
            return task(str(gpu))
        finally:
            self.free.put(gpu)


def run_logged(command, log, environment, timeout=400):
    """Its exit code, and what it said."""
    with open(log, "w", encoding="utf-8") as out:
        try:
            code = subprocess.run([str(word) for word in command], stdout=out, stderr=subprocess.STDOUT, check=False,
                                  env=os.environ | environment, timeout=timeout).returncode
        except subprocess.TimeoutExpired:
            code = -1
    return code, pathlib.Path(log).read_text(encoding="utf-8", errors="replace")


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(options.work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.rotor = pathlib.Path(options.bin) / "rotor"
        self.writing_ids = threading.Lock()

    def data(self, *parts):
        return pathlib.Path(self.options.data).joinpath(*parts)

    def is_trained(self, model):
        return self.options.data and self.data("models", model).is_dir()

    def source(self, model):
        return self.data("models", model) if self.is_trained(model) else self.work / "models" / model

    def ids(self, row):
        """Token ids [windows, seq_len] that both evaluate, in a file for each of them."""
        model, windows = row.model, WINDOWS_A4 if "a4" in row.setting else WINDOWS
        if self.is_trained(model):
            ids = numpy.load(self.data("golden", model, "eval_ids.npy")).reshape(-1)[:windows * SEQ_LEN]
            ids = ids.reshape(windows, SEQ_LEN)
        else:
            ids = numpy.random.default_rng(7).integers(0, 256, (TINY_WINDOWS, TINY_SEQ_LEN))
        path = self.work / f"{model}.{len(ids)}.ids.npy"
        text = path.with_suffix(".jsonl")
        with self.writing_ids:
            if not path.exists():
                text.write_text("".join(json.dumps({"input_ids": row.tolist()}) + "\n" for row in ids))
                numpy.save(path, ids.astype(numpy.int64))
        return path, text, ids.shape

    def calibration(self, row):
        if self.is_trained(row.model):
            return [self.data("text", "calib.txt"), "--sequences", 128, "--seq-len", 1024]
        return [self.ids(row)[1], "--sequences", TINY_WINDOWS, "--seq-len", TINY_SEQ_LEN]

    def make(self, row, gpu):
        """Quantizes the row's checkpoint and lets Rotor evaluate it, unless that was done; what went wrong, or nothing."""
        if (self.work / f"{row.checkpoint}.rotor.npy").exists():
            return ""
        place = {"CUDA_VISIBLE_DEVICES": gpu}
        output = self.source(row.model)
        if row.setting != "source":
            output = self.work / row.checkpoint
            code, said = run_logged(
                [self.rotor, "quantize", self.source(row.model), "--output", output, "--ranks", 1, "--device", "cuda",
                 "--restart", "--calibration", *self.calibration(row), *row.options()],
                self.work / f"{row.checkpoint}.quantize.log", place)
            if code != 0:
                return said[-1500:]
        _, text, shape = self.ids(row)
        code, said = run_logged(
            [self.rotor, "eval", output, "--text", text, "--sequences", shape[0], "--seq-len", shape[1], "--device",
             "cuda", "--losses", self.work / f"{row.checkpoint}.rotor.npy"],
            self.work / f"{row.checkpoint}.eval.log", place)
        return "" if code == 0 else said[-1500:]

    def name(self, row):
        return "-".join([row.checkpoint, *(word.replace("=", "") for word in row.run)])

    def serve(self, rows, gpu):
        """Lets vLLM run rows of the same tensor parallelism, in as few processes as live."""
        left = [row for row in rows if self.served(row) is None]
        while left:
            jobs = [{"checkpoint": str(self.source(row.model) if row.setting == "source" else self.work / row.checkpoint),
                     "ids": str(self.ids(row)[0]), "out": str(self.work / self.name(row)),
                     "options": dict(word.split("=") for word in row.run)} for row in left]
            path = self.work / f"{self.name(left[0])}.jobs.json"
            path.write_text(json.dumps(jobs))
            _, said = run_logged([self.options.python, HERE / "vllm_losses.py", path], path.with_suffix(".log"),
                                 {"CUDA_VISIBLE_DEVICES": gpu}, timeout=90 + 60 * len(left))
            for row in left:  # what processes of several GPUs die of is in the log alone
                error = self.work / f"{self.name(row)}.error"
                if error.exists() and row.tensor_parallel > 1:
                    own = said.partition(f"{self.work / self.name(row)}:\n")[2].partition(f"{self.work}/")[0]
                    error.write_text(error.read_text(errors="replace") + own)
            ended = [row for row in left if self.served(row) is not None]
            left = [row for row in left if self.served(row) is None]
            if left and not ended:  # it took the process with it
                (self.work / f"{self.name(left[0])}.error").write_text(said)
                left = left[1:]

    def served(self, row):
        """Losses as vLLM has them, or what it said instead; None: it has not run."""
        out = self.work / self.name(row)
        if out.with_name(out.name + ".npy").exists():
            return numpy.load(out.with_name(out.name + ".npy"))
        error = out.with_name(out.name + ".error")
        return error.read_text(errors="replace") if error.exists() else None

    def judge(self, row, yardstick):
        """A line of the result."""
        served = self.served(row)
        result = {"model": row.model, "setting": row.setting, "rotation": row.rotation, "run": " ".join(row.run)}
        if isinstance(served, str):
            lines = [line.strip() for line in reversed(served.splitlines())]
            as_expected = bool(row.fails) and row.fails.lower() in served.lower()
            told = row.fails if as_expected else "Error"
            reason = next((line for line in lines if told.lower() in line.lower()), served[-300:])
            return result | {"ok": as_expected, "vllm": reason[:200]}
        ours = numpy.load(self.work / f"{row.checkpoint}.rotor.npy").reshape(served.shape)
        difference = (served - ours).astype(float)
        by_window = difference.mean(axis=1)
        result |= {"rotor": math.exp(ours.mean(dtype=float)), "vllm": math.exp(served.mean(dtype=float)),
                   "token": abs(difference).mean(), "error": by_window.std(ddof=1) / len(by_window) ** 0.5,
                   "mean": difference.mean()}
        if row.fails:
            return result | {"ok": False, "note": "runs, though it should not"}
        if row.setting == "source":
            ok = True  # the yardstick
        elif "a4" in row.setting:
            # A rounding of an input to 4 bits that falls the other way moves a token's loss by tenths, in either direction.
            ok = abs(result["mean"]) <= max(SAME_MEAN * result["error"], SAME_PERPLEXITY)
        elif self.is_trained(row.model):
            ok = abs(result["vllm"] / result["rotor"] - 1) <= SAME_PERPLEXITY
        else:
            ok = result["token"] <= SAME_LOSS * yardstick[row.model]["token"]
        return result | {"ok": bool(ok)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True)
    parser.add_argument("--bin", default=HERE.parents[1] / "build" / "bin")
    parser.add_argument("--data", default=os.environ.get("ROTOR_DATA_DIR", ""), help="trained models and their texts")
    parser.add_argument("--python", default=sys.executable, help="that has vLLM")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--share", type=int, default=3, help="programs on a GPU at a time")
    parser.add_argument("--tensor-parallel", type=int, default=0, help="only rows of so many GPUs")
    parser.add_argument("--only", default="", help="rows whose checkpoint's name holds this")
    options = parser.parse_args()
    bench = Bench(options)

    import models

    rows = []
    for name, kind in (("llama-22m", table.trained), ("qwen3moe-20m", table.mixture)):
        rows += kind(name) if bench.is_trained(name) else []
    for name in [*models.FAMILIES, *models.WRAPPERS]:
        rows += table.family(name)
    rows = [row for row in rows if options.only in row.checkpoint and row.tensor_parallel <= options.gpus and
            (options.tensor_parallel in (0, row.tensor_parallel) or row.setting == "source")]
    for name in sorted({row.model for row in rows if not bench.is_trained(row.model)}):
        if not (bench.work / "models" / name).exists():
            models.make(bench.work / "models", name)

    start = time.monotonic()
    gpus = Gpus(options.gpus, options.share)
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.gpus * options.share) as pool:
        checkpoints = {row.checkpoint: row for row in rows}
        made = dict(zip(checkpoints, pool.map(lambda row: gpus.run(lambda gpu: bench.make(row, gpu)),
                                              checkpoints.values())))
        print(f"made {len(made)} checkpoints in {time.monotonic() - start:.0f} s", flush=True)
        ready = [row for row in rows if not made[row.checkpoint]]
        alone = sorted((row for row in ready if row.tensor_parallel == 1), key=lambda row: bool(row.fails))
        shares = [alone[i::options.gpus * options.share] for i in range(options.gpus * options.share)]
        list(pool.map(lambda share: gpus.run(lambda gpu: bench.serve(share, gpu)), shares))
    for count in sorted({row.tensor_parallel for row in ready} - {1}):
        bench.serve([row for row in ready if row.tensor_parallel == count], ",".join(map(str, range(count))))
    yardstick = {}
    for row in rows:
        if made[row.checkpoint]:
            results.append({"model": row.model, "setting": row.setting, "rotation": row.rotation, "ok": False,
                            "note": made[row.checkpoint]})
            continue
        result = bench.judge(row, yardstick)
        if row.setting == "source" and not row.run:
            yardstick[row.model] = result
        results.append(result)
    (bench.work / "results.json").write_text(json.dumps(results, indent=1))
    for result in results:
        print(" ".join(f"{key}={value:.5g}" if isinstance(value, float) else f"{key}={value}"
                       for key, value in result.items()))
    bad = sum(not result["ok"] for result in results)
    print(f"{len(results) - bad} passed, {bad} failed, in {time.monotonic() - start:.0f} s")
    return bad > 0 or not results


if __name__ == "__main__":
    sys.exit(main())
