"""Certificates and tokens that a coordinator, workers and clients trust one another by, and what a client is told."""

import subprocess
import time

from service import harness


def make_token(directory, name, role, *options):
    """Adds to the tokens file of the directory; returns the file that holds the token."""
    done = subprocess.run([harness.BIN / "rotor-coordinator", "make-token", name, "--role", role,
                           "--tokens", directory / "tokens", *map(str, options)],
                          capture_output=True, text=True, check=True)
    path = directory / f"token-{name}"
    path.write_text(done.stdout)
    return path


class Authority:
    """Signs certificates with the openssl program."""

    def __init__(self, directory, name):
        self.directory = directory
        self.certificate = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        self._openssl("req", "-x509", *self._new_key(self.key), "-out", self.certificate, "-days",
                      "2", "-subj", f"/CN={name}")

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]

    def sign(self, stem, name="localhost", days=2):
        """(certificate, key) for a host or a person of that name."""
        certificate, key = self.directory / f"{stem}.pem", self.directory / f"{stem}.key"
        request, extensions = self.directory / f"{stem}.csr", self.directory / f"{stem}.ext"
        self._openssl("req", *self._new_key(key), "-out", request, "-subj", f"/CN={name}")
        address = ",IP:127.0.0.1" if name == "localhost" else ""
        extensions.write_text(f"subjectAltName=DNS:{name}{address}\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                      "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key


def rotor(address, *arguments, timeout=3):
    """Exit code and all output of one command."""
    done = subprocess.run([harness.BIN / "rotor", *map(str, arguments), "--coordinator", address,
                           "--timeout", str(timeout)], capture_output=True, text=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def wait_until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.2)
