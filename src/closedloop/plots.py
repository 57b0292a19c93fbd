"""The plots of dvc.yaml as one page without scripts: `dvc plots show` loads its own from a CDN."""

import html
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from closedloop.errors import ClosedLoopError
from closedloop.files import write_text

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:16px system-ui;margin:2rem;background:#fff;color:#222}}
figure{{display:inline-block;margin:1rem}}</style><h1>{title}</h1>{figures}</html>
"""


def draw(task: str) -> Path:
    """Render what `dvc plots show` would show into dvc_plots/<task>.html; return the page.

    Raises ClosedLoopError when DVC has nothing to plot or vl-convert is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise ClosedLoopError("drawing plots needs an extra: pip install 'closedloop[plots]'") from None
    shown = subprocess.run(
        [sys.executable, "-m", "dvc", "plots", "show", "--json"], capture_output=True, text=True, check=False
    )
    if shown.returncode != 0:
        raise ClosedLoopError(f"`dvc plots show` failed: {(shown.stderr.strip() or 'no output').splitlines()[-1]}")
    plots: dict[str, list[dict[str, Any]]] = json.loads(shown.stdout)["data"]
    figures = [
        f"<figure>{vl_convert.vegalite_to_svg(json.dumps(plot['content']), vl_version='5.20')}</figure>"
        for group in plots.values()
        for plot in group
    ]
    if not figures:
        raise ClosedLoopError("there is nothing to plot yet: `make run` first")
    page = Path("dvc_plots") / f"{task}.html"
    write_text(page, PAGE.format(title=html.escape(f"Plots of {task}"), figures="\n".join(figures)))
    return page
