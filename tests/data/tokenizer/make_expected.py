#!/usr/bin/env python3
"""Writes expected_ids.json: token ids that the Hugging Face tokenizers library gives.

Run it from the repository's root, with `pip install tokenizers==0.23.3`. Each case is a change to the
demo model's tokenizer.json (its keys replaced by those under "replace"), and texts with their ids.
"""

import json

import tokenizers

BASE = "demo/model/tokenizer.json"
OUT = "tests/data/tokenizer/expected_ids.json"

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "def f(x):\n    return x['key'] ** 2  # it's DON'T\n\n\n",
    "line one\r\nline two\r\n\r\n\tindented\t\tmore",
    "a" * 40 + " " * 50 + "b" + "\n" * 20,
    "中文字符 と ひらがな 한국어",
    "😀👍🏽 👨\u200d👩\u200d👧 🇩🇪 ❤️",
    "e\u0301 \u00e9 a\u0323\u0301 \u1100\u1161 ﬁ Å İ ß \u017fS 'ſ",
    "1 12 123 1234 12345 ٣٤ ² Ⅷ 3.14",
    "\x0b\x0c\x85\xa0\u2003\u3000 \u2028 spaces",
    "<|begin_of_text|>x <|pad|>  <|end_of_text|> <|pad|",
    "   leading and trailing   ",
]
ADDED_TEXTS = [
    "wxyz wxy wx wxyzw _wxy wxy.",
    " <m> a  <m>\n b<m>",
    "SHOUT shout É e\u0301e\u0301 \u00e9\u00e9",
]

GPT2 = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)


def split(pattern, behavior, invert=False):
    step = {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
    return {"type": "Sequence", "pretokenizers": [step, BYTES]}


def before_bytes(step):
    return {"type": "Sequence", "pretokenizers": [step, BYTES]}


def added(index, content, **flags):
    token = {"id": 2048 + index, "content": content, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": False}
    return token | flags


def main():
    with open(BASE, encoding="utf-8") as file:
        base = json.load(file)
    model = base["model"]
    strings = [" ".join(merge) for merge in model["merges"]]
    both_ends = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "<|end_of_text|>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]}
                           for i, t in enumerate(["<|begin_of_text|>", "<|end_of_text|>"])},
    }
    bytes_after = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                   "use_regex": True}
    more_tokens = base["added_tokens"] + [
        added(0, "wxy", single_word=True),
        added(1, "wxyz"),
        added(2, "<m>", lstrip=True, rstrip=True),
        added(3, "\u00e9\u00e9", normalized=True),
        added(4, "SHOUT", normalized=True, rstrip=True),
    ]
    vowels = {"Regex": "[aeiou0-9]"}
    space = {"String": " "}
    cases = [("llama3", {}, [])]
    cases += [
        ("gpt2", {"pre_tokenizer": GPT2, "post_processor": bytes_after}, []),
        ("qwen2", {"pre_tokenizer": split({"Regex": QWEN}, "Isolated"),
                   "normalizer": {"type": "NFC"}}, []),
        ("cl100k", {"pre_tokenizer": split({"Regex": CL100K}, "Isolated")}, []),
        ("both ends", {"post_processor": {"type": "Sequence",
                                          "processors": [bytes_after, both_ends]}}, []),
        ("merges alone", {"model": {"ignore_merges": False}}, []),
        ("merges as strings", {"model": {"merges": strings}}, []),
        ("added", {"added_tokens": more_tokens}, ADDED_TEXTS),
        ("added, normalized", {"added_tokens": more_tokens, "normalizer": {
            "type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}},
         ADDED_TEXTS),
        ("replace, prepend", {"normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Replace", "pattern": {"String": "e"}, "content": "EE"},
            {"type": "Prepend", "prepend": "x"}]}}, []),
        ("digits", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, GPT2]}}, []),
        ("digit runs", {"pre_tokenizer": before_bytes(
            {"type": "Digits", "individual_digits": False})}, []),
        ("punctuation", {"pre_tokenizer": before_bytes(
            {"type": "Punctuation", "behavior": "Contiguous"})}, []),
        ("whitespace", {"pre_tokenizer": before_bytes({"type": "Whitespace"})}, []),
        ("whitespace split", {"pre_tokenizer": before_bytes({"type": "WhitespaceSplit"})}, []),
        ("no pre-tokenizer", {"pre_tokenizer": None, "model": {"unk_token": "<|pad|>"}}, []),
        ("fused unknown", {"pre_tokenizer": None,
                           "model": {"unk_token": "<|pad|>", "fuse_unk": True}}, []),
    ]
    cases += [(form, {"normalizer": {"type": form}}, []) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    for behavior in ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        cases.append((f"vowels {behavior}", {"pre_tokenizer": split(vowels, behavior)}, []))
        cases.append((f"vowels {behavior} inverted",
                      {"pre_tokenizer": split(vowels, behavior, True)}, []))
        cases.append((f"space {behavior}", {"pre_tokenizer": split(space, behavior)}, []))

    out = []
    for name, replace, more_texts in cases:
        changed = dict(base)
        for key, value in replace.items():
            changed[key] = model | value if key == "model" else value
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(changed))
        texts = [{"text": text, "ids": tokenizer.encode(text).ids} for text in TEXTS + more_texts]
        stored = dict(replace)
        if name == "merges as strings":
            stored["model"] = {"merges": "as strings"}  # the test writes them: they are long
        out.append({"name": name, "replace": stored, "texts": texts})
    with open(OUT, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in out) + "\n]\n")


if __name__ == "__main__":
    main()
