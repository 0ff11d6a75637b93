"""Install ``modules/`` and ``transcriber.py`` as the package ``audio_transcriber``.

Anybody may install something called ``modules``, so the installed package has a name of its own:
its files are those of the checkout with their import statements rewritten. The rest is in
``setup.cfg``. See docs/decisions/0022-the-installed-name.md.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

SOURCE, INSTALLED = "modules", "audio_transcriber"
START_SCRIPT = "transcriber.py"
#: Put into the package, for `config --write`.
CONFIGURATION = "config.yaml"
_IMPORT = re.compile(rf"(\s*(?:from|import)\s+){SOURCE}\b")


def rewritten(text: str, file: str) -> str:
    """The source text with imports of ``modules`` made imports of ``audio_transcriber``.

    Raises ValueError where the name is used in another way, which would fail once installed.
    """
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text, file)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            number = node.lineno - 1
            lines[number] = _IMPORT.sub(rf"\g<1>{INSTALLED}", lines[number], count=1)
        elif isinstance(node, ast.Name) and node.id == SOURCE:
            raise ValueError(f"{file}:{node.lineno}: import from {SOURCE}, do not use its name")
    return "".join(lines)


class BuildPy(build_py):
    """Copies the package under its installed name, with the start script as ``__main__``."""

    def run(self) -> None:
        if self.editable_mode:
            raise SystemExit(
                f"An editable installation cannot rename {SOURCE}: run {START_SCRIPT}."
            )
        super().run()
        self.copy_file(CONFIGURATION, self._configuration())

    def _configuration(self) -> str:
        return str(Path(self.build_lib, INSTALLED, CONFIGURATION))

    def get_source_files(self) -> list[str]:
        found: list[str] = super().get_source_files()
        return [*found, CONFIGURATION]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        found: list[str] = super().get_outputs(include_bytecode)
        return [*found, self._configuration()]

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = super().find_package_modules(package, package_dir)
        return [*found, (package, "__main__", START_SCRIPT)] if package == INSTALLED else found

    def build_module(self, module: str, module_file: str, package: str) -> tuple[str, int]:
        copied: tuple[str, int] = super().build_module(module, module_file, package)
        path = Path(copied[0])
        text = Path(module_file).read_text(encoding="utf-8")
        path.write_text(rewritten(text, module_file), encoding="utf-8")
        return copied


if __name__ == "__main__":
    setup(
        packages=[INSTALLED, *(f"{INSTALLED}.{name}" for name in find_packages(SOURCE))],
        package_dir={INSTALLED: SOURCE},
        cmdclass={"build_py": BuildPy},
    )
