"""A coordinator with everything that it can tell switched on, while a small job runs: the metrics are scraped, the
status page is parsed, the log and the audit log are read. The job's output has a name that would run a script on a
page that does not escape."""

import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "faults"))
import service  # noqa: E402
from service import harness  # noqa: E402

HOSTILE = "<script>alert('x')</script>&\"new\""
CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "96", "--seq-len", "256"]
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")


# What is on this host is asked without a proxy, whatever the environment names.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(port, path="/"):
    with DIRECT.open(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return answer.headers, answer.read().decode()


def scrape(port):
    """(name, labels) -> value; every line must be a comment or a sample."""
    found = {}
    for line in fetch(port, "/metrics")[1].splitlines():
        if not line or line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        if match is None:
            raise AssertionError(f"no line of metrics: {line!r}")
        found[match[1], match[2] or ""] = float(match[3])
    return found


class Page(html.parser.HTMLParser):
    """Tags that were opened, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.strips = [], "", 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.strips += tag == "i" and "style" in dict(attributes)

    def handle_data(self, data):
        self.words += data


def check_page(port, job):
    headers, text = fetch(port)
    page = Page(text)
    if {"script", "img", "link", "iframe"} & set(page.tags):
        raise AssertionError(f"the page is not its own alone: {sorted(set(page.tags))}")
    if "default-src 'none'" not in headers["Content-Security-Policy"]:
        raise AssertionError("the page may load what it likes")
    for word in (job, HOSTILE):
        if word not in page.words:
            raise AssertionError(f"the page does not show {word}: {page.words}")
    return page


def of(samples, metric):
    return [value for (name, _), value in samples.items() if name == metric]


def wait_for_the_gang(ports, job):
    """Until one look shows its lease, both ranks and a layer: a rank's figures come with its heartbeats."""
    deadline = time.monotonic() + 60
    while True:
        during, page = scrape(ports["metrics"]), check_page(ports["status"], job)
        memory = of(during, "rotor_rank_memory_bytes")
        if memory and min(memory) <= 0:
            raise AssertionError(f"a rank without memory: {memory}")
        if len(of(during, "rotor_lease_age_seconds")) == 1 and len(memory) == 2 and page.strips >= 1:
            return
        if during["rotor_jobs", 'state="RUNNING"'] != 1 or time.monotonic() > deadline:
            raise AssertionError(f"nothing of the gang while it ran: {during}")


def ports_of(process):
    return dict(port.split("=") for port in process.ports if "=" in port)


def main():
    with harness.temporary_directory() as name:
        directory = pathlib.Path(name)
        audit = directory / "audit.jsonl"
        with service.coordinator_process(directory, "--metrics-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0",
                                         "--audit-log", audit, "--log-format", "json", "--log-level", "info",
                                         stderr=subprocess.PIPE) as process:
            address = f"127.0.0.1:{process.ports[0]}"
            ports = ports_of(process)
            job = service.submit(address, directory / "new" / HOSTILE, CALIBRATION)
            before = scrape(ports["metrics"])
            if before['rotor_jobs', 'state="PENDING"'] != 1:
                raise AssertionError(f"no job in the queue: {before}")
            check_page(ports["status"], job)
            with service.gang(address):
                with service.events(address, job) as events:
                    next(event for event in events if event.get("event") == "committed")
                    wait_for_the_gang(ports, job)
                    state = [e for e in events if e.get("event") == "state"][-1]["state"]
            after = scrape(ports["metrics"])
            if state != "SUCCEEDED" or after['rotor_jobs', 'state="SUCCEEDED"'] != 1:
                raise AssertionError(f"the job is {state}")
            if after["rotor_layers_committed_total", ""] != 4 or after["rotor_calibration_tokens_total", ""] != 4 * 96 * 256:
                raise AssertionError(f"not four layers: {after}")
            if after["rotor_uploaded_bytes_total", ""] < 1e6 or after["rotor_disk_free_bytes", 'disk="state"'] <= 0:
                raise AssertionError(f"no upload, or no disk: {after}")
            if not any(m == "rotor_calls_total" and 'method="SubmitJob"' in labels and 'code="OK"' in labels
                       for m, labels in after):
                raise AssertionError("no call was counted")
            if check_page(ports["status"], job).strips != 4:
                raise AssertionError("the page does not show four layers")
            harness.run([service.ROTOR, "cancel", job, "--coordinator", address, "-o", "json"], expect=2)
            deadline = time.monotonic() + 10
            while "CancelJob" not in audit.read_text() and time.monotonic() < deadline:
                time.sleep(0.05)
            process.terminate()
            log = [json.loads(line) for line in process.communicate(timeout=30)[1].splitlines()]
        if not any("committed" in line["message"] for line in log) or {"time", "level", "message"} != set(log[0]):
            raise AssertionError(f"not the log that was asked for: {log[:3]}")
        entries = {entry["call"]: entry for entry in map(json.loads, audit.read_text().splitlines())}
        if entries["SubmitJob"]["code"] != "OK" or HOSTILE not in entries["SubmitJob"]["target"]:
            raise AssertionError(f"the submit is not on record: {entries}")
        if entries["CancelJob"]["reason"] != "JOB_ENDED" or entries["CancelJob"]["target"] != job:
            raise AssertionError(f"the refused cancel is not on record: {entries}")
        if "Attach" not in entries or not entries["Attach"]["from"].startswith("ipv4:127.0.0.1:"):
            raise AssertionError(f"the workers are not on record: {entries}")
    print("metrics, status page, log and audit log tell of the job")


if __name__ == "__main__":
    main()
