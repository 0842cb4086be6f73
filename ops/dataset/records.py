"""What a record of a data set is: a document for rotor, or a chat that becomes one."""

import json

from failure import Failure

READ_AS_THEY_ARE = ("text", "add_special_tokens", "input_ids", "attention_mask")
SPEAKERS = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}


def bad(message, key):
    return Failure("BAD_CALIBRATION_DATA", message, key=key)


def check_messages(messages, key):
    if not isinstance(messages, list) or not messages:
        raise bad(f'"{key}" must be an array of messages', key)
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise bad(f'"{key}": a message is an object with "role" and "content"', key)
        content = message.get("content")
        if content is None and not message.get("tool_calls"):
            raise bad(f'"{key}": a message of "{message["role"]}" has no "content"', key)
        for part in content if isinstance(content, list) else []:
            if not isinstance(part, dict) or part.get("type", "text") != "text":
                raise bad(f'"{key}": a message holds more than text, and calibration sees text alone', key)
    return messages


def shared(turns):
    """The messages of ShareGPT's turns; some files have them as messages already."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise bad('"conversations" must be an array of turns', "conversations")
    messages = []
    for turn in turns:
        if "from" not in turn:
            messages.append(turn)
            continue
        if not isinstance(turn["from"], str) or turn["from"] not in SPEAKERS:
            known = ", ".join(SPEAKERS)
            raise bad(f'"conversations": "from" is {json.dumps(turn["from"], default=str)}; known are {known}', "conversations")
        messages.append({"role": SPEAKERS[turn["from"]], "content": turn.get("value", "")})
    return check_messages(messages, "conversations")


def said(value, role, key):
    """A prompt or a completion: text of that role, or messages."""
    return [{"role": role, "content": value}] if isinstance(value, str) else check_messages(value, key)


def messages_of(record):
    """Of a record that is a chat; none where it is not."""
    if "messages" in record:
        return check_messages(record["messages"], "messages")
    if "conversations" in record:
        return shared(record["conversations"])
    if "prompt" in record and "completion" in record:
        return said(record["prompt"], "user", "prompt") + said(record["completion"], "assistant", "completion")
    return None


def listed(record, key):
    """Tools and documents; some files hold them as JSON in a string."""
    value = record.get(key)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except json.JSONDecodeError as error:
            raise bad(f'"{key}" is no JSON: {error}', key) from error
    if value is not None and not isinstance(value, list):
        raise bad(f'"{key}" must be an array', key)
    return value or None


def document(record, template):
    if isinstance(record, str):
        return {"text": record}
    if not isinstance(record, dict):
        raise bad("a record must be an object", "")
    if "text" in record or "input_ids" in record:
        return {key: record[key] for key in READ_AS_THEY_ARE if key in record}
    messages = messages_of(record)
    if messages is None:
        keys = ", ".join(f'"{key}"' for key in record)
        raise bad('a record needs "messages", "conversations", "prompt" with "completion", "text" or "input_ids", '
                  f"and this one has {keys or 'nothing'}", "")
    if isinstance(record.get("system"), str) and record["system"] and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": record["system"]}, *messages]
    text = template.render(messages, tools=listed(record, "tools"), documents=listed(record, "documents"))
    # The template writes the special tokens itself.
    return {"text": text, "add_special_tokens": False}
