"""Texts that make a tokenizer's life hard, the same for the same seed.

Prose and code come from files; the rest is made here: scripts of the world, emoji, combining and
zero-width characters, controls, any code point at all, long runs, long lines, and special tokens with
white space of every kind around them.
"""

import pathlib
import random
import sysconfig
import unicodedata

SCRIPTS = [
    (0x4E00, 0x9FA5), (0x3040, 0x30FF), (0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x0400, 0x04FF),
    (0x0370, 0x03FF), (0x0590, 0x05F4), (0x0600, 0x06FF), (0x0900, 0x097F), (0x0E01, 0x0E5B),
    (0x10A0, 0x10FF), (0x1200, 0x137C), (0x00C0, 0x024F), (0x1E00, 0x1FFF), (0x20000, 0x2A6D6),
]
EMOJI = ["😀", "👍🏽", "👨\u200d👩\u200d👧", "🇩🇪", "❤️", "1️⃣", "🏴\U000e0067\U000e0062\U000e007f", "🤷🏿\u200d♂️"]
MARKS = [0x0301, 0x0308, 0x0323, 0x0327, 0x0345, 0x05B0, 0x064B, 0x093C, 0x0E49, 0x20DD, 0x3099,
         0xFE0E, 0xFE0F, 0x1D165, 0xE0100]
INVISIBLE = [0x00AD, 0x034F, 0x061C, 0x180E, 0x200B, 0x200C, 0x200D, 0x200E, 0x202E, 0x2060, 0x2066,
             0xFEFF, 0xFFF9]
SPACES = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2009\u2028\u2029\u202f\u205f\u3000"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»“”…–—¿¡、。「」・·§©°±×€₿½Ⅷ²"
# Letters, with what Unicode has to say about their case and their composition.
ODD_LETTERS = ["e\u0301", "é", "ﬁ", "Å", "Å", "İ", "ı", "ß", "ẞ", "ſ", "Ǆ", "ǅ", "ǆ", "Σς", "한", "한",
               "ﷺ", "㍿", "①", "ｆｕｌｌ", "ｶﾞ", "が", "が", "\u0344", "\u0f73", "\u2126", "\u212a"]


def is_old(point):
    """Whether every version of Unicode that is in use says the same of a character: those that came
    late have a class in one library's tables and none in another's."""
    c = chr(point)
    category = unicodedata.category(c)
    if category == "Cs":
        return False
    if category == "Cn":
        return point & 0xFFFE == 0xFFFE  # never to be a character
    old = unicodedata.ucd_3_2_0
    if unicodedata.decomposition(c) != old.decomposition(c):
        return False
    return category[0] not in "MP" or old.category(c) == category


def words(rng, ranges):
    low, high = rng.choice(ranges)
    # A few characters of a script, again and again, as words have them.
    alphabet = [chr(point) for point in (rng.randint(low, high) for _ in range(60)) if is_old(point)]
    return " ".join("".join(rng.choices(alphabet, k=rng.randint(1, 9))) for _ in range(60))


def marked(rng):
    out = []
    for _ in range(200):
        out.append(rng.choice([rng.choice(ODD_LETTERS), rng.choice(EMOJI), chr(rng.randint(97, 122)), " "]))
        for _ in range(rng.choice([0, 0, 1, 2, 5])):
            out.append(chr(rng.choice(MARKS + INVISIBLE)))
    return "".join(out)


def controls(rng):
    return "".join(rng.choice([chr(rng.randint(0, 0x9F)), rng.choice(SPACES), "word", "7", "'s", "'LL"])
                   for _ in range(400))


def any_points(rng):
    points = []
    while len(points) < 200:
        point = rng.choice([rng.randint(0, 0xFFFF), rng.randint(0x10000, 0x1FFFF), rng.randint(0, 0x10FFFF)])
        if is_old(point):
            points.append(chr(point))
    return "".join(points)


def runs(rng):
    out = []
    for _ in range(40):
        what = rng.choice([" ", "\n", "\t", "a", "=", "-", "0", "  \n", "中", "\u3000", "▁", "é", "'"])
        out += [what * rng.randint(1, rng.choice([3, 17, 300])), rng.choice(["x", "Word", "12", "", "…"])]
    return "".join(out)


def long_line(rng):
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEF0123456789+/", k=20_000))


def punctuated(rng):
    return "".join(rng.choice([rng.choice(PUNCTUATION), "don't", "WE'VE", "it's", " ", "3.14", "x_y", "CamelCase"])
                   for _ in range(300))


def with_tokens(rng, tokens):
    out = []
    for _ in range(60):
        out += [rng.choice(["", " ", "\n", "\u3000 ", "  "]), rng.choice(tokens),
                rng.choice(["", " ", "\n\n", "\t", " a", "b", "_", "é", "."])]
    return "".join(out)


def files_in_pieces(rng, paths, size):
    text = "".join(pathlib.Path(path).read_text(encoding="utf-8", errors="replace") for path in paths)
    at = 0
    while at < len(text) and size > 0:
        piece = text[at:at + rng.choice([80, 1000, 20_000])]
        at += len(piece)
        size -= len(piece.encode())
        yield piece


def code_files():
    return sorted(pathlib.Path(sysconfig.get_path("stdlib")).glob("*.py"))


def prose_texts(prose, total_bytes, seed):
    """Pieces of the files, and no more than there is in them."""
    return list(files_in_pieces(random.Random(seed), prose, total_bytes))


def make_texts(prose, tokens, total_bytes, seed):
    """Some `total_bytes` of UTF-8 as a list of texts; `tokens`: contents of added tokens."""
    rng = random.Random(seed)
    texts = ["", " ", "\n", "a", "中", "\u0301", "\ufeff", "\ufffd\ufffe\uffff"]
    texts += files_in_pieces(rng, code_files(), total_bytes * 2 // 10)
    texts += files_in_pieces(rng, prose, total_bytes * 2 // 10)
    texts += [" " * 200_000, "a" * 200_000, "\n" * 50_000 + "x", " \n" * 50_000, "ab" * 50_000]
    makers = [
        lambda: words(rng, SCRIPTS), lambda: words(rng, SCRIPTS), lambda: marked(rng),
        lambda: controls(rng), lambda: any_points(rng), lambda: runs(rng),
        lambda: long_line(rng), lambda: punctuated(rng),
    ]
    if tokens:
        makers.append(lambda: with_tokens(rng, tokens))
    size = sum(len(text.encode()) for text in texts)
    shares = [0] * len(makers)
    while size < total_bytes:
        kind = shares.index(min(shares))  # as many bytes of each
        texts.append(makers[kind]())
        made = len(texts[-1].encode())
        shares[kind] += made
        size += made
    return texts
