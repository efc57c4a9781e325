"""Downloads over HTTP: whole and with the right checksum, or no file."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from rheobase.io.sources.keeping import check_sha256
from rheobase.storage import atomic

TIMEOUT_S = 60


def download(
    url: str, to: Path, *, sha256: str | None, by_hand: Path, optional: bool = False
) -> bool:
    """Download ``url`` to ``to`` atomically; return whether it is there.

    False only where ``optional`` and the server says 404. Raises ``ValueError`` naming address,
    cause and remedy where the server cannot be reached, refuses, sends less than it announced, or
    sends a file with another checksum.
    """
    import requests

    remedy = f"check the address and the network, or put the file at {by_hand} by hand"
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_S) as response:
            if optional and response.status_code == 404:
                return False
            response.raise_for_status()
            with atomic(to) as temporary:
                with temporary.open("wb") as out:
                    for chunk in response.iter_content(1 << 20):
                        out.write(chunk)
                _check_length(response, temporary)
                if sha256 is not None:
                    check_sha256(temporary, sha256, name=url, remedy="correct url or sha256")
    except requests.RequestException as error:
        raise ValueError(f"{url} cannot be downloaded ({_reason(error)}); {remedy}") from error
    except EOFError as error:
        raise ValueError(f"{url} came incomplete ({error}); {remedy}") from error
    return True


def _check_length(response, path: Path) -> None:
    announced = response.headers.get("Content-Length")
    encoded = response.headers.get("Content-Encoding")
    if announced and not encoded and path.stat().st_size != int(announced):
        raise EOFError(f"{path.stat().st_size} of {announced} bytes")


def _reason(error: Exception) -> str:
    """Return why a download failed: the root cause alone."""
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    causes = list(_causes(error))
    for kind, text in (
        (ssl.SSLError, "its certificate is not accepted"),
        (socket.gaierror, "name not known"),
        (ConnectionRefusedError, "connection refused"),
        (ConnectionResetError, "connection reset"),
        ((TimeoutError, requests.Timeout), "timed out"),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return text
    system = [e.strerror for e in causes if isinstance(e, OSError) and e.strerror]
    said = str(causes[-1]) if type(error).__module__.startswith("requests") else str(error)
    return (system[-1] if system else " ".join(said.split())[:160]) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was made of, the first cause last."""
    seen: list[BaseException] = []
    after: list[BaseException] = [error]
    while after:
        at = after.pop(0)
        if any(at is known for known in seen):
            continue
        seen.append(at)
        yield at
        inner = [*at.args, getattr(at, "reason", None), at.__cause__, at.__context__]
        after += [part for part in inner if isinstance(part, BaseException)]
