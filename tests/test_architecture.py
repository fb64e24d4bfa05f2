"""The import contract of docs/architecture.md, read from the source without running it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cellproof

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "cellproof"

PUBLIC = {
    "InputError",
    "Model",
    "Quality",
    "Scores",
    "Segmentation",
    "__version__",
    "evaluate",
    "load_model",
    "segment",
    "train",
}
"""Names that users may rely on; a change here is a change of the interface."""

VOCABULARY = {"types", "parts", "records", "checks"}
VOCABULARY_IMPORTS = {"checks": set[str](), "parts": {"checks"}, "records": set[str](), "types": {"parts", "records"}}
DOORS = {"cli", "web", "napari", "__main__"}
WORKFLOWS = ("collect", "predict", "evaluate", "train", "segment", "reproduce", "review", "convert")
"""In this order: each may import those before it."""
LARGEST_FACE = 12
"""Names that a workflow shows to others."""
MOST_FILES_AT_THE_TOP = 6
BANNED_WORDS = {"utils", "util", "common", "misc", "helpers", "helper", "tools"}

HOMES = {
    "torch": ("models/", "detectors/", "losses/", "training/", "inference/", "analysis/", "cli/", "workflows/"),
    "openvino": ("inference/openvino_engine.py", "inference/openvino_int8.py"),
    "tifffile": ("io/",),
    "imagecodecs": ("io/",),
    "PIL": ("io/", "report/"),
    "matplotlib": ("report/",),
    "jinja2": ("report/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
}
"""Where each library with a home may be imported; all others may be imported anywhere."""


@dataclass(frozen=True)
class Import:
    """One imported module, as a dotted name, and whether it is imported as soon as the file is."""

    module: str
    line: int
    at_once: bool


@dataclass(frozen=True)
class Source:
    """A file of the package; ``path`` is relative to it, with forward slashes."""

    path: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """The room, or the name of a file at the top."""
        return self.path.split("/")[0].removesuffix(".py")

    @property
    def is_room(self) -> bool:
        return "/" in self.path and self.part not in DOORS | {"workflows", "recipe"}

    @property
    def workflow(self) -> str | None:
        """Name of the workflow that the file belongs to; None outside of ``workflows/x/``."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "workflows" and len(parts) > 2 else None

    @property
    def module(self) -> str:
        name = "cellproof." + self.path.removesuffix(".py").replace("/", ".")
        return name.removesuffix(".__init__")


def parse(path: str, text: str) -> Source:
    return Source(path, ast.parse(text, filename=path))


def sources() -> list[Source]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [parse(file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def imports(source: Source) -> Iterator[Import]:
    """All imports of a file; ``from . import a`` counts as the module it stands in and as ``a`` in it."""
    lazy = {
        id(node)
        for function in ast.walk(source.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    lazy |= {
        id(node)
        for branch in ast.walk(source.tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    package = source.module if source.path.endswith("__init__.py") else source.module.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (base, node.module)))
            modules = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Import(module, node.lineno, at_once=id(node) not in lazy) for module in modules)


def own_part(module: str) -> str | None:
    """The part of the package that a dotted name belongs to; None for other packages and for the version."""
    names = module.split(".")
    if names[0] != "cellproof" or module == "cellproof.__version__":
        return None
    return names[1] if len(names) > 1 else "__init__"


def allowed_parts(source: Source, rooms: set[str]) -> set[str]:
    """Parts of the package that a file may import from; workflows have a finer rule of their own."""
    if source.part in VOCABULARY:
        return VOCABULARY_IMPORTS[source.part]
    if source.is_room:
        return VOCABULARY | {source.part}
    if source.part == "recipe":
        return VOCABULARY | {"recipe"}
    if source.part == "workflows":
        return VOCABULARY | rooms | {"recipe", "workflows"}
    if source.part == "__init__":
        return VOCABULARY | {"workflows"}
    return VOCABULARY | rooms | {"recipe", "workflows", source.part} | DOORS


def contract_violations(source: Source, rooms: set[str], faces: dict[str, set[str]]) -> list[str]:
    """Imports of other parts of the package that the five rules of docs/architecture.md do not allow.

    Args:
        source: The file.
        rooms: Names of the rooms.
        faces: What the ``__init__.py`` of each workflow lists.
    """
    allowed = allowed_parts(source, rooms)
    complaints = [
        f"{source.path}:{found.line} imports {found.module}; allowed parts of cellproof: {', '.join(sorted(allowed))}"
        for found in imports(source)
        if (part := own_part(found.module)) and part not in allowed
    ]
    for found in imports(source):
        names = found.module.split(".")
        if names[:2] != ["cellproof", "workflows"] or len(names) < 3 or names[2] == source.workflow:
            continue
        other, name = names[2], names[3] if len(names) > 3 else ""
        if source.workflow and WORKFLOWS.index(other) > WORKFLOWS.index(source.workflow):
            complaints.append(f"{source.path}:{found.line} imports {other}, which stands after {source.workflow}")
        if len(names) > 4 or (name and name not in faces[other]):
            complaints.append(f"{source.path}:{found.line} imports {found.module}, which {other} does not list")
    return complaints + [
        f"{source.path}:{found.line} imports {found.module} at once; workflows are imported inside functions there"
        for found in imports(source)
        if source.part == "__init__" and own_part(found.module) == "workflows" and found.at_once
    ]


def listed(source: Source) -> set[str]:
    """Names in the ``__all__`` of a file."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def faces_of(files: list[Source]) -> dict[str, set[str]]:
    """What the ``__init__.py`` of each workflow lists; those of folders in it are its own affair."""
    return {
        source.workflow: listed(source)
        for source in files
        if source.workflow and source.path == f"workflows/{source.workflow}/__init__.py"
    }


def library_violations(source: Source) -> list[str]:
    """Libraries imported away from home, and torch imported by the command line before it is needed."""
    violations = []
    for found in imports(source):
        library = found.module.split(".")[0]
        homes = HOMES.get(library, ("",))
        at_home = source.path.startswith(tuple(homes))
        if not at_home:
            violations.append(f"{source.path}:{found.line} imports {library}; allowed in {', '.join(homes)}")
        elif library == "torch" and source.part in DOORS and found.at_once:
            violations.append(f"{source.path}:{found.line} imports torch at once; import it inside the function")
    return violations


def manner_violations(source: Source) -> list[str]:
    """Star imports, printing libraries, absolute imports of the package's own parts, houses for everything."""
    violations = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            violations.append(f"{source.path}:{node.lineno} imports everything from {node.module}; name what you need")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and source.part not in DOORS:
            violations.append(f"{source.path}:{node.lineno} prints; only the command line does, others log")
        absolute = isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("cellproof")
        if absolute or (isinstance(node, ast.Import) and any(a.name.startswith("cellproof") for a in node.names)):
            violations.append(f"{source.path}:{node.lineno} imports cellproof by name; use a relative import")
    words = {word.strip("_") for word in source.path.removesuffix(".py").split("/")}
    violations += [f"{source.path} is called {word!r}; name it for its purpose" for word in words & BANNED_WORDS]
    return violations


def rings(files: list[Source]) -> list[str]:
    """Files that import each other in a ring as soon as one is imported."""
    modules = {source.module for source in files}
    graph: dict[str, set[str]] = {}
    for source in files:
        reached = {found.module for found in imports(source) if found.at_once}
        targets = {module if module in modules else module.rpartition(".")[0] for module in reached}
        graph[source.module] = targets & modules - {source.module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" ← ".join(error.args[1])]
    return []


def looks_at_something(test: ast.FunctionDef) -> bool:
    """Whether a test has an assertion, expects an error or warning, or calls a check by that name."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            last = called.rpartition(".")[2].lstrip("_")
            if called in {"pytest.raises", "pytest.warns", "pytest.fail"} or last.startswith(("assert", "check")):
                return True
    return False


def blind_tests(path: str, text: str) -> list[str]:
    return [
        f"{path}:{node.lineno} {node.name} asserts nothing"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and not looks_at_something(node)
    ]


def rooms_of(files: list[Source]) -> set[str]:
    return {source.part for source in files if source.is_room}


def report(violations: list[str]) -> str:
    return "\n" + "\n".join(violations)


def test_parts_import_only_what_the_contract_allows():
    files = sources()
    rooms, faces = rooms_of(files), faces_of(files)
    violations = [line for source in files for line in contract_violations(source, rooms, faces)]
    assert not violations, report(violations)


def test_the_faces_of_workflows_are_short():
    assert {name: len(face) for name, face in faces_of(sources()).items() if len(face) > LARGEST_FACE} == {}


def test_few_files_stand_at_the_top_and_none_is_long():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FILES_AT_THE_TOP
    long = {file.name: n for file in PACKAGE.rglob("*.py") if (n := len(file.read_text("utf-8").splitlines())) > 350}
    assert long == {}


def test_libraries_are_imported_at_home_only():
    violations = [line for source in sources() for line in library_violations(source)]
    assert not violations, report(violations)


def test_nobody_prints_imports_everything_or_keeps_a_house_for_everything():
    violations = [line for source in sources() for line in manner_violations(source)]
    assert not violations, report(violations)


def test_no_files_import_each_other_in_a_ring():
    violations = rings(sources())
    assert not violations, report(violations)


def test_every_room_is_described_in_the_architecture():
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = rooms_of(sources())
    assert [room for room in sorted(rooms) if f"\n### {room}" not in text] == []


def test_every_test_looks_at_something():
    files = sorted((REPOSITORY / "tests").rglob("test_*.py"))
    blind = [
        line
        for file in files
        for line in blind_tests(file.relative_to(REPOSITORY).as_posix(), file.read_text(encoding="utf-8"))
    ]
    assert not blind, report(blind)


def test_the_public_names_are_the_agreed_ones():
    assert set(getattr(cellproof, "__all__", ["__version__"])) == PUBLIC
    assert [name for name in PUBLIC if not hasattr(cellproof, name)] == []
    assert set(dir(cellproof)) == PUBLIC


@pytest.mark.parametrize("module", ["cellproof", "cellproof.cli"])
def test_importing_loads_no_heavy_library(module):
    if not (PACKAGE / module.removeprefix("cellproof").strip(".") / "__init__.py").exists():
        pytest.skip(f"{module} does not exist")
    code = f"import sys, {module}; print(*({{'torch', 'openvino', 'matplotlib', 'skimage'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_segmenting_begins_without_torch():
    code = "import sys, cellproof.workflows.segment; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


ROOMS = {"io", "models"}
FACES = {"predict": {"load_model"}, "segment": {"segment"}, "train": {"train"}}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("types.py", "from .checks import InputError"),
        ("io/images.py", "from ..models import load"),
        ("io/images.py", "from .. import models"),
        ("io/images.py", "import cellproof.models.unet"),
        ("io/images.py", "from ..recipe import Recipe"),
        ("io/images.py", "def f():\n    from ..workflows.segment import segment"),
        ("models/__init__.py", "from ..io import read_image"),
        ("recipe/toml.py", "from ..models import names"),
        ("workflows/segment/plane.py", "from ...cli import main"),
        ("workflows/predict/load.py", "from ..segment import segment"),
        ("workflows/segment/plane.py", "from ..predict import _build"),
        ("workflows/segment/plane.py", "from ..predict.load import load_model"),
        ("cli/segment.py", "from ..workflows.predict.load import load_model"),
        ("__init__.py", "from .workflows.segment import segment"),
        ("__init__.py", "def __getattr__(name):\n    from .models import load"),
    ],
)
def test_the_contract_notices_a_forbidden_import(path, text):
    assert contract_violations(parse(path, text), ROOMS, FACES) != []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("io/images.py", "from ..types import Image\nfrom ..checks import InputError\nfrom .atomic import atomic_path"),
        ("models/__init__.py", "from .unet import build\nfrom . import unet\nfrom ..checks import InputError"),
        ("workflows/segment/plane.py", "from ... import __version__\nfrom ...models import load\nfrom .file import f"),
        ("workflows/segment/plane.py", "from ...recipe import Recipe\nfrom ..predict import load_model"),
        ("__init__.py", "def __getattr__(name):\n    from .workflows.segment import segment"),
        ("cli/__init__.py", "from ..workflows.segment import segment\nfrom .options import Options"),
    ],
)
def test_the_contract_lets_an_allowed_import_pass(path, text):
    assert contract_violations(parse(path, text), ROOMS, FACES) == []


@pytest.mark.parametrize(
    ("path", "text", "complaints"),
    [
        ("io/images.py", "import torch", 1),
        ("recipe/toml.py", "from torch import nn", 1),
        ("cli/__init__.py", "import torch", 1),
        ("cli/__init__.py", "def run():\n    import torch", 0),
        ("workflows/predict/load.py", "import torch", 0),
        ("inference/torch_engine.py", "import openvino", 1),
        ("inference/openvino_engine.py", "import openvino", 0),
        ("data/index.py", "from PIL import Image", 1),
        ("metrics/pixel.py", "import matplotlib.pyplot as plt", 1),
        ("report/curves.py", "import matplotlib.pyplot as plt\nfrom PIL import Image", 0),
    ],
)
def test_a_library_away_from_home_is_noticed(path, text, complaints):
    assert len(library_violations(parse(path, text))) == complaints


@pytest.mark.parametrize(
    ("path", "text", "complaints"),
    [
        ("io/images.py", "from numpy import *", 1),
        ("io/images.py", "print(3)", 1),
        ("cli/__init__.py", "print(3)", 0),
        ("io/_utils.py", "", 1),
        ("common/images.py", "", 1),
        ("io/images.py", "from cellproof.checks import InputError", 1),
    ],
)
def test_bad_manners_are_noticed(path, text, complaints):
    assert len(manner_violations(parse(path, text))) == complaints


def test_a_ring_is_noticed_unless_it_is_closed_inside_a_function():
    there, back = parse("io/a.py", "from .b import f"), "from .a import g"
    assert rings([there, parse("io/b.py", back)]) != []
    assert rings([there, parse("io/b.py", f"def f():\n    {back}")]) == []


def test_a_test_without_an_assertion_is_noticed():
    text = "def test_nothing():\n    predict()\n\ndef test_equal():\n    np.testing.assert_allclose(1, 1)\n"
    assert blind_tests("tests/test_x.py", text) == ["tests/test_x.py:1 test_nothing asserts nothing"]
