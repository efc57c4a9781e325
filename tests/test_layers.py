"""Modules import from their own folder or from anything left of it; siblings among families
never meet.
"""

import ast
from pathlib import Path

from rheobase.models.base import FAMILIES

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "rheobase"
LEFT = {
    "storage",
    "layout",
    "recording",
    "config",
    "device",
    "splits",
    "metrics",
    "rivals",
    "__init__",
    "__version__",
}
ORDER = ["foundation", "io", "preprocess", "models", "evaluate", "report", "stages", "cli"]


def layer(module: str) -> int:
    head = module.split(".")[1] if "." in module else "__init__"
    return ORDER.index("foundation" if head in LEFT else head)


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rheobase"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("rheobase"))


def module_name(path: Path) -> str:
    return ".".join(["rheobase", *path.relative_to(PACKAGE).with_suffix("").parts])


def test_imports_only_point_left():
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {target}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "__main__.py"
        for target in imports(path)
        if layer(target) > layer(module_name(path))
        and not (path.parent.name == "stages" and target.startswith("rheobase.cli"))
    ]
    assert wrong == []


def test_families_do_not_import_each_other():
    families = {family.target.split(":")[0].split(".")[2] for family in FAMILIES.values()}
    assert all((PACKAGE / "models" / name).exists() or
               (PACKAGE / "models" / f"{name}.py").exists() for name in families)  # fmt: skip
    for path in (PACKAGE / "models").rglob("*.py"):
        own = path.relative_to(PACKAGE / "models").parts[0].removesuffix(".py")
        for target in imports(path):
            parts = target.split(".")
            if parts[1] == "models" and len(parts) > 2 and parts[2] in families:
                assert parts[2] == own, f"{path} imports {target}"


def test_no_file_is_longer_than_300_lines():
    long = {
        p.name: n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 300
    }
    assert long == {}
