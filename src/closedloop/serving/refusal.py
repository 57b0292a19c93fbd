"""What a client is told when its request is not answered: a problem as of RFC 9457, without its own words."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

TYPE = "application/problem+json"


class Refusal(Exception):
    """A request that is refused; the reason repeats nothing of its content."""

    def __init__(
        self, status: int, reason: str, field: str = "", headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.field, self.headers, self.members = status, reason, field, headers, members

    def response(self) -> Response:
        return problem(self.status, self.reason, self.field, self.headers, **self.members)


def problem(
    status: int, reason: str, field: str = "", headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """The answer: status, title, detail and, where one is to blame, the field."""
    content = {"status": status, "title": HTTPStatus(status).phrase, "detail": reason, **members}
    if field:
        content["field"] = field
    return Response(orjson.dumps(content), status, headers, TYPE)


def busy(reason: str, seconds: int = 1) -> Refusal:
    """Not the client's fault, and worth another try."""
    return Refusal(503, reason, headers={"Retry-After": str(seconds)})
