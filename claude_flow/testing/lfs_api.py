"""Git LFS beside the stand-in's git server: the batch API, and a storage behind it.

Like GitHub's, the storage is another server's business: its addresses carry a grant of their
own, and whoever sends it the git server's login has given it away (``logins_at_storage``).
With ``is_refusing`` no login is good enough.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_MEDIA_TYPE = "application/vnd.git-lfs+json"

Admit = Callable[[Request, str], Awaitable[Path | Response]]
"""The repository that a request may read ("download") or write ("upload"), or the refusal."""


class LfsApi:
    """Serves ``/owner/name.git/info/lfs``; objects lie in each repository, as git-lfs has them."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._grants: dict[str, Path] = {}
        self.logins_at_storage = 0
        self.is_refusing = False
        self.routes = [
            Route("/{owner}/{name}/info/lfs/objects/batch", self._batch, methods=["POST"]),
            Route("/lfs-storage/{grant}", self._fetch, methods=["GET"]),
            Route("/lfs-storage/{grant}", self._store, methods=["PUT"]),
        ]

    async def _batch(self, request: Request) -> Response:
        if self.is_refusing:
            return Response("Bad credentials", 401, headers={"LFS-Authenticate": "Basic"})
        asked = json.loads(await request.body())
        operation: str = asked["operation"]
        repository = await self._admit(request, operation)
        if isinstance(repository, Response):
            return repository
        base = str(request.base_url)
        objects = [self._action(base, repository, operation, one) for one in asked["objects"]]
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type=_MEDIA_TYPE)

    def _action(
        self, base: str, repository: Path, operation: str, wanted: dict[str, Any]
    ) -> dict[str, Any]:
        oid = wanted["oid"]
        path = repository / "lfs/objects" / oid[:2] / oid[2:4] / oid
        answer = {"oid": oid, "size": wanted["size"]}
        if operation == "download" and not path.is_file():
            return answer | {"error": {"code": 404, "message": "Object does not exist"}}
        if operation == "upload" and path.is_file():
            return answer  # no action: it is here already
        grant = secrets.token_urlsafe()
        self._grants[grant] = path
        return answer | {"actions": {operation: {"href": f"{base}lfs-storage/{grant}"}}}

    async def _fetch(self, request: Request) -> Response:
        path = self._granted(request)
        return Response(status_code=403) if path is None else Response(path.read_bytes())

    async def _store(self, request: Request) -> Response:
        path = self._granted(request)
        content = await request.body()
        if path is None or hashlib.sha256(content).hexdigest() != path.name:
            return Response(status_code=403)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return Response()

    def _granted(self, request: Request) -> Path | None:
        self.logins_at_storage += "authorization" in request.headers
        return self._grants.get(request.path_params["grant"])
