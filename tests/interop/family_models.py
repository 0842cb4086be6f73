#!/usr/bin/env python3
"""Writes the tiny models of tests/data/families to DIR, each with a tokenizer of single bytes, for
tests/interop/run: family_models.py DIR"""

import json
import pathlib
import shutil
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "e2e"))
from byte_tokenizer import tokenizer  # noqa: E402


def main():
    target = pathlib.Path(sys.argv[1])
    for config in sorted((TESTS / "data" / "families").glob("*/config.json")):
        model = target / config.parent.name
        model.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            shutil.copy(config.parent / name, model / name)
        (model / "tokenizer.json").write_text(json.dumps(tokenizer()))
        (model / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')
        print(model)


main()
