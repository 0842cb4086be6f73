#!/usr/bin/env python3
"""Holds rotor's token ids against those of the Hugging Face tokenizers library.

For a tokenizer of every kind (tokenizer_kinds.py) and each tokenizer.json given, some MB of mixed text
(token_texts.py) go through both. Prints a Markdown table; ends with 1 where an id differs.

    tests/interop/tokenizers_compare.py --token-ids build/bin/rotor_token_ids --prose FILE... \
        [--tokenizer FILE...] [--megabytes N] [--prose-only] [--only REGEX] [--keep DIR]

--prose: text files for a fifth of the text. --keep: where to leave the tokenizers that were made.
The rates count the seconds of the CPU, one thread on both sides; `requirements.txt` has the versions.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy  # noqa: E402
import tokenizers  # noqa: E402

import token_texts  # noqa: E402
import tokenizer_kinds  # noqa: E402

SHOWN = 3


def first_difference(ours, theirs):
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            return i
    return min(len(ours), len(theirs))


def show(library, text, ours, theirs):
    at = first_difference(ours, theirs)
    near = slice(max(0, at - 3), at + 5)
    print(f"  text {text[:60]!r}, id {at}: rotor {[library.id_to_token(i) for i in ours[near]]}, "
          f"library {[library.id_to_token(i) for i in theirs[near]]}", file=sys.stderr)


def compare(name, path, texts, program, directory):
    library = tokenizers.Tokenizer.from_file(str(path))
    start = time.process_time()
    expected = [library.encode(text).ids for text in texts]
    seconds = time.process_time() - start
    done = subprocess.run([program, path, directory / "texts.jsonl", directory / "ids"],
                          check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{name}: {done.stderr}", file=sys.stderr)
        return False
    report = json.loads(done.stdout)
    stream = numpy.fromfile(directory / "ids", dtype=numpy.int32)
    at = different = 0
    for text, theirs in zip(texts, expected):
        ours = stream[at + 1:at + 1 + stream[at]].tolist()
        at += 1 + len(ours)
        if ours != theirs:
            different += 1
            if different <= SHOWN:
                show(library, text, ours, theirs)
    megabytes = report["bytes"] / 1e6
    print(f"| {name} | {len(texts)} | {megabytes:.1f} | {sum(map(len, expected))} | {different} "
          f"| {megabytes / report['encode_seconds']:.1f} | {megabytes / seconds:.1f} |", flush=True)
    return different == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--token-ids", required=True, help="the program rotor_token_ids")
    parser.add_argument("--prose", nargs="+", required=True)
    parser.add_argument("--tokenizer", nargs="*", default=[], type=pathlib.Path)
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--only", default="", help="kinds whose name has this regular expression")
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prose-only", action="store_true", help="no other text than --prose, for the rates")
    arguments = parser.parse_args()

    training = token_texts.make_texts(arguments.prose, [], 2_000_000, arguments.seed + 1)
    training = [text for text in training if len(text) <= 20_000]
    print("| tokenizer | texts | MB | ids | texts that differ | rotor MB/s | library MB/s |\n"
          "|---|---|---|---|---|---|---|")
    equal = True
    with tempfile.TemporaryDirectory(prefix="rotor-tokenizers-") as temporary:
        directory = pathlib.Path(temporary)

        def run(name, path):
            tokens = [one["content"] for one in json.loads(path.read_text("utf-8"))["added_tokens"]]
            size = int(arguments.megabytes * 1e6)
            texts = (token_texts.prose_texts(arguments.prose, size, arguments.seed) if arguments.prose_only
                     else token_texts.make_texts(arguments.prose, tokens, size, arguments.seed))
            with open(directory / "texts.jsonl", "w", encoding="utf-8") as file:
                file.writelines(json.dumps(text) + "\n" for text in texts)
            return compare(name, path, texts, arguments.token_ids, directory)

        for path in arguments.tokenizer:
            equal &= run(path.parent.name, path)
        kept = arguments.keep or directory
        kept.mkdir(parents=True, exist_ok=True)
        for kind, text in tokenizer_kinds.make_kinds(training, re.compile(arguments.only).search):
            path = kept / f"{kind.replace(' ', '-').replace(',', '')}.json"
            path.write_text(text, encoding="utf-8")
            equal &= run(kind, path)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
