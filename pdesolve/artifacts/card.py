"""The model card: what a person reads first in a saved folder."""

import json
from typing import Any


def model_card(config: dict[str, Any], metadata: dict[str, Any]) -> str:
    """Markdown page with what the model is, how to open it, and everything noted beside it.

    Args:
        config: the encoded model of config.json.
        metadata: the content of metadata.json.
    """
    name = _name(config)
    needs_model = "" if "class" in config and "foreign" not in json.dumps(config) else ", model"
    rows = "\n".join(f"| {key} | {_cell(value)} |" for key, value in metadata.items())
    return f"""# {name}

Saved by pdesolve {metadata["pdesolve_version"]}; {metadata["parameters"]:,} parameters.

```python
import pdesolve

model = pdesolve.load("."{needs_model})   # this folder; physical fields in, physical fields out
y = model(x)               # x (b, c_in, *grid)
```

| what | value |
|---|---|
{rows}
"""


def _name(config: dict[str, Any]) -> str:
    if "foreign" in config:
        return config["foreign"].rpartition(".")[2]
    inner = config["arguments"].get("operator")
    return f"{config['class']}({_name(inner)})" if isinstance(inner, dict) else config["class"]


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|").replace("\n", " ")
