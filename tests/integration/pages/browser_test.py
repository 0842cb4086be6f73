"""The pages in a real browser: the report beside a checkpoint, a comparison, an analysis, the
coordinator's status page. Each is drawn and printed; the colours of its errors have to be seen. Pictures stay in ROTOR_PICTURES, if that is
set, for people to look at."""

import contextlib
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import zlib

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "faults"))
import service  # noqa: E402
from service import harness  # noqa: E402

CALIBRATION = ["--calibration", str(harness.TEXT), "--sequences", "12", "--seq-len", "256"]
WIDTH, HEIGHT = 1200, 2600


def browser():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise AssertionError("no Chromium here: ops/install-dependencies chromium")


def pixels(path):
    """An 8-bit PNG without interlacing, as Chromium writes it: [height, width, 3]."""
    data = path.read_bytes()
    at, packed, width, height, channels = 8, b"", 0, 0, 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            channels = {2: 3, 6: 4}[colour]
            if depth != 8:
                raise AssertionError(f"{path}: {depth} bits")
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    rows = numpy.frombuffer(zlib.decompress(packed), numpy.uint8).reshape(height, 1 + width * channels)
    image = numpy.zeros((height, width, channels), numpy.int32)
    above = numpy.zeros((width, channels), numpy.int32)
    for y, row in enumerate(rows):
        line = row[1:].reshape(width, channels).astype(numpy.int32)
        if row[0] == 2:
            line = (line + above) % 256
        elif row[0] == 1:
            line = numpy.cumsum(line, axis=0) % 256
        elif row[0] in (3, 4):
            line = unfiltered(line, above, row[0])
        image[y] = above = line
    return image[:, :, :3]


def unfiltered(line, above, kind):
    left, corner = numpy.zeros(line.shape[1], numpy.int32), numpy.zeros(line.shape[1], numpy.int32)
    out = numpy.zeros_like(line)
    for x, value in enumerate(line):
        up = above[x]
        if kind == 3:
            guess = (left + up) // 2
        else:
            ends = left + up - corner
            a, b, c = abs(ends - left), abs(ends - up), abs(ends - corner)
            guess = numpy.where((a <= b) & (a <= c), left, numpy.where(b <= c, up, corner))
        left, corner = (value + guess) % 256, up
        out[x] = left
    return out


def coloured(image):
    """Pixels that are neither grey nor nearly so: of heat maps, strips and bars."""
    return int(((image.max(axis=2) - image.min(axis=2)) > 90).sum())


def draw(url, name, least, pictures):
    """Draws and prints a page, and counts what is coloured in it."""
    picture, printed = pictures / f"{name}.png", pictures / f"{name}.pdf"
    common = [browser(), "--headless", "--disable-gpu", "--hide-scrollbars",
              f"--window-size={WIDTH},{HEIGHT}", f"--user-data-dir={pictures / 'profile'}",
              *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    for output in (f"--screenshot={picture}", f"--print-to-pdf={printed}"):
        subprocess.run([*common, output, url], check=True, capture_output=True, timeout=120)
    seen = coloured(pixels(picture))
    if seen < least:
        raise AssertionError(f"{name}: {seen} coloured pixels, expected {least} and more: {picture}")
    if not printed.read_bytes().startswith(b"%PDF"):
        raise AssertionError(f"{name} cannot be printed")


def main():
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(harness.temporary_directory()))
        pictures = pathlib.Path(os.environ.get("ROTOR_PICTURES") or directory / "pictures")
        pictures.mkdir(parents=True, exist_ok=True)
        for name, bits in (("a", "nvfp4"), ("b", "mxfp4")):
            harness.run(harness.quantize_command(directory / name, "--format", bits, "--ranks", 1,
                                                 calibration=CALIBRATION))
        draw(f"file://{directory / 'a' / 'rotor_report.html'}", "report", 20000, pictures)
        page = directory / "compared.html"
        harness.run([service.ROTOR, "compare", directory / "a", directory / "b", "--html", page, "-o", "json"])
        draw(f"file://{page}", "comparison", 20000, pictures)
        page = directory / "analysis.html"
        harness.run([service.ROTOR, "analyze", harness.MODEL, *CALIBRATION, "--device", harness.DEVICE, "--layers", "0,3",
                     "--no-timing", "--html", page, "-o", "json"])
        draw(f"file://{page}", "analysis", 10000, pictures)

        process = stack.enter_context(service.coordinator_process(directory, "--status-listen", "127.0.0.1:0"))
        address = f"127.0.0.1:{process.ports[0]}"
        status = dict(port.split("=") for port in process.ports if "=" in port)["status"]
        job = service.submit(address, directory / "out", CALIBRATION)
        with service.gang(address):
            with service.events(address, job) as events:
                next(event for event in events if event.get("state") == "SUCCEEDED")
        draw(f"http://127.0.0.1:{status}/", "status", 500, pictures)
        page = directory / "job.html"
        harness.run([service.ROTOR, "report", job, "--html", page, "--coordinator", address, "-o", "json"])
        draw(f"file://{page}", "job", 20000, pictures)
    print("the pages are drawn and printed")


if __name__ == "__main__":
    main()
