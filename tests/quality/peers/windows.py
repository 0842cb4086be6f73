#!/usr/bin/env python3
"""Cuts a text into the windows that every side calibrates on.

    windows.py MODEL TEXT OUTPUT [--part N --parts M] [--windows N] [--seq-len N]

Writes N windows of one part of the text, as JSON lines {"input_ids": [...]} of --seq-len tokens each:
Rotor takes them with --calibration, the peers through read(). Ids are those of the tokenizers library for the
whole text, special tokens once at its start; the windows do not overlap; part N of M starts N/M of the way.
"""

import argparse
import json
import pathlib


def read(path):
    return [json.loads(line)["input_ids"] for line in pathlib.Path(path).read_text().splitlines()]


def cut(model, text, part, parts, windows, seq_len):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
    ids = tokenizer.encode(pathlib.Path(text).read_text(encoding="utf-8")).ids
    whole = len(ids) // seq_len
    first = whole * part // parts
    if first + windows > whole * (part + 1) // parts:
        raise SystemExit(f"{text}: part {part} of {parts} has fewer than {windows} windows of "
                         f"{seq_len} tokens; take fewer or shorter ones")
    return [ids[i * seq_len:(i + 1) * seq_len] for i in range(first, first + windows)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=3)
    parser.add_argument("--windows", type=int, default=24)
    parser.add_argument("--seq-len", type=int, default=1024)
    a = parser.parse_args()
    found = cut(a.model, a.text, a.part, a.parts, a.windows, a.seq_len)
    a.output.write_text("".join(json.dumps({"input_ids": ids}) + "\n" for ids in found))


if __name__ == "__main__":
    main()
