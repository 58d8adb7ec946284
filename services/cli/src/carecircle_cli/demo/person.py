"""One person with an account, as the API sees their phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

import httpx2

from carecircle_cli.errors import CommandFailed

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT = 15


class Person:
    """`async with Person(api_url, email, password) as anna:` then `enter()`, and everything else by path."""

    def __init__(self, api_url: str, email: str, password: str) -> None:
        self.email = email
        self._password = password
        self._client = httpx2.AsyncClient(base_url=f"{api_url.rstrip('/')}/v1", timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def enter(self, name: str, zone: str) -> None:
        """Log in; register first if there is no such account.

        Raises:
            CommandFailed: the account is there, with another password.
        """
        if await self._log_in():
            return
        body = {"email": self.email, "password": self._password, "display_name": name, "zone": zone}
        answer = await self._send("POST", "/auth/register", json=body)
        if not answer.is_success or not await self._log_in():
            raise CommandFailed(
                f"{self.email} has an account there already, with a password that is not the demo's ({_why(answer)})"
            )

    async def get(self, path: str) -> Any:
        return await self._call("GET", path)

    async def items(self, path: str) -> list[dict[str, Any]]:
        """All of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self._call("GET", path, params={"cursor": cursor} if cursor else {})
            found.extend(page["items"])
            cursor = page.get("next")
            if not cursor:
                return found

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return await self._call("POST", path, json=body)

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        return await self._call("PUT", path, json=body)

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        return await self._call("PATCH", path, json=body)

    async def delete(self, path: str) -> None:
        await self._call("DELETE", path)

    async def _log_in(self) -> bool:
        form = {"username": self.email, "password": self._password}
        answer = await self._send("POST", "/auth/token", data=form)
        if answer.is_success:
            self._client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return answer.is_success

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        answer = await self._send(method, path, **request)
        if not answer.is_success:
            raise CommandFailed(f"the API refused {method} {path}: {_why(answer)}")
        return answer.json() if answer.content else None

    async def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            return await self._client.request(method, path, **request)
        except httpx2.TransportError as error:
            raise CommandFailed(f"the API at {self._client.base_url} does not answer ({error})") from error


def _why(answer: httpx2.Response) -> str:
    """What a problem document says, in one line."""
    try:
        problem: object = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return f"status {answer.status_code}"
    words = cast("dict[str, Any]", problem)
    errors = cast("list[dict[str, Any]]", words.get("errors") or [])
    fields = [f"{error.get('field')}: {error.get('message')}" for error in errors]
    return f"{answer.status_code} {'; '.join([str(words.get('detail', '')), *fields])}"
