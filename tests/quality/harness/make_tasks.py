#!/usr/bin/env python3
"""Makes two tasks for lm-evaluation-harness out of one text, to be scored without a network.

    make_tasks.py TEXT OUTPUT [--passages N] [--questions N]

rotor_perplexity: the perplexity of passages of 600 words (loglikelihood_rolling: per word, per byte, bits per byte).
rotor_continuation: which of four endings of 16 words follows a passage of 96 words; the other three stand
elsewhere in the text (multiple_choice: accuracy, and accuracy by likelihood per byte). The same text gives the same
tasks. OUTPUT is a folder for `lm_eval --include_path`.
"""

import argparse
import json
import pathlib
import random

PASSAGE, CONTEXT, ENDING, CHOICES = 600, 96, 16, 4

OF_A_FILE = """\
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
"""

PERPLEXITY = OF_A_FILE + """\
task: rotor_perplexity
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - {{metric: word_perplexity}}
  - {{metric: byte_perplexity}}
  - {{metric: bits_per_byte}}
"""

CONTINUATION = OF_A_FILE + """\
task: rotor_continuation
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{endings}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
"""


def passages(words, count):
    starts = range(0, len(words) - PASSAGE + 1, PASSAGE)
    return [{"text": " ".join(words[start:start + PASSAGE])} for start in starts[:count]]


def questions(words, count):
    size = CONTEXT + ENDING
    starts = list(range(0, len(words) - size + 1, size))
    draw = random.Random(0)
    found = []
    for start in starts[:count]:
        others = draw.sample([other for other in starts if other != start], CHOICES - 1)
        endings = [" ".join(words[at + CONTEXT:at + size]) for at in (start, *others)]
        order = draw.sample(range(CHOICES), CHOICES)
        found.append({"context": " ".join(words[start:start + CONTEXT]),
                      "endings": [endings[i] for i in order], "answer": order.index(0)})
    return found


def write(output, name, template, documents):
    data = output / f"{name}.jsonl"
    data.write_text("".join(json.dumps(document) + "\n" for document in documents))
    (output / f"{name}.yaml").write_text(template.format(data=json.dumps(str(data.resolve()))))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--passages", type=int, default=40)
    parser.add_argument("--questions", type=int, default=200)
    a = parser.parse_args()
    words = a.text.read_text(encoding="utf-8").split()
    if len(words) < max(PASSAGE, CHOICES * (CONTEXT + ENDING)):
        parser.error(f"{a.text} has {len(words)} words; give a longer text")
    a.output.mkdir(parents=True, exist_ok=True)
    write(a.output, "rotor_perplexity", PERPLEXITY, passages(words, a.passages))
    write(a.output, "rotor_continuation", CONTINUATION, questions(words, a.questions))


if __name__ == "__main__":
    main()
