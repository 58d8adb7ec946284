"""The VAPID key file: made once, for its owner only, never replaced and never made by accident."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from carecircle.runtime import vapid

if TYPE_CHECKING:
    from pathlib import Path


def test_generated_key_is_private_to_its_owner_and_gives_the_same_public_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vapid.pem"
    made = vapid.generate(path)

    assert path.stat().st_mode & 0o777 == 0o400
    assert vapid.public_key(path) == made
    point = base64.urlsafe_b64decode(made + "==="[: -len(made) % 4])
    assert len(point) == 65
    assert point[0] == 4
    assert [entry.name for entry in path.parent.iterdir()] == ["vapid.pem"]


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "vapid.pem"
    first = vapid.generate(path)

    with pytest.raises(FileExistsError):
        vapid.generate(path)

    assert vapid.public_key(path) == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["vapid.pem"]


def test_a_missing_key_is_an_error_and_makes_no_file(tmp_path: Path) -> None:
    # py_vapid.from_file writes a new key when the file is missing: every subscription would answer 403 from then on.
    with pytest.raises(vapid.UnusableVapidKey, match=r"vapid\.pem.*vapid generate"):
        vapid.load(tmp_path / "vapid.pem")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(rsa.generate_private_key(65537, 2048), id="rsa"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="other-curve"),
    ],
)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    path = tmp_path / "vapid.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )

    with pytest.raises(vapid.UnusableVapidKey, match="P-256"):
        vapid.load(path)


def test_garbage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vapid.pem"
    path.write_text("not a key")

    with pytest.raises(vapid.UnusableVapidKey, match="PEM"):
        vapid.load(path)
