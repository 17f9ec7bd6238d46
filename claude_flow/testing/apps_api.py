"""GitHub Apps in the stand-in: who may act as one, and the tokens it gets for that."""

from __future__ import annotations

from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from claude_flow.testing.exchange import Answer, ApiError, Call
from claude_flow.testing.github_api import Api
from claude_flow.testing.github_json import time_text
from claude_flow.testing.records import AppRecord

_LONGEST_SECONDS = 600
_RSA_BITS = 2048
_UNREADABLE = "A JSON web token could not be decoded"


def new_key_pair() -> tuple[str, str]:
    """A private and its public key as GitHub makes them, in PEM form."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class AppsApi(Api):
    """What an App does as itself, by a JWT that its key has signed."""

    def app_of(self, bearer: str) -> AppRecord:
        """The App that signed the JWT, judged as GitHub does. Raises ApiError."""
        app = self.state.apps.get(_issuer(bearer))
        if app is None:
            raise ApiError(404, "Integration not found")
        # The times are told by the world's clock, which may be a test's.
        try:
            claims = jwt.decode(
                bearer,
                app.public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise ApiError(401, _UNREADABLE) from error
        now = int(self.state.now().timestamp())
        if not isinstance(claims.get("iat"), int) or claims["iat"] > now:
            raise ApiError(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the "
                "assertion was issued",
            )
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= now:
            raise ApiError(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future "
                "time at which the assertion expires",
            )
        if claims["exp"] > now + _LONGEST_SECONDS:
            raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
        return app

    def get_app(self, call: Call) -> Answer:
        """``GET /app``."""
        app = self.state.apps[int(call.login)]
        return Answer(self.render.app(app, self.state.add_user(app.owner)))

    def create_token(self, call: Call) -> Answer:
        """``POST /app/installations/{installation_id}/access_tokens``: for all repositories."""
        call.refuse_unserved()
        app = self.state.apps[int(call.login)]
        if call.params["installation_id"] != str(app.installation_id) or not app.is_installed:
            raise ApiError(404, "Not Found")
        if app.is_suspended:
            raise ApiError(403, "This installation has been suspended")
        token, expires_at = self.state.new_app_token(app)
        return Answer(
            {
                "token": token,
                "expires_at": time_text(expires_at),
                "permissions": dict(app.permissions),
                "repository_selection": "all",
            },
            201,
        )


def _issuer(bearer: str) -> int:
    """The App's id that a JWT names, not yet believed."""
    try:
        claims: dict[str, Any] = jwt.decode(bearer, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise ApiError(401, _UNREADABLE) from error
    issuer = str(claims.get("iss", ""))
    if not issuer.isdecimal():
        raise ApiError(401, "'Issuer' claim ('iss') must be an Integer")
    return int(issuer)
