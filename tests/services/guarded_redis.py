"""A real Redis that speaks TLS alone and knows one user, with the rights of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import redis

from tests.services.certificates import Authority
from worker.demo.services import LocalRedis, local_redis

USER = "camera-worker"
PASSWORD = "battery-staple-correct-horse"
RIGHTS = "~mmw:* +getrange +set"
_ADMIN, _ADMIN_PASSWORD = "admin", "admin"


@dataclass(frozen=True)
class GuardedRedis:
    """The server, who has certified it, and the file of its user's password."""

    server: LocalRedis
    authority: Authority
    password_file: Path

    def url(self, trusted: Path | None = None) -> str:
        """Return the address for its user, who trusts its authority or another one."""
        query = urlencode({"ssl_ca_certs": trusted or self.authority.file})
        return f"{self.server.url.replace('://', f'://{USER}@')}?{query}"

    @contextmanager
    def without(self, command: str) -> Iterator[None]:
        """Take one command away from its user, for a while."""
        self._change(f"-{command}")
        try:
            yield
        finally:
            self._change(f"+{command}")

    def _change(self, rule: str) -> None:
        url = self.url().replace(USER, _ADMIN)
        with redis.Redis.from_url(url, password=_ADMIN_PASSWORD) as admin:
            admin.execute_command("ACL", "SETUSER", USER, rule)


@contextmanager
def guarded_redis(directory: Path, authority: Authority) -> Iterator[GuardedRedis]:
    """Run it."""
    own = authority.certify("redis", "127.0.0.1")
    rules = directory / "users.acl"
    rules.write_text(
        "user default off\n"
        f"user {_ADMIN} on >{_ADMIN_PASSWORD} ~* +@all\n"
        f"user {USER} on >{PASSWORD} {RIGHTS}\n"
    )
    password_file = directory / "redis-password"
    password_file.write_text(f"{PASSWORD}\n")
    options = {
        "tls-cert-file": str(own.certificate),
        "tls-key-file": str(own.key),
        "tls-ca-cert-file": str(authority.file),
        "tls-auth-clients": "no",
        "aclfile": str(rules),
    }
    with local_redis(options) as server:
        yield GuardedRedis(server, authority, password_file)
