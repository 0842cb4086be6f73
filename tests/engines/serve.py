#!/usr/bin/env python3
"""Serves a checkpoint with `vllm serve` and asks it to go on with a prompt: serve.py DIR [--prompt TEXT] [--tokens N]

Prints the command, the answer and how long the server took to be ready; exits with 1 if there was no answer. Words behind
`--` go to `vllm serve`. Needs a GPU and a Python that has vLLM (this one).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ADDRESS = "http://127.0.0.1:{port}"


def post(address, path, body):
    request = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def is_ready(address):
    try:
        with urllib.request.urlopen(address + "/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--prompt", default="## EXAMPLES\n\n### Example 1:")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--timeout", type=int, default=240, help="seconds until it has to be ready")
    parser.add_argument("options", nargs="*", help="of vllm serve")
    options = parser.parse_args()

    address = ADDRESS.format(port=options.port)
    command = ["serve", options.checkpoint, "--port", str(options.port), *options.options]
    print("vllm", *command, flush=True)
    start = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        server = subprocess.Popen([sys.executable, "-m", "vllm.entrypoints.cli.main", *command], stdout=log,
                                  stderr=subprocess.STDOUT)
        try:
            while server.poll() is None and not is_ready(address) and time.monotonic() < start + options.timeout:
                time.sleep(0.5)
            if not is_ready(address):
                log.seek(0)
                print(log.read()[-4000:])
                return 1
            print(f"ready after {time.monotonic() - start:.0f} s")
            answer = post(address, "/v1/completions", {"model": options.checkpoint, "prompt": options.prompt,
                                                       "max_tokens": options.tokens, "temperature": 0})
        finally:
            server.terminate()
            server.wait(timeout=60)
    text = answer["choices"][0]["text"]
    print(options.prompt + text)
    return not text.strip()


if __name__ == "__main__":
    sys.exit(main())
