"""The page /docs: Swagger UI from an installed package; nothing is loaded from elsewhere."""

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from closedloop.serving.refusal import Refusal

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)  # Swagger UI styles its elements in place
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>closedloop: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"""
BUNDLED = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


async def page(_request: Request) -> Response:
    return Response(PAGE, media_type="text/html", headers={"Content-Security-Policy": POLICY})


async def asset(request: Request) -> Response:
    """A file of the page; raises Refusal for any other name."""
    name = request.path_params["name"]
    if name == "start.js":
        return Response(START, media_type="text/javascript")
    if name not in BUNDLED:
        raise Refusal(404, "no such page; /docs lists what there is")
    return Response(_content(name), media_type=BUNDLED[name])


@cache  # the same bytes for all who ask: what waits for slow readers then takes memory once
def _content(name: str) -> bytes:
    return (files("openapi_ui_bundles.swagger_ui") / "vendor" / name).read_bytes()
