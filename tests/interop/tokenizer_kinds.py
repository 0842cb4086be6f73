"""Small tokenizers of every kind: each family's real normalizer, pre-tokenizer, added tokens and
post-processor, around a BPE model that is trained here.

The models of bytes are trained by the tokenizers library behind their own pre-tokenizer; those of
characters by sentencepiece, as their families were, and turned into merges.
"""

import collections
import io
import json

import sentencepiece
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

VOCABULARY = 8000
FREQUENT = 40

GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES = GPT2 | {"use_regex": False}
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
ENDINGS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + ENDINGS)
QWEN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + ENDINGS
QWEN3_NEXT = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
              + ENDINGS)
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?"
         rf"|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + ENDINGS)
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + ENDINGS)
DEEPSEEK_V3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
               "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+"
               r"|\s+(?!\S)|\s+")


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def in_sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def token(content, special=True, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": not special, "special": special} | flags


def template(*before):
    return {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": t, "type_id": 0}} for t in before]
                      + [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": list(before)}


PREPEND = {"type": "Prepend", "prepend": "▁"}
SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
LLAMA2 = {"type": "Sequence", "normalizers": [PREPEND, SPACES]}
BYTE_PROCESSOR = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}


def replace(regex, content):
    return {"type": "Replace", "pattern": {"Regex": regex}, "content": content}


# As the transformers library (5) turns sentencepiece's own settings into steps.
TRIMMED = {"type": "Sequence", "normalizers": [replace(r"\A +| +\z", ""), replace(" {2,}", " "), SPACES]}
TRIMMED_LEGACY = {"type": "Sequence", "normalizers": TRIMMED["normalizers"] + [replace(r"\A▁", "▁▁")]}


def metaspace(scheme, cut):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}


# Kind -> what its tokenizer.json has beside the vocabulary. "model" are settings of the model.
OF_BYTES = {
    "llama3": {"pre_tokenizer": in_sequence(split(LLAMA3), BYTES), "model": {"ignore_merges": True},
               "post_processor": {"type": "Sequence", "processors": [BYTE_PROCESSOR, template("<|begin_of_text|>")]},
               "added_tokens": [token("<|begin_of_text|>"), token("<|eot_id|>")]},
    "qwen2": {"normalizer": {"type": "NFC"}, "pre_tokenizer": in_sequence(split(QWEN), BYTES),
              "post_processor": BYTE_PROCESSOR,
              "added_tokens": [token("<|im_start|>"), token("<|im_end|>"),
                               token("<think>", special=False, normalized=False)]},
    "qwen3-next": {"normalizer": {"type": "NFC"}, "pre_tokenizer": in_sequence(split(QWEN3_NEXT), BYTES),
                   "post_processor": BYTE_PROCESSOR, "added_tokens": [token("<|im_start|>")]},
    "phi4": {"pre_tokenizer": in_sequence(split(LLAMA3, "Removed", True), BYTES),
             "added_tokens": [token("<|im_start|>", lstrip=True, rstrip=True)]},
    "olmo2": {"pre_tokenizer": in_sequence(split(LLAMA3), BYTES), "post_processor": template(),
              "added_tokens": [token("<|endoftext|>"), token("|||EMAIL_ADDRESS|||", special=False, normalized=False)]},
    "gpt-neox": {"normalizer": {"type": "NFC"}, "pre_tokenizer": GPT2,
                 "added_tokens": [token("<|endoftext|>")] + [token(" " * n, special=False) for n in range(24, 1, -1)]},
    "gpt2": {"pre_tokenizer": GPT2 | {"add_prefix_space": True}, "added_tokens": [token("<|endoftext|>", normalized=True)]},
    "deepseek-v3": {"normalizer": {"type": "Sequence", "normalizers": []},
                    "pre_tokenizer": in_sequence(split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"),
                                                 split(DEEPSEEK_V3), BYTES | {"trim_offsets": True}),
                    "post_processor": template("<｜begin▁of▁sentence｜>"),
                    "added_tokens": [token("<｜begin▁of▁sentence｜>"), token("<｜User｜>", special=False, normalized=False)]},
    "deepseek-v2": {"normalizer": {"type": "Sequence", "normalizers": []},
                    "pre_tokenizer": in_sequence(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"),
                                                 split("[一-龥ࠀ-一가-퟿]+"),
                                                 {"type": "Digits", "individual_digits": True}, BYTES),
                    "post_processor": template("<｜begin▁of▁sentence｜>"),
                    "added_tokens": [token("<｜begin▁of▁sentence｜>", normalized=True), token("ü", special=False)]},
    "gpt-oss": {"pre_tokenizer": in_sequence(split(O200K, "Removed", True), BYTES),
                "added_tokens": [token("<|start|>"), token("<|message|>")]},
    "mistral-nemo": {"pre_tokenizer": in_sequence(split(TEKKEN), BYTES), "model": {"ignore_merges": True},
                     "post_processor": template("<s>"), "added_tokens": [token("<s>"), token("[INST]")]},
    "punctuation": {"pre_tokenizer": in_sequence({"type": "Punctuation", "behavior": "Isolated"},
                                                 {"type": "Digits", "individual_digits": False}, GPT2),
                    "added_tokens": [token("word", special=False, single_word=True)]},
}
STRIPPED = [token(f"<|{name}|>", rstrip=True) for name in ("user", "assistant", "end")]
OF_CHARACTERS = {
    "llama2": {"normalizer": LLAMA2, "post_processor": template("<s>"), "added_tokens": [token("<unk>"), token("<s>"), token("</s>")]},
    "mixtral": {"normalizer": LLAMA2, "post_processor": template("<s>"),
                "added_tokens": [token("<s>"), token("</s>"), token("[INST]", normalized=True)]},
    "mistral-v0.3": {"pre_tokenizer": metaspace("first", False), "post_processor": template("<s>"),
                     "added_tokens": [token("<s>"), token("[INST]"), token("[/INST]")]},
    "phi3": {"normalizer": LLAMA2, "post_processor": template("<s>"),
             "added_tokens": [token("<s>")] + STRIPPED + [token("</s>", special=False, normalized=False, rstrip=True)]},
    "gemma": {"normalizer": SPACES, "pre_tokenizer": split(" ", "MergedWithPrevious", kind="String"),
              "post_processor": template("<bos>"),
              "added_tokens": [token("<bos>"), token("<start_of_turn>")]
                              + [token(c * n, special=False, normalized=False) for c in "\n▁\t" for n in range(2, 32)]},
    "sentencepiece": {"normalizer": TRIMMED,
                      "pre_tokenizer": in_sequence(metaspace("first", False), split(r"<user>|\.\.\.|▁▁")),
                      "model": {"unk_token": None, "ignore_merges": True}, "added_tokens": [token("<s>")]},
    "sentencepiece, legacy": {"normalizer": TRIMMED_LEGACY, "pre_tokenizer": in_sequence(metaspace("always", False)),
                              "model": {"unk_token": None}, "post_processor": template("<s>"),
                              "added_tokens": [token("<s>"), token("<pad>", special=False)]},
    "words": {"normalizer": {"type": "NFKC"}, "pre_tokenizer": metaspace("always", True),
              "added_tokens": [token("<mask>", lstrip=True)]},
    "unknown": {"pre_tokenizer": metaspace("never", True), "model": {"byte_fallback": False},
                "added_tokens": [token("</s>")]},
    "unknown, not fused": {"normalizer": LLAMA2, "model": {"byte_fallback": False, "fuse_unk": False},
                           "added_tokens": [token("<s>", single_word=True)]},
}


def train_bytes(parts, texts):
    """A model of bytes behind `parts`' own normalizer and pre-tokenizer."""
    # A tokenizer without vocabulary, for its steps before the model.
    empty = {"version": "1.0", "added_tokens": [], "normalizer": parts.get("normalizer"),
             "pre_tokenizer": parts["pre_tokenizer"], "post_processor": None, "decoder": None,
             "model": {"type": "BPE", "vocab": {}, "merges": []}}
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(empty))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, show_progress=False, max_token_length=32,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return json.loads(tokenizer.to_str())["model"]


def merges_of(vocabulary, scores):
    """The merges that make sentencepiece's tokens: every way to put one together from two, the best
    token first, as the transformers library derives them."""
    merges = []
    for whole, score in scores.items():
        ways = [(whole[:i], whole[i:]) for i in range(1, len(whole))]
        ways = [way for way in ways if way[0] in vocabulary and way[1] in vocabulary]
        ways.sort(key=lambda way: (vocabulary[way[0]], vocabulary[way[1]]))
        merges += [(score, *way) for way in ways]
    merges.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=True)
    return [[left, right] for _, left, right in merges]


def train_characters(texts, vocabulary=VOCABULARY, frequent=FREQUENT):
    out = io.BytesIO()
    counts = collections.Counter("".join(texts))
    # Of rare characters there are more than the vocabulary has room for.
    lines = [line for text in texts for line in text.split("\n")
             if line and "\0" not in line and min(counts[c] for c in line) >= frequent]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=vocabulary,
        character_coverage=1.0, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True,
        remove_extra_whitespaces=False, normalization_rule_name="identity", num_threads=2,
        max_sentence_length=4000, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    pieces = {processor.id_to_piece(i): i for i in range(processor.get_piece_size())}
    scores = {piece: processor.get_score(i) for piece, i in pieces.items()
              if not (processor.is_unknown(i) or processor.is_control(i) or processor.is_byte(i))}
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": pieces, "merges": merges_of(pieces, scores)}


def around(parts, vocabulary):
    """What a tokenizer.json of this kind has beside its model."""
    added, ids = [], {}
    next_id = max(vocabulary.values()) + 1
    for one in parts["added_tokens"]:
        ids[one["content"]] = vocabulary.get(one["content"], next_id)
        next_id = max(next_id, ids[one["content"]] + 1)
        added.append({"id": ids[one["content"]]} | one)
    return {"added_tokens": added, "normalizer": parts.get("normalizer"),
            "pre_tokenizer": parts.get("pre_tokenizer"),
            "post_processor": with_ids(parts.get("post_processor"), ids)}


def put_together(parts, model):
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "decoder": None}
    tokenizer |= around(parts, model["vocab"])
    tokenizer["model"] = model | parts.get("model", {})
    return json.dumps(tokenizer, ensure_ascii=False)


def with_ids(processor, ids):
    if processor is None:
        return None
    if processor["type"] == "Sequence":
        return processor | {"processors": [with_ids(one, ids) for one in processor["processors"]]}
    if processor["type"] == "TemplateProcessing":
        return processor | {"special_tokens": {
            t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in processor["special_tokens"]}}
    return processor


def make_kinds(texts, only):
    """Pairs of a kind and the text of its tokenizer.json, for the kinds that `only` says yes to."""
    characters = None
    for kind, parts in OF_BYTES.items():
        if only(kind):
            yield kind, put_together(parts, train_bytes(parts, texts))
    for kind, parts in OF_CHARACTERS.items():
        if only(kind):
            characters = characters or train_characters(texts)
            yield kind, put_together(parts, characters)
