"""Results can carry a signed statement of their origin, for those who have a certificate."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from xdyna.provenance import (
    CERTIFICATE_VARIABLE,
    KEY_VARIABLE,
    MADE_BY_A_MODEL,
    Identity,
    describe,
    identity_from_environment,
    sign,
)
from xdyna.schema import InputError, Video
from xdyna.video import read_metadata, read_video, write_video

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is missing: it is in requirements-test.txt")
x509 = pytest.importorskip("cryptography.x509")

from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import (  # noqa: E402
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

NOW = datetime.now(UTC)
PKCS8, OPENSSL = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL
Files = tuple[Path, Path]


def name(text: str) -> "x509.Name":
    oid = x509.NameOID
    return x509.Name([x509.NameAttribute(oid.ORGANIZATION_NAME, "Tests"), x509.NameAttribute(oid.COMMON_NAME, text)])


@pytest.fixture(scope="module")
def authority() -> "tuple[x509.Certificate, ec.EllipticCurvePrivateKey]":
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate_of(key, name("A test authority"), name("A test authority"), key, is_authority=True), key


def certificate_of(key, subject, issuer, issuer_key, *, is_authority=False, until=None, purpose=None):  # type: ignore[no-untyped-def]
    until = until or NOW + timedelta(days=30)
    usage = dict.fromkeys(
        ("key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                **usage,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        allowed = [purpose or x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]
        builder = builder.add_extension(x509.ExtendedKeyUsage(allowed), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture
def issue(authority, tmp_path: Path) -> Callable[..., Files]:  # type: ignore[no-untyped-def]
    """Writes a certificate with its chain, and its key."""
    root, root_key = authority

    def write(key=None, form=PKCS8, encryption=None, **how) -> Files:  # type: ignore[no-untyped-def]
        key = key or ec.generate_private_key(ec.SECP256R1())
        own = certificate_of(key, name("A studio"), root.subject, root_key, **how)
        files = tmp_path / "chain.pem", tmp_path / "key.pem"
        files[0].write_bytes(own.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()))
        return files

    return write


@pytest.fixture
def result(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), np.uint8)
    write_video(tmp_path / "out.mp4", Video(frames=frames, fps=8.0), metadata={"comment": "AI-generated: a note"})
    return tmp_path / "out.mp4"


def sign_file(path: Path, identity: Identity) -> None:
    path.write_bytes(sign(path.read_bytes(), identity))


@pytest.mark.parametrize(
    ("make_key", "form"),
    [
        pytest.param(lambda: ec.generate_private_key(ec.SECP256R1()), PKCS8, id="P-256"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP384R1()), OPENSSL, id="P-384 as openssl writes it"),
        pytest.param(lambda: rsa.generate_private_key(65537, 2048), PKCS8, id="RSA"),
        pytest.param(ed25519.Ed25519PrivateKey.generate, PKCS8, id="Ed25519"),
    ],
)
def test_a_signed_video_says_that_a_model_made_it(
    make_key: Callable[[], object], form: object, issue: Callable[..., Files], result: Path
) -> None:
    sign_file(result, Identity.load(*issue(make_key(), form)))
    with c2pa.Reader(result) as reader:
        assert reader.get_validation_state() == "Valid"  # "Trusted" would need a root that the reader knows
        manifest = reader.get_active_manifest()
    (actions,) = [item["data"]["actions"] for item in manifest["assertions"] if "actions" in item["label"]]
    assert [(action["action"], action["digitalSourceType"]) for action in actions] == [
        ("c2pa.created", MADE_BY_A_MODEL)
    ]
    assert manifest["signature_info"]["issuer"] == "Tests"
    assert result.name not in json.dumps(manifest)


def test_pictures_and_tags_stay(issue: Callable[..., Files], result: Path) -> None:
    before = read_video(result, fps=8.0, num_frames=6).frames
    identity = Identity.load(*issue())
    sign_file(result, identity)
    assert np.array_equal(read_video(result, fps=8.0, num_frames=6).frames, before)
    assert read_metadata(result)["comment"] == "AI-generated: a note"


def test_a_changed_video_no_longer_has_the_signers_word(issue: Callable[..., Files], result: Path) -> None:
    sign_file(result, Identity.load(*issue()))
    content = bytearray(result.read_bytes())
    content[content.rindex(b"mdat") + 200] ^= 0xFF
    result.write_bytes(content)
    with c2pa.Reader(result) as reader:
        assert reader.get_validation_state() == "Invalid"


def test_a_certificate_for_something_else_is_refused(issue: Callable[..., Files], result: Path) -> None:
    identity = Identity.load(*issue(purpose=x509.ExtendedKeyUsageOID.SERVER_AUTH))
    with pytest.raises(InputError, match="could not be signed as"):
        sign(result.read_bytes(), identity)


def test_an_expired_certificate_is_refused(issue: Callable[..., Files]) -> None:
    with pytest.raises(InputError, match="not now"):
        Identity.load(*issue(until=NOW - timedelta(days=1)))


def test_a_key_with_a_password_is_refused(issue: Callable[..., Files]) -> None:
    with pytest.raises(InputError, match="without a password"):
        Identity.load(*issue(encryption=BestAvailableEncryption(b"secret")))


def test_the_key_of_another_certificate_is_refused(issue: Callable[..., Files]) -> None:
    certificate, key = issue()
    other = key.with_name("other.pem")
    other.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PKCS8, NoEncryption()))
    with pytest.raises(InputError, match=r"other\.pem is not the key of chain\.pem"):
        Identity.load(certificate, other)


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"nothing", "holds no certificate")])
def test_files_that_are_no_certificate_are_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Identity.load(path, path)


def test_nothing_set_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CERTIFICATE_VARIABLE, raising=False)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    line = describe(identity_from_environment())
    assert line.startswith("Content Credentials: off.") and CERTIFICATE_VARIABLE in line and "\n" not in line


def test_the_environment_names_the_files_and_the_key_stays_secret(
    issue: Callable[..., Files], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = issue()
    monkeypatch.setenv(CERTIFICATE_VARIABLE, str(certificate))
    monkeypatch.setenv(KEY_VARIABLE, str(key))
    identity = identity_from_environment()
    assert "A studio" in describe(identity)
    assert "PRIVATE KEY" not in repr(identity)


@pytest.mark.parametrize("given", [CERTIFICATE_VARIABLE, KEY_VARIABLE])
def test_one_of_the_two_is_a_mistake(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (CERTIFICATE_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(given, "a.pem")
    with pytest.raises(InputError, match=f"{given} is set, but"):
        identity_from_environment()


def test_without_the_library_a_set_certificate_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(InputError, match=r"xdyna\[provenance\]"):
        Identity.load(Path("a.pem"), Path("b.pem"))
