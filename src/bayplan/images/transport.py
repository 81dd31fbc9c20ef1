"""HTTP to a registry: the way there, who we are, and what went wrong in words.

Specifications: OCI distribution 1.1; distribution.github.io/distribution/spec/auth/token for Bearer tokens.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from json import JSONDecodeError, loads
from typing import TYPE_CHECKING, Any

from bayplan.errors import BayplanError, RegistryError, UnreadableError, make_room
from bayplan.images.login import Login
from bayplan.trust import how_to_trust

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from yarl import URL

Dial = Callable[[], Awaitable[str]]  # -> "unix:/path" or "tcp:ip:port" on this machine

_OK, _UNAUTHORIZED, _FORBIDDEN, _MISSING, _FAULT = 200, 401, 403, 404, 500
_BUSY = (429, 503)
# Seconds from a request's first try to its last, and between tries where the answer does not say (RFC 9110, 10.2.3).
_PATIENCE, _PAUSES = 60.0, (1.0, 2.0, 4.0)
_WHO = "Authorization"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_API_HOST = {"docker.io": "registry-1.docker.io"}
_REPOSITORY = re.compile(r"/v2/(.+)/(?:manifests|blobs|tags)/")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry said. headers: by lower-case name; body: read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; {} if it is none."""
        try:
            said = loads(self.body)
        except (JSONDecodeError, UnicodeDecodeError):
            return {}
        return said if isinstance(said, dict) else {}


class Transport:
    """One registry's API. server: as in image names; where: for messages; dial: how to get there if not by name."""

    def __init__(self, server: str, where: str, *, dial: Dial | None = None, login: Login | None = None) -> None:
        self._server, self._where, self._dial, self._login = server, where, dial, login
        self._session: ClientSession | None = None
        self._opening = asyncio.Lock()
        self._known: dict[str, str] = {}  # Authorization headers by what they are for; "" for everything

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer | None:
        """A request; None for a 404. path: below the registry's root, or a URL that it gave.

        Raises RegistryError; UnreadableError for what the registry fails to read, or sends in part.
        """
        answer = await self._authorized(method, path, headers or {}, content)
        if answer.status == _MISSING:
            return None
        if answer.status == _FAULT and method == "GET":
            refused = self._refusal(answer, f"{method} {path}")
            raise UnreadableError(refused.what, where=refused.where, todo=refused.todo)
        if not 200 <= answer.status < 300:  # noqa: PLR2004  success
            raise self._refusal(answer, f"{method} {path}")
        return answer

    async def close(self) -> None:
        """Let go of connections."""
        if self._session:
            await self._session.close()

    # -- who we are ---------------------------------------------------------------------------------------------------

    async def _authorized(self, method: str, path: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        if not self._is_own(path):  # where the registry sends an upload: its URL says all that is needed there
            return await self._once(method, path, headers, content)
        purpose = _purpose(method, path)
        known = self._known.get(purpose) or self._known.get("")
        answer = await self._once(method, path, {**headers, **_authorization(known)}, content)
        if answer.status != _UNAUTHORIZED:
            return answer
        challenge = answer.headers.get("www-authenticate", "")
        is_bearer = challenge.lower().startswith("bearer")
        said = await (self._bearer(challenge) if is_bearer else self._basic())
        if said is None:
            return answer
        self._known[purpose if is_bearer else ""] = said
        return await self._once(method, path, {**headers, **_authorization(said)}, content)

    async def _basic(self) -> str | None:
        if self._login is None:
            return None
        login = self._login
        who = await asyncio.to_thread(lambda: login.credentials)
        return f"Basic {b64encode(f'{who.username}:{who.password}'.encode()).decode()}"

    async def _bearer(self, challenge: str) -> str:
        """A token for what the challenge names; without a login, one for anybody."""
        from yarl import URL

        asked = dict(_CHALLENGE.findall(challenge))
        url = URL(asked.get("realm", "")).update_query({k: asked[k] for k in ("service", "scope") if asked.get(k)})
        if url.scheme != "https" and self._scheme == "https":
            told = f"the registry wants its password sent unencrypted, to {url.origin()}"
            raise RegistryError(told, where=self._where, todo="ask who runs it: its token service must have TLS")
        answer = await self._once("GET", str(url), _authorization(await self._basic()), None)
        token = answer.json().get("token") or answer.json().get("access_token")
        if answer.status != _OK or not token:
            raise self._refusal(answer, f"for a token, {url.host}")
        return f"Bearer {token}"

    # -- one request --------------------------------------------------------------------------------------------------

    async def _once(self, method: str, path: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        """One that has too much to do at the moment is asked again when it says, or soon; not for ever."""
        now = asyncio.get_running_loop().time
        last, pauses = now() + _PATIENCE, iter(_PAUSES)
        while True:
            answer = await self._answered(method, path, headers, content)
            pause = (_asked_to_wait(answer) or next(pauses, None)) if answer.status in _BUSY else None
            if pause is None or now() + pause > last:
                return answer
            await asyncio.sleep(pause)

    async def _answered(self, method: str, path: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        """A way to a host that broke (its connection was made anew meanwhile) is dialled again, once."""
        from aiohttp import ClientError

        session = await self._opened()
        try:
            return await self._try(session, method, path, headers, content)
        except TimeoutError as late:
            raise self._silent(late) from late
        except (ClientError, OSError) as failed:
            if self._dial is None:
                raise self._silent(failed) from failed
        await self._forget(session)
        try:
            return await self._try(await self._opened(), method, path, headers, content)
        except (ClientError, OSError, TimeoutError) as failed:
            raise self._silent(failed) from failed

    async def _try(
        self, session: ClientSession, method: str, path: str, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        from bayplan.images.way import as_we_say, read

        url, said = self._url(path), {k: v for k, v in headers.items() if k != _WHO}
        who = as_we_say(url, headers.get(_WHO))
        async with session.request(method, url, headers=said, data=content, middlewares=(who,)) as response:
            return Answer(*await read(response))

    def _silent(self, failed: Exception) -> RegistryError:
        from aiohttp import ClientConnectorCertificateError, ClientPayloadError

        from bayplan.images.way import words

        if isinstance(failed, ClientPayloadError):
            return UnreadableError("the registry sends less than it says", where=self._where, todo=self._todo())
        said = f"the registry does not answer: {words(failed)}"
        is_strange = isinstance(failed, ClientConnectorCertificateError)
        todo = how_to_trust(self._server) if is_strange else self._todo()
        return RegistryError(said, where=self._where, todo=todo)

    async def _forget(self, session: ClientSession) -> None:
        """Unless another request has opened a new one already."""
        if self._session is session:
            self._session = None
        await session.close()

    def _is_own(self, path: str) -> bool:
        """Whether the path or URL is the registry's own, and not another server's."""
        from yarl import URL

        url = URL(path, encoded=True)
        return not url.absolute or url.host == self._base().host

    def _base(self) -> URL:
        from yarl import URL

        return URL(f"{self._scheme}://{_API_HOST.get(self._server, self._server)}")

    def _url(self, path: str) -> URL:
        from yarl import URL

        base = self._base()
        url = base.join(URL(path, encoded=True))
        return URL(f"{base}{url.raw_path_qs}", encoded=True) if self._is_own(path) else url

    @property
    def _scheme(self) -> str:
        return "http" if self._dial or _is_plain(self._server.partition(":")[0]) else "https"

    async def _opened(self) -> ClientSession:
        from bayplan.images.way import open_session

        async with self._opening:
            if self._session is None:
                try:
                    self._session = open_session(self._server, await self._dial() if self._dial else "")
                except RegistryError:
                    raise
                except BayplanError as unreachable:
                    raise RegistryError(
                        f"the registry cannot be reached: {unreachable.what}",
                        where=self._where,
                        todo="; ".join(part for part in (unreachable.todo, self._elsewhere()) if part),
                    ) from unreachable
        return self._session

    # -- words --------------------------------------------------------------------------------------------------------

    def _refusal(self, answer: Answer, asked: str) -> RegistryError:
        errors = answer.json().get("errors")
        first = errors[0] if isinstance(errors, list) and errors else None
        said = f": {first['message']}" if isinstance(first, dict) and first.get("message") else ""
        if answer.status not in (_UNAUTHORIZED, _FORBIDDEN):
            number = _os_error(errors)
            why = f": {os.strerror(number)}" if number else said
            todo = self._room() if number in _FULL else _later(answer)
            told = f"the registry answered {asked} with {answer.status}{why}"
            return RegistryError(told, where=self._where, todo=todo)
        wrong = "check registry.username in fleet.yaml, and what registry.password_command prints"
        missing = "give registry.username and registry.password_command in fleet.yaml"
        todo = wrong if self._login else missing
        return RegistryError(f"the registry does not let us in{said}", where=self._where, todo=todo)

    def _room(self) -> str:
        if not self._dial:
            return "its disk is full: ask who runs it for room"
        return make_room(self._where)

    def _elsewhere(self) -> str:
        """What can be done when its host does not come back."""
        if not self._dial:
            return ""
        return (
            f"if {self._where} is gone for good, name another host under registry in fleet.yaml, and "
            f"bayplan up --assume-down {self._where} builds and pushes to that"
        )

    def _todo(self) -> str:
        if self._dial:
            return "bayplan doctor says what is wrong with it; bayplan up starts it again"
        return f"check registry.address in fleet.yaml, and that this machine reaches {self._server}"


def _os_error(said: object) -> int:
    """The number of the operating system's error in what a distribution server says went wrong; 0 for none."""
    if isinstance(said, Mapping):
        number = said.get("Err")
        if isinstance(number, int) and number in errno.errorcode:
            return number
        return next((found for value in said.values() if (found := _os_error(value))), 0)
    if isinstance(said, list):
        return next((found for value in said if (found := _os_error(value))), 0)
    return 0


def _asked_to_wait(answer: Answer) -> float | None:
    """Seconds, as its Retry-After says; None when it says nothing, or names a time of the clock."""
    said = answer.headers.get("retry-after", "").strip()
    return max(_PAUSES[0], float(said)) if said.isascii() and said.isdecimal() else None


def _later(answer: Answer) -> str:
    if answer.status not in _BUSY:
        return ""
    wait = _asked_to_wait(answer)
    return f"it is busy: run it again in {f'{wait:g} s' if wait and wait > _PATIENCE else 'a while'}"


def _is_plain(host: str) -> bool:
    """Without TLS, as Docker has it: on a loopback only."""
    return host == "localhost" or host.startswith("127.")


def _authorization(value: str | None) -> dict[str, str]:
    return {_WHO: value} if value else {}


def _purpose(method: str, path: str) -> str:
    """What one token is good for: reading or writing one repository, or something of its own."""
    repository = _REPOSITORY.search(path)
    access = "read" if method in ("GET", "HEAD") else "write"
    return f"{access} {repository[1]}" if repository else path
