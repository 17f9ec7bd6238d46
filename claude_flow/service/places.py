"""Where a running daemon leaves what its own host's clients need: its address, its token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from claude_flow.config import ConfigManager
from claude_flow.errors import ServiceError

ADDRESS_FILE = "http-address"
TOKEN_FILE = "api-token"  # noqa: S105 - a file's name
_SYSTEM_RUNTIME_DIRECTORY = Path("/run/claude-flow")


def runtime_directories(config: ConfigManager, environ: Mapping[str, str]) -> Iterator[Path]:
    """The directories in which the daemon may have left its files, the likeliest first."""
    # systemd allows several, joined by colons; the daemon uses the first.
    if named := environ.get("RUNTIME_DIRECTORY"):
        yield Path(named.partition(":")[0])
    yield Path(config.get("service.state_directory"))
    yield _SYSTEM_RUNTIME_DIRECTORY


def daemon_address(config: ConfigManager, environ: Mapping[str, str]) -> str | None:
    """``host:port`` of the daemon's HTTP side, None if it is nowhere told.

    The configured port; for port 0 the one that the daemon wrote down.
    """
    port = config.get("monitoring.http_port")
    if port:
        host = config.get("monitoring.http_host")
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    for directory in runtime_directories(config, environ):
        text = _read(directory / ADDRESS_FILE)
        if text:
            return text
    return None


def api_token(config: ConfigManager, environ: Mapping[str, str]) -> str:
    """The bearer token for requests that change something. Raises ServiceError."""
    seen = list(runtime_directories(config, environ))
    for directory in seen:
        text = _read(directory / TOKEN_FILE)
        if text:
            return text
    places = " or ".join(str(directory / TOKEN_FILE) for directory in seen)
    raise ServiceError(
        f"there is no API token in {places}", hint="the daemon writes it; see that it runs"
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ServiceError(
            f"{path} may not be read by this user", hint="try it with sudo"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{path} cannot be read: {error}") from error
