"""An index of empty packages with torch's names, to see what is asked of torch's own index."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

_ASKED = ("torch", "torchaudio", "torchvision")


def make_index(folder: Path, lock: Path) -> Path:
    """A simple index, with builds "for the CPU" of the versions that the lock has."""
    for name in _ASKED:
        found = re.search(rf"(?m)^{name}==([^ ]+)", lock.read_text(encoding="utf-8"))
        assert found, f"{name} is not in {lock.name}"
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        wheel = _make_wheel(place, name, f"{found[1]}+cpu")
        (place / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>\n')
    return folder


def _make_wheel(folder: Path, name: str, version: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    content = {
        f"{name}/__init__.py": 'raise ImportError("this stands in for the real package")\n',
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*content, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as file:
        for inside, text in {**content, f"{info}/RECORD": record}.items():
            file.writestr(inside, text)
    return path
