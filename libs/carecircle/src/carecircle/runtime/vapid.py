"""The VAPID key pair (RFC 8292): one private key in one file, by which push services know us.

The push worker signs with it, the API hands out its public half, the `carecircle vapid` command makes it.
"""

from __future__ import annotations

import base64
import os
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path


class UnusableVapidKey(Exception):
    """The VAPID key file cannot be used; the message says which file and why."""


def generate(path: Path) -> str:
    """Write a new private key (PEM, readable by its owner only) and return the public one.

    Raises `FileExistsError` rather than replacing a key: every subscription made with the old one would be lost.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_pem(key))
        # A link appears whole or not at all, and never over another file: a reader sees no half-written key.
        os.link(draft, path)
    finally:
        draft.unlink()
    return encode_public(key)


def load(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in this file. Raises `UnusableVapidKey`; never makes one, unlike `py_vapid.from_file`."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UnusableVapidKey(f"{path}: {error.strerror}; `carecircle vapid generate` makes a key") from error
    except (ValueError, TypeError) as error:
        raise UnusableVapidKey(f"{path} holds no unencrypted PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableVapidKey(f"{path} holds a key of another kind; VAPID needs an EC key on P-256")
    return key


def public_key(path: Path) -> str:
    """The public key as browsers want it in `applicationServerKey`: base64url of the uncompressed point, unpadded."""
    return encode_public(load(path))


def encode_public(key: ec.EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode("ascii")


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
