"""Builds the image and tries it as a pod would run it: `make image`.

The root file system is read-only, all capabilities are dropped, and the network is loopback, where
a real Kafka and Redis are started. `--build` and `--run` are the commands of whatever builds and
runs images here, such as "docker build" and "docker run".
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version

import typer

from tests.deploy.chart import ROOT
from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.topic_checks import specs
from worker.config import Config, KafkaSettings
from worker.demo.processes import free_ports
from worker.demo.services import local_kafka, local_redis

RESTRICTED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
WRITABLE = ("--tmpfs=/tmp:mode=1777", "--tmpfs=/var/cache/mmworker:mode=1777")
READY_SECONDS = 300.0
LEAVE_SECONDS = 60.0
_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}|localhost/.+")
_SELF_EXAMINATION = """
import os, pathlib
assert (os.getuid(), os.getgid()) == (10001, 10001), os.getuid()
status = pathlib.Path("/proc/self/status").read_text()
assert "CapEff:\\t0000000000000000" in status, status
assert "NoNewPrivs:\\t1" in status, status
try:
    pathlib.Path("/opt/mmworker/x").touch()
except OSError as error:
    assert error.errno == 30, error  # read-only file system
else:
    raise AssertionError("the root file system can be written")
"""


def main() -> None:
    """Build, then try; the first thing that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, help="image with Python, NAME@sha256:...")
    parser.add_argument("--variant", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--build", default="docker build")
    parser.add_argument("--run", default="docker run")
    given = parser.parse_args()
    if not _DIGEST.fullmatch(given.base):
        sys.exit("the base image must be given by digest: NAME@sha256:..., or localhost/NAME.")
    tag = f"localhost/multimodal-worker:{version('multimodal-worker')}-{given.variant}"
    build(shlex.split(given.build), given.base, given.variant, tag)
    container = [*shlex.split(given.run), "--rm", *RESTRICTED, *WRITABLE]
    examine(container, tag)
    serve(container, tag)
    typer.echo(f"{tag} is fine")


def build(command: list[str], base: str, variant: str, tag: str) -> None:
    """Build the image."""
    revision = _output(["git", "-C", str(ROOT), "rev-parse", "HEAD"]).strip()
    arguments = {
        "BASE": base,
        "VARIANT": variant,
        "VERSION": version("multimodal-worker"),
        "REVISION": revision,
    }
    flags = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    recipe = ["-f", str(ROOT / "deploy" / "Dockerfile"), "-t", tag, str(ROOT)]
    subprocess.run([*command, *flags, *recipe], check=True)


def examine(container: list[str], tag: str) -> None:
    """See what it is inside, without any network."""
    alone = [*container, "--network=none"]
    told = _output([*alone, tag, "--version"]).strip()
    assert told == version("multimodal-worker"), told
    _output([*alone, "--entrypoint=/opt/mmworker/bin/python", tag, "-c", _SELF_EXAMINATION])
    typer.echo(f"version {told}; user 10001, no capabilities, read-only, no network")


def serve(container: list[str], tag: str) -> None:
    """Start the worker on a real Kafka and Redis, wait until it is ready, and stop it."""
    (port,) = free_ports(1)
    with local_kafka() as kafka, local_redis() as redis:
        config = Config(kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap))
        with KafkaAdmin(config.kafka) as admin:
            admin.create(specs(config.topics, 2, config.limits.max_record_bytes))
        settings = {
            "MMWORKER_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
            "MMWORKER_REDIS__URL": redis.url,
            "MMWORKER_HTTP__PORT": str(port),
        }
        flags = [f"--env={name}={value}" for name, value in settings.items()]
        began = time.monotonic()
        with subprocess.Popen([*container, "--network=host", *flags, tag]) as worker:
            try:
                _await_ready(worker, port)
                typer.echo(f"ready after {time.monotonic() - began:.0f} s")
                began = time.monotonic()
                worker.terminate()
                code = worker.wait(LEAVE_SECONDS)
            finally:
                worker.kill()
        assert code == 0, f"exit {code} after SIGTERM"
        typer.echo(f"SIGTERM: exit 0 after {time.monotonic() - began:.1f} s")


def _await_ready(worker: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if worker.poll() is not None:
            sys.exit(f"the container has ended with {worker.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"not ready within {READY_SECONDS:g} s")


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
