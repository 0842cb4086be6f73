"""Who gets in: TLS on both sides and tokens, each way in which they can be wrong, and their rotation
while the coordinator runs.

faults.31, faults.40 (a stranger cannot be a worker).
"""

import pathlib
import shutil
import subprocess
import sys
import unittest

import access_service as access
import service
from service import harness

DONE, USAGE, UNREACHABLE, CONFIGURATION = 0, 2, 69, 78


class Access(unittest.TestCase):
    def setUp(self):
        temporary = harness.temporary_directory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)
        self.authority = access.Authority(self.directory, "authority")
        self.stranger = access.Authority(self.directory, "stranger")
        self.certificate, self.key = self.authority.sign("server")

    def tls(self, *more):
        return ["--tls-cert", self.certificate, "--tls-key", self.key, *more]

    def expect(self, code, words, address, *arguments):
        got, output = access.rotor(address, *arguments)
        self.assertEqual(got, code, output)
        self.assertIn(words, output)

    def refuses_to_start(self, words, *options, **listen):
        command = service.coordinator_command(self.directory, *options, **listen)
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, CONFIGURATION, done.stderr)
        self.assertIn(words, done.stderr)

    def replace_server(self, pair):
        """Whole files, as a tool that renews certificates puts them there."""
        for new, old in zip(pair, (self.certificate, self.key)):
            shutil.copy(new, str(old) + ".new")
            pathlib.Path(str(old) + ".new").rename(old)

    def test_none_wrong_authority_wrong_name(self):
        ca = ["--tls-ca", self.authority.certificate]
        with service.coordinator_process(self.directory, *self.tls()) as server:
            address = "localhost:" + server.ports[0]
            self.expect(DONE, "", address, "jobs", *ca)
            self.expect(UNREACHABLE, "did not answer", address, "jobs")
            self.expect(UNREACHABLE, "did not answer", address, "jobs", "--tls-ca",
                        self.stranger.certificate)
            self.expect(CONFIGURATION, "no-such-file", address, "jobs", "--tls-ca", "no-such-file")
            # Another name, then one that has expired, without a restart; then a good one again.
            self.replace_server(self.authority.sign("other", "other.example"))
            access.wait_until(lambda: access.rotor(address, "jobs", *ca)[0] == UNREACHABLE,
                               "a certificate for another host must be refused")
            self.replace_server(self.authority.sign("expired", days=-1))
            access.wait_until(lambda: access.rotor(address, "jobs", *ca)[0] == UNREACHABLE,
                               "an expired certificate must be refused")
            self.replace_server(self.stranger.sign("moved"))
            access.wait_until(lambda: access.rotor(
                address, "jobs", "--tls-ca", self.stranger.certificate)[0] == DONE,
                               "a rotated certificate must be used")
            self.expect(UNREACHABLE, "did not answer", address, "jobs", *ca)

    def test_client_certificates(self):
        good = self.authority.sign("gang", "gang-1.example")
        bad = self.stranger.sign("intruder", "gang-1.example")
        ca = ["--tls-ca", self.authority.certificate]
        as_client = lambda pair: [*ca, "--tls-cert", pair[0], "--tls-key", pair[1]]  # noqa: E731
        required = self.tls("--tls-client-ca", self.authority.certificate)
        with service.coordinator_process(self.directory, *required) as server:
            address = "localhost:" + server.ports[0]
            self.expect(DONE, "", address, "jobs", *as_client(good))
            self.expect(UNREACHABLE, "", address, "jobs", *ca)
            self.expect(UNREACHABLE, "", address, "jobs", *as_client(bad))
        tokens = self.directory / "tokens"
        tokens.write_text("gang read cert:gang-1.example\n")
        with service.coordinator_process(self.directory, *required, "--tokens", tokens) as server:
            address = "localhost:" + server.ports[0]
            self.expect(DONE, "", address, "jobs", *as_client(good))
            self.expect(CONFIGURATION, "none was shown", address, "jobs", *ca)
            # A whole ID, which is not looked up before the coordinator is asked.
            self.expect(USAGE, "needs the role submit", address, "cancel", "jobs/0123456789abcdef",
                        *as_client(good))

    def test_what_does_not_start(self):
        self.refuses_to_start("--insecure", listen="0.0.0.0:0")
        self.refuses_to_start("--tokens", *self.tls(), listen="0.0.0.0:0")
        expired = self.authority.sign("expired", days=-1)
        self.refuses_to_start("has expired", "--tls-cert", expired[0], "--tls-key", expired[1])
        self.refuses_to_start("is not the key", "--tls-cert", self.certificate, "--tls-key",
                              self.stranger.key)
        broken = self.directory / "broken"
        broken.write_text("alice submit sha256:short\n")
        self.refuses_to_start("broken:1", "--tokens", broken)

    def test_tokens_and_roles(self):
        reader = access.make_token(self.directory, "reader", "read")
        worker = access.make_token(self.directory, "gang", "worker")
        alice = access.make_token(self.directory, "alice", "submit", "--jobs", 1)
        bob = access.make_token(self.directory, "bob", "submit")
        admin = access.make_token(self.directory, "admin", "admin")
        submit = ["submit", harness.MODEL, "--format", "mxfp4", *harness.CALIBRATION]
        with service.coordinator_process(self.directory, "--tokens", self.directory / "tokens",
                                 "--worker-listen", "127.0.0.1:0") as server:
            address, workers = ("127.0.0.1:" + port for port in server.ports)
            as_ = lambda token: ["--token-file", token]  # noqa: E731
            self.expect(CONFIGURATION, "none was shown", address, "jobs")
            forged = self.directory / "forged"
            forged.write_text("rotor-" + 64 * "0" + "\n")
            self.expect(CONFIGURATION, "not known here", address, "jobs", *as_(forged))
            self.expect(DONE, "", address, "jobs", *as_(reader))
            self.expect(USAGE, "needs the role read", address, "jobs", *as_(worker))
            one = ["--output", self.directory / "one"]
            self.expect(USAGE, "needs the role submit", address, *submit, *one, *as_(reader))
            job = harness.run([*map(str, [harness.BIN / "rotor", *submit, *one, *as_(alice),
                                          "--coordinator", address]), "-o", "json"])["job"]
            self.expect(1, "as many as it may", address, *submit, "--output",
                        self.directory / "two", *as_(alice))
            self.expect(USAGE, "only its owner", address, "cancel", job, *as_(bob))
            # On the workers' listener there are no jobs, and on the other one no work.
            self.expect(2, "", workers, "jobs", *as_(admin))
            for where, token in ((workers, forged), (workers, alice), (address, worker)):
                gang = service.gang_command(where, "--log-level", "warn", *as_(token), ranks=1,
                                            drain_seconds=0)
                done = subprocess.run(list(map(str, gang)),
                                      capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, CONFIGURATION, done.stderr)
            with service.running(service.gang_command(workers, "--log-level", "warn", *as_(worker),
                                                      ranks=1, drain_seconds=0)):
                access.wait_until(lambda: "SUCCEEDED" in access.rotor(
                    address, "status", job, *as_(reader))[1], "the job's end", 120)
            # Withdrawn and replaced while the coordinator runs.
            tokens = self.directory / "tokens"
            lines = [line for line in tokens.read_text().splitlines() if "alice" not in line]
            tokens.write_text("\n".join(lines) + "\n")
            access.wait_until(lambda: access.rotor(address, "jobs", *as_(alice))[0] ==
                               CONFIGURATION, "a withdrawn token must be refused")
            access.make_token(self.directory, "alice", "submit")
            access.wait_until(lambda: access.rotor(address, "jobs", *as_(alice))[0] == DONE,
                               "a new token must be known")
            self.assertEqual((self.directory / "state").stat().st_mode & 0o777, 0o700)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
