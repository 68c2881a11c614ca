"""nginx, with the configuration that we hand out, on ports of its own."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import httpx

from tests.following import PATIENCE_S
from tests.lacking import program
from tests.live.server import ROOT
from tests.ports import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONF: Final = ROOT / "deploy" / "nginx.conf"
NAME: Final = "threads.example.com"
FRAME: Final = """
{user}
daemon off;
pid {folder}/pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    gzip on; # as the file has it that comes with nginx on some systems, and more of it
    gzip_types *;
    gzip_proxied any;
    gzip_min_length 1;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{conf}
}}
"""


@dataclass(frozen=True)
class Behind:
    """The proxy of a gateway."""

    port: int
    plain_port: int
    authority: Path  # the certificate, which it has signed itself

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Trust its certificate."""
        return ssl.create_default_context(cafile=str(self.authority))

    def client(self) -> httpx.AsyncClient:
        """Call it by TLS."""
        return httpx.AsyncClient(base_url=f"https://localhost:{self.port}", verify=self.tls, timeout=PATIENCE_S)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine's name, and its key."""
    made, key = folder / "fullchain.pem", folder / "privkey.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = (program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


def framed(folder: Path, port: int, plain_port: int, *upstreams: int, shipped: str | None = None) -> Path:
    """Put our configuration where a machine's own would include it, with its ports and files exchanged.

    The line of a second gateway is the one that its comment has; without one, it names the first again.
    """
    made, key = certificate(folder)
    conf = shipped or CONF.read_text()
    for place, ours in {
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(made),
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(key),
        "127.0.0.1:8000": f"127.0.0.1:{upstreams[0]}",
        "# server 127.0.0.1:8001": f"server 127.0.0.1:{upstreams[-1]}",
    }.items():
        assert conf.count(place) == 1
        conf = conf.replace(place, ours)
    conf = re.sub(r" *listen \[::\].*\n", "", conf)  # a machine may have no IPv6
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # pytest's folders are closed to all others
    file.write_text(FRAME.format(user=user, folder=folder, conf=conf))
    return file


@contextmanager
def nginx_before(folder: Path, *upstreams: int, shipped: str | None = None) -> Iterator[Behind]:
    """Run nginx in front of gateways, by the configuration of this checkout if no other text is given."""
    nginx = program("nginx")
    port, plain_port = free_port(), free_port()
    file = framed(folder, port, plain_port, *upstreams, shipped=shipped)
    with subprocess.Popen([nginx, "-e", "stderr", "-p", folder, "-c", file]) as process:
        try:
            wait_for(port)
            yield Behind(port, plain_port, folder / "fullchain.pem")
        finally:
            process.terminate()
