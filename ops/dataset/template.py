"""The chat template of a model directory, rendered in a sandbox as the transformers library renders it."""

import datetime
import json
import pathlib

from failure import Failure

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
REASONING = ("reasoning_content", "thinking", "reasoning")
# Of templates that write the date of today: results must not change from day to day.
TODAY = datetime.datetime(2026, 1, 1)


def bad_tokenizer(path, message):
    return Failure("BAD_TOKENIZER", f"{path}: {message}", file=str(path))


def text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise bad_tokenizer(path, error) from error


def load(path):
    try:
        value = json.loads(text_of(path)) if path.exists() else {}
    except ValueError as error:
        raise bad_tokenizer(path, error) from error
    if not isinstance(value, dict):
        raise bad_tokenizer(path, "it must hold an object")
    return value


def find_templates(folder, config):
    """By name; "default" is the one for a chat without anything else."""
    found = config.get("chat_template") or load(folder / "chat_template.json").get("chat_template") or {}
    if isinstance(found, str):
        found = {"default": found}
    elif isinstance(found, list):
        try:
            found = {entry["name"]: entry["template"] for entry in found}
        except (LookupError, TypeError) as error:
            raise bad_tokenizer(folder, '"chat_template" must hold objects with "name" and "template"') from error
    main = folder / "chat_template.jinja"
    if main.exists():
        found = {"default": text_of(main)}
        for path in sorted(folder.glob("additional_chat_templates/*.jinja")):
            found[path.stem] = text_of(path)
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise bad_tokenizer(folder, '"chat_template" must be text')
    return found


def special_tokens(folder, config):
    tokens = {**load(folder / "special_tokens_map.json"), **config}
    names = [*SPECIAL_TOKENS]
    named = tokens.get("extra_special_tokens")
    if isinstance(named, dict):
        tokens = {**named, **tokens}
        names += named
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in tokens.items()}
    return {name: texts[name] for name in names if isinstance(texts.get(name), str)}


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def make_environment():
    try:
        import jinja2
        import jinja2.ext
        import jinja2.sandbox
    except ImportError as error:
        raise Failure("MISSING_LIBRARY", "chats are rendered with Jinja2, which this Python lacks: install it "
                      "(apt-get install python3-jinja2)") from error

    class Generation(jinja2.ext.Extension):
        """{% generation %} marks what the assistant says; here it is rendered like the rest."""

        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.Scope(body, lineno=line)

    def raise_exception(message):
        raise jinja2.TemplateError(message)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = TODAY.strftime
    return environment, jinja2.TemplateError


def with_reasoning(message):
    """Templates know what was thought by two names."""
    thought = next((message[key] for key in REASONING if message.get(key) is not None), None)
    return message if thought is None else {"thinking": thought, **message, "reasoning_content": thought}


class ChatTemplate:
    """Loaded when the first chat is rendered: other records need none."""

    def __init__(self, model):
        self.folder = pathlib.Path(model)
        self.compiled = None

    def load(self):
        config = load(self.folder / "tokenizer_config.json")
        templates = find_templates(self.folder, config)
        if not templates:
            raise Failure("NO_CHAT_TEMPLATE", f"{self.folder}: the model has no chat template (chat_template.jinja, or "
                          "chat_template in tokenizer_config.json), so it was hardly trained on chats: give text, or "
                          "the template of the model that it was made from", file=str(self.folder))
        environment, self.error = make_environment()
        self.tokens = special_tokens(self.folder, config)
        try:
            self.compiled = {name: environment.from_string(text) for name, text in templates.items()}
        except self.error as error:
            raise self.failed(error) from error

    def failed(self, error):
        return Failure("BAD_CHAT_TEMPLATE", f"the chat template of {self.folder} says: {error}")

    def chosen(self, tools):
        if tools and "tool_use" in self.compiled:
            return self.compiled["tool_use"]
        if "default" not in self.compiled:
            raise Failure("NO_CHAT_TEMPLATE", f"{self.folder}: none of its chat templates is named default")
        return self.compiled["default"]

    def render(self, messages, tools=None, documents=None):
        if self.compiled is None:
            self.load()
        try:
            return self.chosen(tools).render(messages=[with_reasoning(message) for message in messages], tools=tools,
                                             documents=documents, add_generation_prompt=False, **self.tokens)
        except (self.error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise self.failed(error) from error
