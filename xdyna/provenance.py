"""Content Credentials (C2PA): a signed statement inside an MP4 that a model made it. Optional; needs a certificate.

The note in the file's tags and the label in the picture need none of this and are written anyway.
"""

import io
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xdyna import __version__
from xdyna.schema import InputError

CERTIFICATE_VARIABLE, KEY_VARIABLE = "XDYNA_C2PA_CERTIFICATE", "XDYNA_C2PA_KEY"
MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
TITLE = "AI-generated video"  # not the file's name, which can be private


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who signs: a certificate and the key that belongs to it, checked.

    Attributes:
        name: whom the certificate names.
        valid_until: last moment of the certificate, UTC.
        algorithm: C2PA's name of the signature: "es256".
        chain: PEM, the signer's certificate first, then those that vouch for it.
        key: PEM, PKCS #8.
    """

    name: str
    valid_until: datetime
    algorithm: str
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> "Identity":
        """Reads and checks the two files.

        Args:
            certificate: PEM; the signer's own first, then those that vouch for it, but for the root.
            key: PEM without a password.

        Raises:
            InputError: the library is not installed, a file cannot be read, the two do not belong together, or the
                certificate is not valid now.
        """
        if find_spec("c2pa") is None:
            raise InputError(
                "A certificate for Content Credentials is set, but the library that signs is not installed. Run "
                f'`pip install "xdyna[provenance]"`, or unset {CERTIFICATE_VARIABLE}.'
            )
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            load_pem_private_key,
        )

        chain = _read(certificate, "certificate")
        try:
            own = x509.load_pem_x509_certificates(chain)[0]
        except ValueError as error:
            raise InputError(f"{certificate.name} holds no certificate. Give a PEM file.") from error
        try:
            private = load_pem_private_key(_read(key, "key"), password=None)
        except (ValueError, TypeError) as error:  # TypeError where it wants a password
            raise InputError(f"{key.name} holds no usable key. Give a PEM file without a password.") from error
        if private.public_key() != own.public_key():
            raise InputError(f"{key.name} is not the key of {certificate.name}. Give the two that belong together.")
        if not own.not_valid_before_utc <= datetime.now(UTC) <= own.not_valid_after_utc:
            raise InputError(
                f"{certificate.name} is valid from {own.not_valid_before_utc:%Y-%m-%d} to "
                f"{own.not_valid_after_utc:%Y-%m-%d}, which is not now. Give one that is valid."
            )
        return cls(
            name=own.subject.rfc4514_string(),
            valid_until=own.not_valid_after_utc,
            algorithm=_algorithm(private),
            chain=chain,
            key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )


def identity_from_environment() -> Identity | None:
    """The identity that `XDYNA_C2PA_CERTIFICATE` and `XDYNA_C2PA_KEY` name, or None where neither is set.

    Ask before a run, so that a mistake in them costs no run.

    Raises:
        InputError: only one is set, or as for `Identity.load`.
    """
    certificate, key = os.environ.get(CERTIFICATE_VARIABLE), os.environ.get(KEY_VARIABLE)
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing, given = (KEY_VARIABLE, CERTIFICATE_VARIABLE) if certificate else (CERTIFICATE_VARIABLE, KEY_VARIABLE)
        raise InputError(f"{given} is set, but {missing} is not. Set both to sign results, or neither.")
    return Identity.load(Path(certificate), Path(key))


def describe(identity: Identity | None) -> str:
    """One line for people: whether results are signed, and by whom."""
    if identity is None:
        return (
            "Content Credentials: off. Results are labelled in the picture and in the file's tags. To sign them too, "
            f"set {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}."
        )
    return f"Content Credentials: signed as {identity.name}, certificate valid until {identity.valid_until:%Y-%m-%d}."


def sign(content: bytes, identity: Identity) -> bytes:
    """Return an MP4 with a signed statement that a model made it, and by which program.

    Pictures, sound and tags stay as they are.

    Args:
        content: the MP4 without one.
        identity: who signs.

    Raises:
        InputError: the certificate is not one for Content Credentials.
    """
    import c2pa

    signed = io.BytesIO()
    try:
        info = c2pa.C2paSignerInfo(
            getattr(c2pa.C2paSigningAlg, identity.algorithm.upper()), identity.chain, identity.key, None
        )
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(_manifest())) as builder:
            builder.sign(signer, "video/mp4", io.BytesIO(content), signed)
    except c2pa.C2paError as error:
        raise InputError(
            f"The result could not be signed as {identity.name}: {error}. The certificate must allow signing "
            f"documents or e-mail and come with those that vouch for it; or unset {CERTIFICATE_VARIABLE}."
        ) from error
    return signed.getvalue()


def _manifest() -> dict[str, Any]:
    program = {"name": "xdyna", "version": __version__}
    created = {"action": "c2pa.created", "digitalSourceType": MADE_BY_A_MODEL, "softwareAgent": program}
    return {
        "claim_generator_info": [program],
        "title": TITLE,
        "format": "video/mp4",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The {what} {path} cannot be read ({error.strerror}). Check the path and its rights."
        ) from error


def _algorithm(key: object) -> str:
    """The C2PA name of the signature that a private key makes."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    raise InputError("Content Credentials need a key of kind P-256, P-384, P-521, RSA or Ed25519. Give one of these.")
