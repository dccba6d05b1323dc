"""TLS with an authority made for the test."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from attnbench.errors import UserError
from attnbench.sweeps.engine import driver
from attnbench.sweeps.engine.security import Tls


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(folder: Path, name: str, authority=None):
    """Write NAME.pem and NAME.key; return key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, signer = (named(name), key) if authority is None else authority
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return named(name), key


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    authority = certificate(tmp_path, "authority")
    certificate(tmp_path, "ours", authority)
    certificate(tmp_path, "stranger", certificate(tmp_path, "other"))
    return {path.name: path for path in tmp_path.iterdir()}


def test_who_has_no_certificate_of_the_authority_joins_nothing(
    files, processes, course_of, monkeypatch
) -> None:
    tls = ["--tls-ca", files["authority.pem"], "--tls-certificate", files["ours.pem"]]
    tls = [*map(str, tls), "--tls-key", str(files["ours.key"])]
    _, address = processes.scheduler(0, *tls)
    assert address.startswith("tls://127.0.0.1:")
    processes.worker(address, "one", *tls)
    ours = Tls(files["authority.pem"], files["ours.pem"], files["ours.key"])
    course, _ = course_of(1, device="cpu")
    driver.drive(course, address, wait_s=30.0, security=ours.security())
    assert len(course.done) == 1
    monkeypatch.setattr(driver, "ANSWER_S", 0.5)
    stranger = Tls(files["authority.pem"], files["stranger.pem"], files["stranger.key"])
    for security in (None, stranger.security()):
        with pytest.raises(UserError, match="cannot reach a scheduler"):
            driver.connected(address, security)


def test_a_part_of_tls_is_refused(files) -> None:
    assert Tls().security() is None
    with pytest.raises(UserError, match="--tls-key is missing"):
        Tls(files["authority.pem"], files["ours.pem"]).security()
    with pytest.raises(UserError, match=r"--tls-key: cannot read .*: No such file"):
        Tls(files["authority.pem"], files["ours.pem"], Path("nowhere")).security()
