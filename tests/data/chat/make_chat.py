"""Makes chats.json: records of data sets, and what the transformers library renders of each by a model's template.

The templates are written for this test, each after a kind that is published: what matters is which parts of the
language and which functions they use. strftime_now is held at the day that ops/dataset holds it at.

    make_chat.py        needs transformers 5 and jinja2
"""

import datetime
import json
import pathlib
import tempfile

import transformers
import transformers.utils.chat_template_utils as chat_template_utils

FOLDER = pathlib.Path(__file__).parent
TEMPLATES = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}"
              "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "chatml_default_system": "{%- if messages[0]['role'] != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n"
                             "{%- endif %}\n{% for m in messages %}\n<|im_start|>{{ m.role }}\n{{ m.content }}"
                             "<|im_end|>\n{% endfor %}",
    "bracketed": "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content.strip() +"
                 " ' [/INST]' }}{% elif m.role == 'assistant' %}{{ ' ' + m.content | trim + ' ' + eos_token }}"
                 "{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}",
    "system_folded_in": "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set s = '<<SYS>>\\n' +"
                        " messages[0].content + '\\n<</SYS>>\\n\\n' %}{% else %}{% set rest = messages %}"
                        "{% set s = '' %}{% endif %}{% for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2"
                        " == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if loop.index0 == 0 %}"
                        "{% set c = s + m.content %}{% else %}{% set c = m.content %}{% endif %}"
                        "{{ '[' + c + ']' if m.role == 'user' else c + eos_token }}{% endfor %}",
    "headers": "{{- bos_token }}\n{%- for m in messages %}\n{{- '<|start|>' + m.role + '<|end|>\\n\\n' + m.content |"
               " trim + '<|eot|>' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n{{- '<|start|>' }}\n{%- endif %}",
    "renamed_roles": "{{ bos_token }}{% for m in messages %}{% set r = {'assistant': 'model'}.get(m.role, m.role) %}"
                     "{{ '<turn>' + r + '\\n' + (m.content | trim) + '</turn>\\n' }}{% endfor %}",
    "macro": "{% macro say(m, last=False) %}{{ m.role | upper }}: {{ m.content }}{{ '.' if last }}\n{% endmacro %}"
             "{% for m in messages %}{{ say(m, loop.last) }}{% endfor %}",
    "namespaced": "{% set ns = namespace(system='', turns=0) %}{% for m in messages %}{% if m.role == 'system' %}"
                  "{% set ns.system = m.content %}{% else %}{% set ns.turns = ns.turns + 1 %}{% endif %}{% endfor %}"
                  "{{ ns.turns }}|{{ ns.system }}|{% for m in messages if m.role != 'system' %}{{ m.content }};"
                  "{% endfor %}",
    "loop_controls": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{% if loop.index >"
                     " 3 %}{% break %}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|end|>"
                  "{% endgeneration %}{% else %}\n    {{ m.role }}: {{ m.content }}\n    {% endif %}{% endfor %}",
    "today": "{{ bos_token }}Today is {{ strftime_now('%d %B %Y') }}.\n{% for m in messages %}{{ m.content }}\n"
             "{% endfor %}",
    "tools_as_json": "{% if tools %}<tools>{% for t in tools %}{{ '\\n' + t | tojson }}{% endfor %}\n</tools>\n"
                     "{% endif %}{% for m in messages %}{% if m.tool_calls is defined and m.tool_calls %}"
                     "{% for c in m.tool_calls %}<call>{{ c.function.name }} {{ c.function.arguments | tojson }}"
                     "</call>\n{% endfor %}{% else %}{{ m.role }}={{ m.content }}\n{% endif %}{% endfor %}",
    "tools_indented": "{% if tools is not none %}{{ tools | tojson(indent=4) }}{% endif %}{% for m in messages %}"
                      "{{ m.content or '' }}/{% endfor %}",
    "documents": "{% if documents %}{% for d in documents %}[{{ loop.index }}] {{ d['title'] }}: {{ d['text'] }}\n"
                 "{% endfor %}{% endif %}{% for m in messages %}{{ m.content }}\n{% endfor %}",
    "reasoning": "{% for m in messages %}{% if m.reasoning_content is defined %}<think>{{ m.reasoning_content }}"
                 "</think>{% endif %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}|{% endfor %}",
    "thinking": "{% for m in messages %}{% if m.thinking %}<analysis>{{ m.thinking }}</analysis>{% endif %}"
                "{{ m.content }}|{% endfor %}",
    "parts": "{% for m in messages %}{{ m.role }}: {% if m.content is string %}{{ m.content }}{% else %}"
             "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{% endif %}\n"
             "{% endfor %}",
    "special_tokens": "{{ bos_token }}{{ unk_token is defined }}{{ image_token }}{% for m in messages %}{{ m.content"
                      " }}{{ eos_token }}{% endfor %}{{ pad_token }}",
    "filters": "{% for role, group in messages | groupby('role') %}{{ role }}:{{ group | map(attribute='content') |"
               " join('+') }} {% endfor %}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
               "{{ messages[::-1][0].content | replace('o', '0') | title }}",
    "whitespace": "\n{% for m in messages -%}\n    {# a remark #}\n    {%+ if m.role == 'user' %}\n  Q: {{ m.content }}\n"
                  "    {%- else %}\n  A: {{ m.content | indent(2) }}\n    {% endif %}\n{%- endfor %}\n",
    "keyed_by_dict": "{% set names = dict(user='U', assistant='A', system='S') %}{% for m in messages %}"
                     "{{ names[m.role] }}{{ '%02d' % loop.index }} {{ m.content }} {% endfor %}",
}
TOKENS = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": {
    "content": "</s>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
    "__type": "AddedToken"}, "pad_token": "<pad>", "extra_special_tokens": {"image_token": "<image>"}}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather, <now> & \"here\" in Zürich",
                                           "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}]
PLAIN = [{"role": "user", "content": " How warm is it? "}, {"role": "assistant", "content": "Quite.\nVery."},
         {"role": "user", "content": "And <now>?"}, {"role": "assistant", "content": "日本: 20 °C"}]
SYSTEM = [{"role": "system", "content": "Be kind."}, *PLAIN]
CALLS = [PLAIN[0], {"role": "assistant", "content": None, "tool_calls": [
    {"type": "function", "function": {"name": "weather", "arguments": {"at": "Zürich"}}}]},
    {"role": "tool", "content": "20"}, PLAIN[3]]
THOUGHT = [PLAIN[0], {**PLAIN[1], "reasoning_content": "Let me see."}]
RECORDS = {
    "system_folded_in": [{"messages": SYSTEM}, {"messages": PLAIN}],
    "tools_as_json": [{"messages": CALLS, "tools": TOOLS}, {"messages": PLAIN}],
    "tools_indented": [{"messages": CALLS, "tools": TOOLS}, {"messages": PLAIN}],
    "documents": [{"messages": PLAIN, "documents": [{"title": "Now", "text": "warm"}]}],
    "reasoning": [{"messages": THOUGHT}, {"messages": [PLAIN[0], {"role": "assistant", "content": "a</think>\nb"}]}],
    "thinking": [{"messages": THOUGHT}],
    "parts": [{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, PLAIN[1]]}],
    "bracketed": [{"messages": PLAIN}],
}


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 1)


def tokenizer(template):
    """With no more of a vocabulary than it needs to be opened."""
    with tempfile.TemporaryDirectory() as folder:
        words = {"<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": 3}
        pathlib.Path(folder, "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
            "decoder": None, "model": {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"}}))
        pathlib.Path(folder, "tokenizer_config.json").write_text(json.dumps(TOKENS | {"chat_template": template}))
        return transformers.AutoTokenizer.from_pretrained(folder)


def main():
    chat_template_utils.datetime = Day
    cases = []
    for name, template in TEMPLATES.items():
        opened = tokenizer(template)
        for record in RECORDS.get(name, [{"messages": SYSTEM}, {"messages": PLAIN}]):
            text = opened.apply_chat_template(record["messages"], tools=record.get("tools"),
                                              documents=record.get("documents"), tokenize=False)
            cases.append({"name": name, "template": template, "record": record, "text": text})
    result = {"transformers": transformers.__version__, "tokens": TOKENS, "cases": cases}
    (FOLDER / "chats.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
