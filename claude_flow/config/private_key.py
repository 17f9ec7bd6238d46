"""Whether a secret file's text is a private key that a GitHub App can sign with."""

from __future__ import annotations

from claude_flow.config.secret import FileFaultError


def check_private_key(text: str) -> None:
    """Raise FileFaultError unless the text is an RSA private key in PEM form."""
    # Late: only a GitHub App needs it, and it would be most of this package's import time.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise FileFaultError("holds a private key with a passphrase; give it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise FileFaultError(
            "holds no private key in PEM form; name the .pem file that GitHub made for the App"
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise FileFaultError("holds no RSA private key, and GitHub Apps have no other")
