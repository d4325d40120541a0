"""Keys and certificates of one cluster: an authority, and one certificate for each party that proves who it is.

Made with the `openssl` command, once for the life of the cluster, in a folder that appears whole or not at all.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import HostError
from devcluster.settings import DOMAIN, Settings

_DAYS = "3650"


@dataclass(frozen=True)
class Certificate:
    """One certificate to be signed: the file's name, the Kubernetes user and group it stands for, its addresses."""

    file: str
    common_name: str
    organization: str = ""
    addresses: tuple[str, ...] = ()
    authority: str = "ca"

    @property
    def subject(self) -> str:
        """The subject as openssl wants it."""
        return (f"/O={self.organization}" if self.organization else "") + f"/CN={self.common_name}"


def certificates(settings: Settings) -> list[Certificate]:
    """Who needs a certificate in this cluster."""
    node = f"system:node:{settings.node_name}"
    api_names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}")
    return [
        Certificate(
            "apiserver",
            "kube-apiserver",
            addresses=(
                *(f"DNS:{name}" for name in (*api_names, "localhost", settings.node_name)),
                *(f"IP:{address}" for address in (settings.node_ip, settings.api_service_ip, "127.0.0.1")),
            ),
        ),
        Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Certificate("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
        Certificate("admin", "kubernetes-admin", "system:masters"),
        Certificate("kube-controller-manager", "system:kube-controller-manager"),
        Certificate("kube-scheduler", "system:kube-scheduler"),
        Certificate("kube-proxy", "system:kube-proxy"),
        Certificate("coredns", "system:coredns"),
        Certificate("kubelet", node, "system:nodes"),
        Certificate(
            "kubelet-server",
            node,
            "system:nodes",
            addresses=(f"DNS:{settings.node_name}", f"IP:{settings.node_ip}"),
        ),
    ]


def make_pki(settings: Settings) -> bool:
    """Make the cluster's keys and certificates; False where they are already there."""
    if settings.pki.exists():
        return False
    partial = settings.pki.with_name("pki.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    for authority in ("ca", "front-proxy-ca"):
        _openssl(
            partial, "req", "-x509", *_key(authority), "-subj", f"/CN={settings.name}-{authority}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
            "-out", f"{authority}.crt",
        )  # fmt: skip
    for certificate in certificates(settings):
        names = ("-addext", f"subjectAltName={','.join(certificate.addresses)}") if certificate.addresses else ()
        _openssl(
            partial, "req", "-x509", *_key(certificate.file), "-subj", certificate.subject,
            "-CA", f"{certificate.authority}.crt", "-CAkey", f"{certificate.authority}.key",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "keyUsage=critical,digitalSignature,keyEncipherment",
            "-addext", "extendedKeyUsage=serverAuth,clientAuth",
            *names, "-out", f"{certificate.file}.crt",
        )  # fmt: skip
    _openssl(partial, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "service-account.key")
    _openssl(partial, "pkey", "-in", "service-account.key", "-pubout", "-out", "service-account.pub")
    partial.rename(settings.pki)
    return True


def _key(name: str) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-days", _DAYS)


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(("openssl", *arguments), cwd=folder, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise HostError(f"openssl {arguments[0]} failed: {done.stderr.strip()}", "OpenSSL 3 or newer is needed.")
