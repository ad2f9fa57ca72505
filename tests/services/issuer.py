"""An issuer of signed tokens, which brokers check by its published keys."""

from __future__ import annotations

import json
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE = "kafka"
ISSUER = "https://issuer.example.org"
_KEY_ID = "first"
_ALGORITHM = "ES256"


class Issuer:
    """Its public keys are in a file, as they would be at its address."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(self._key.public_key(), as_dict=True)
        keys = {"keys": [public | {"kid": _KEY_ID, "alg": _ALGORITHM, "use": "sig"}]}
        self.keys = directory / "jwks.json"
        self.keys.write_text(json.dumps(keys))

    def token(self, user: str, *, lifetime_seconds: int = 600, audience: str = AUDIENCE) -> str:
        """Return a token for a user; a lifetime below zero has passed."""
        now = int(time.time())
        claims = {
            "sub": user,
            "iss": ISSUER,
            "aud": audience,
            "iat": now - 3600,
            "exp": now + lifetime_seconds,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": _KEY_ID})
