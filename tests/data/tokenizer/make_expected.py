#!/usr/bin/env python3
"""Writes expected_ids.json: token ids that the Hugging Face tokenizers library gives.

Run it from the repository's root, with what tests/interop/requirements.txt names. Each case is a change
to a base file (its keys replaced by those under "replace"), and texts with their ids. The bases are the
demo model's tokenizer.json, a model of bytes, and characters.json here, one of characters with byte
fallback; `--train` makes that one anew from the demo's text, with sentencepiece.
"""

import json
import pathlib
import sys

import tokenizers

sys.path.insert(0, "tests/interop")
import tokenizer_kinds  # noqa: E402

BYTES_BASE = "demo/model/tokenizer.json"
CHARACTERS_BASE = "tests/data/tokenizer/characters.json"
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

CHARACTER_TEXTS = [
    "▁a ▁ ▁▁", "  two  spaces ", "the\ttab\x00\x7f", "née naïve 中\u0301文 ok", "<s>the end</s>the", " <s> the",
    "<0x41>", "the<unk>the", "[INST] the [/INST]the <|end|>  the",
]

GPT2, BYTES = tokenizer_kinds.GPT2 | {"add_prefix_space": True}, tokenizer_kinds.BYTES


def split(pattern, behavior, invert=False):
    return before_bytes({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert})


def before_bytes(step):
    return tokenizer_kinds.in_sequence(step, BYTES)


def added(index, content, **flags):
    token = {"id": 2048 + index, "content": content, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": False}
    return token | flags


def kinds(of, base):
    """A case for each kind: what it has around the model, and the settings of the model."""
    for name, parts in of.items():
        replace = tokenizer_kinds.around(parts, base["model"]["vocab"])
        if "model" in parts:
            replace["model"] = parts["model"]
        yield name, replace, []


def cases_of_bytes(base):
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
    cases = [("demo", {}, [])]
    cases += kinds(tokenizer_kinds.OF_BYTES, base)
    cases += [
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

    nested = tokenizer_kinds.in_sequence(tokenizer_kinds.in_sequence(GPT2))
    cases += [
        ("nested", {"pre_tokenizer": nested, "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Sequence", "normalizers": [{"type": "NFC"}]}]}}, []),
        ("strip", {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}}, []),
        ("strip right", {"normalizer": {"type": "Strip", "strip_left": False, "strip_right": True}}, []),
        ("accents", {"normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFD"}, {"type": "StripAccents"}]}}, []),
    ]
    return cases


def cases_of_characters(base):
    first = tokenizer_kinds.metaspace("first", False)
    bytes_missing = {t: i for t, i in base["model"]["vocab"].items() if t not in ("<0xC3>", "<0xE4>")}
    cases = list(kinds(tokenizer_kinds.OF_CHARACTERS, base))
    cases += [
        ("old metaspace", {"pre_tokenizer": {
            "type": "Metaspace", "replacement": "▁", "add_prefix_space": True}}, []),
        ("old metaspace without", {"pre_tokenizer": {
            "type": "Metaspace", "replacement": "▁", "add_prefix_space": False,
            "prepend_scheme": "never"}}, []),
        ("first after a cut", {"normalizer": None, "pre_tokenizer": tokenizer_kinds.in_sequence(
            tokenizer_kinds.split("t"), first)}, []),
        ("first after white space", {"normalizer": None, "pre_tokenizer": tokenizer_kinds.in_sequence(
            {"type": "WhitespaceSplit"}, first)}, []),
        ("some bytes missing", {"normalizer": None, "pre_tokenizer": first, "model": {"vocab": bytes_missing}}, []),
        ("some bytes missing, not fused", {"normalizer": None, "pre_tokenizer": first, "model": {
            "vocab": bytes_missing, "fuse_unk": False}}, []),
    ]
    removing = [{"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "StripAccents"},
                {"type": "Replace", "pattern": {"String": "t"}, "content": ""},
                {"type": "Replace", "pattern": {"String": "t"}, "content": "a"}]
    for step in removing:
        cases.append((f"first after {step['type']} {step.get('content')}",
                      {"pre_tokenizer": first, "normalizer": step}, ["the", "\u0301the"]))
    return cases


def expected(base_path, make_cases, more_texts):
    base = json.loads(pathlib.Path(base_path).read_text("utf-8"))
    model = base["model"]
    for name, replace, texts_of_case in make_cases(base):
        changed = dict(base)
        for key, value in replace.items():
            changed[key] = model | value if key == "model" else value
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(changed))
        texts = [{"text": text, "ids": tokenizer.encode(text).ids}
                 for text in TEXTS + more_texts + texts_of_case]
        stored = dict(replace)
        if name == "merges as strings":
            stored["model"] = {"merges": "as strings"}  # the test writes them: they are long
        if "vocab" in replace.get("model", {}):
            missing = [t for t in model["vocab"] if t not in replace["model"]["vocab"]]
            stored["model"] = {k: v for k, v in replace["model"].items() if k != "vocab"}
            stored["model"]["vocab without"] = missing
        yield {"base": base_path, "name": name, "replace": stored, "texts": texts}


def train():
    """The demo's text, and some characters that it has not."""
    documents = json.loads(pathlib.Path("demo/text/demo-generated.json").read_text("utf-8"))
    letters = [" ".join("éèüßñçøåæœ") + " 中 文 字 日 本 ▁ « » … — ’ ₿"] * 3
    model = tokenizer_kinds.train_characters(documents + letters, 800, 3)
    text = tokenizer_kinds.put_together(tokenizer_kinds.OF_CHARACTERS["llama2"], model)
    pathlib.Path(CHARACTERS_BASE).write_text(text + "\n", encoding="utf-8")


def main():
    if sys.argv[1:] == ["--train"]:
        train()
    out = [*expected(BYTES_BASE, cases_of_bytes, []),
           *expected(CHARACTERS_BASE, cases_of_characters, CHARACTER_TEXTS)]
    lines = ",\n".join(json.dumps(case) for case in out)
    pathlib.Path(OUT).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
