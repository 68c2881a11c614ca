"""The laws of the layout as functions of a source; each gives what breaks it, so nothing found means that it holds.

Must not be here: which files they hold for (`test_layers`), examples that break them (`test_laws`).
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict, deque
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_FILE_LINES: Final = 500
MAX_FUNCTION_LINES: Final = 40
MAX_POSITIONAL: Final = 5
OF_AN_EXTRA: Final = (
    "opentelemetry",
    "aiohttp",
    "gateway.observability.tracing",
    "gateway.runs.models.endpoint",
)
MODULES_OF_EXTRAS: Final = ("tracing", "endpoint")  # their stems; others import them only when used
MAY_ONLY_CONTRACT: Final = {"drop_column", "drop_table", "drop_index", "rename_table", "alter_column"}
_WORD: Final = re.compile(r"\w+")
_ENVIRONMENT: Final = {"os.environ", "os.getenv", "os.putenv", "os.environb"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Graph = dict[str, dict[str, set[str]]]  # of each package its children, and which children each of them imports


@cache
def nodes(tree: ast.AST) -> list[ast.AST]:
    """Walk a tree; many laws look at the same ones, and to walk takes longer than to look."""
    return list(ast.walk(tree))


@cache
def modules_named(tree: ast.Module) -> frozenset[str]:
    """Name all that a module imports, at any depth (also inside functions and for type checkers only)."""
    names: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return frozenset(names)


def layers_named(tree: ast.Module) -> set[str]:
    """Name the layers of ours that a module imports from."""
    return {name.split(".")[1] for name in modules_named(tree) if name.startswith("gateway.")}


def others_named(tree: ast.Module) -> set[str]:
    """Name the packages that are neither ours nor Python's that a module imports from."""
    return {name.split(".")[0] for name in modules_named(tree)} - sys.stdlib_module_names - {"gateway"}


def store_imports_except(tree: ast.Module, allowed: str) -> set[str]:
    """Name what a module imports from the store besides one module of it."""
    of_store = {name for name in modules_named(tree) if name.startswith("gateway.store")}
    return {name for name in of_store if name != allowed and not name.startswith(f"{allowed}.")}


def relative_imports(tree: ast.Module) -> list[int]:
    """Give the lines of relative imports, which `modules_named` does not see."""
    return [node.lineno for node in nodes(tree) if isinstance(node, ast.ImportFrom) and node.level]


def early_imports_of_extras(tree: ast.Module) -> set[str]:
    """Name what is imported with the module although only an extra installs it."""
    at_once = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    return {name for name in modules_named(at_once) if name.startswith(OF_AN_EXTRA)}


def environment_reads(tree: ast.Module) -> set[str]:
    """Name the ways in which a module reads the environment."""
    last = {name.rpartition(".")[2] for name in _ENVIRONMENT}
    reads = {ast.unparse(node) for node in nodes(tree) if isinstance(node, ast.Attribute) and node.attr in last}
    return (reads | modules_named(tree)) & _ENVIRONMENT


def own_imports(tree: ast.Module) -> set[str]:
    """Name what a module imports of ours."""
    return {name for name in modules_named(tree) if name.split(".")[0] == "gateway"}


def circles(sources: Mapping[str, ast.Module]) -> set[str]:
    """Find the import circles among the children of each package, as `gateway.store: reads > rows > reads`.

    A child is a module, a subpackage with all that is in it, or what the package's own `__init__` holds. Of children
    that all reach each other, one shortest circle is named.
    """
    return {
        f"{package}: {' > '.join(circle)}"
        for package, imports in _sibling_imports(sources).items()
        for circle in _shortest_circles(imports)
    }


def _sibling_imports(sources: Mapping[str, ast.Module]) -> _Graph:
    graph: _Graph = defaultdict(lambda: defaultdict(set))
    for importer, tree in sources.items():
        for imported in {_module_of(name, sources) for name in modules_named(tree)} - {None, importer}:
            own, other = importer.split("."), str(imported).split(".")
            depth = next(n for n, (a, b) in enumerate(zip(own, other, strict=False)) if a != b)
            graph[".".join(own[:depth])][own[depth]].add(other[depth])
    return graph


def _module_of(name: str, sources: Mapping[str, ast.Module]) -> str | None:
    """Find the module that an imported name comes from: itself, its package's `__init__`, or what holds it."""
    while name:
        for module in (name, f"{name}.__init__"):
            if module in sources:
                return module
        name = name.rpartition(".")[0]
    return None


def _shortest_circles(imports: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Give a shortest circle of each set of children that reach each other; each begins with its smallest name."""
    found: list[list[str]] = []
    candidates = [path for child in sorted(imports) if (path := _way_back(child, imports))]
    for circle in sorted(candidates, key=len):
        if not any(_way(circle[0], other[0], imports) and _way(other[0], circle[0], imports) for other in found):
            smallest = circle.index(min(circle))
            found.append([*circle[smallest:-1], *circle[:smallest], circle[smallest]])
    return found


def _way_back(child: str, imports: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Find a shortest way from a child back to itself."""
    ways = [[child, *way] for each in sorted(imports[child]) if (way := _way(each, child, imports))]
    return min(ways, key=len, default=None)


def _way(start: str, end: str, imports: Mapping[str, Iterable[str]]) -> list[str] | None:
    waiting, seen = deque([[start]]), {start}
    while waiting:
        way = waiting.popleft()
        if way[-1] == end:
            return way
        for each in sorted(set(imports.get(way[-1], ())) - seen):
            seen.add(each)
            waiting.append([*way, each])
    return None


def duplicate_classes(sources: Mapping[str, ast.Module]) -> dict[str, list[str]]:
    """Find public classes of one layer that share a name, with the modules that define them."""
    defined: dict[str, list[str]] = defaultdict(list)
    for module, tree in sorted(sources.items()):
        layer = ".".join(module.split(".")[:2])
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[f"{layer}:{node.name}"].append(module)
    return {name: modules for name, modules in defined.items() if len(modules) > 1}


def functions(tree: ast.Module) -> list[_Function]:
    """Give all functions and methods of a module."""
    return [node for node in nodes(tree) if isinstance(node, _Function)]


def long_functions(tree: ast.Module) -> set[str]:
    """Name the functions of too many lines, their docstrings with them, their decorators not."""
    return {
        each.name for each in functions(tree) if (each.end_lineno or each.lineno) - each.lineno + 1 > MAX_FUNCTION_LINES
    }


def unused(sources: Mapping[str, ast.Module]) -> set[str]:
    """Name the functions, classes and constants that nothing refers to, also by a text such as generated code.

    A decorator is a reference, and so is any use of the same name elsewhere.
    """
    used: set[str] = set()
    defined: dict[str, str] = {}
    for module, tree in sources.items():
        texts = {id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr)}  # docstrings refer to nothing
        for node in nodes(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
            elif isinstance(node, ast.Attribute):
                used.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
                used.update(_WORD.findall(node.value))
            elif isinstance(node, _Function | ast.ClassDef) and not node.decorator_list:
                defined[node.name] = module
        constants = [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
        defined |= {each.id: module for each in constants if isinstance(each, ast.Name)}
    return {f"{defined[name]}:{name}" for name in defined.keys() - used if not name.startswith("__")}


def is_long_file(text: str) -> bool:
    """Say whether a file has too many lines."""
    return len(text.splitlines()) > MAX_FILE_LINES


def many_positional(tree: ast.Module, *, resolvers_may: bool = False) -> set[str]:
    """Name the functions that take too many arguments by position; Strawberry calls its resolvers by name."""
    return {
        each.name
        for each in functions(tree)
        if len(_positional(each)) > MAX_POSITIONAL and not (resolvers_may and _is_resolver(each))
    }


def _positional(function: _Function) -> list[str]:
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _is_resolver(function: _Function) -> bool:
    return any(ast.unparse(each).startswith("strawberry.") for each in function.decorator_list)


def faults_of_upgrade(tree: ast.Module) -> set[str]:
    """Name what an upgrade does that a server of the previous version, or its writers meanwhile, could not bear."""
    [upgrade] = [each for each in functions(tree) if each.name == "upgrade"]
    calls = [each for each in ast.walk(upgrade) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)]
    return {call.func.attr for call in calls if isinstance(call.func, ast.Attribute) and _breaks(call.func.attr, call)}


def _breaks(operation: str, call: ast.Call) -> bool:
    if operation == "add_column":
        column = _keywords(call.args[1])
        return column.get("nullable") == "False" and "server_default" not in column
    # An index locks writers out; one that is built concurrently cannot be part of a migration's transaction.
    return operation == "create_index" or operation in MAY_ONLY_CONTRACT


def _keywords(call: ast.expr) -> dict[str | None, str]:
    return {each.arg: ast.unparse(each.value) for each in call.keywords} if isinstance(call, ast.Call) else {}
