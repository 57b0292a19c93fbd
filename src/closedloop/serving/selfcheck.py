"""Loads a packaged model as a stranger would, without torch, and answers requests with it.

Run by path as `python -P selfcheck.py MODEL REQUESTS ANSWERS` (JSON in, JSON out): it imports nothing of this project,
so that the code inside the model is what answers.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    model_uri, requests, answers = sys.argv[1:]
    blocked: dict[str, Any] = dict.fromkeys(("torch", "pytorch_lightning", "lightning"))
    sys.modules.update(blocked)  # None: importing them fails
    import mlflow
    import pandas as pd

    model = mlflow.pyfunc.load_model(model_uri)
    records = json.loads(Path(requests).read_text(encoding="utf-8"))
    answered = model.predict(pd.DataFrame(records)).to_dict(orient="records")
    Path(answers).write_text(json.dumps(answered), encoding="utf-8")


if __name__ == "__main__":
    main()
