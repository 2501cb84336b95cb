"""The module `pyodide.code` of worker code: runs Python source."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import tokenize
from collections.abc import Callable
from io import StringIO
from types import CodeType
from typing import Any, Literal

from emulator_runtime.errors import NotEmulated, no_attribute

__all__ = [
    "CodeRunner",
    "eval_code",
    "eval_code_async",
    "find_imports",
    "relaxed_call",
    "relaxed_wrap",
    "run_js",
    "should_quiet",
]

ReturnMode = Literal["last_expr", "last_expr_or_assign", "none"]

CodeRunner = NotEmulated("pyodide.code.CodeRunner", "eval_code() runs source")
run_js = NotEmulated(
    "pyodide.code.run_js", "a Python worker runs without JavaScript here; Workers refuse eval() as well"
)

_RESULT = "__result_of_the_last_expression__"


def eval_code(
    source: str,
    globals: dict[str, Any] | None = None,
    locals: dict[str, Any] | None = None,
    *,
    return_mode: ReturnMode = "last_expr",
    quiet_trailing_semicolon: bool = True,
    filename: str = "<exec>",
    flags: int = 0,
) -> Any:
    """Run `source`. Returns the value of its last line if that is an expression, and does not end in a semicolon; with
    the return mode `last_expr_or_assign`, also what the last line assigns to a name."""
    namespace = {} if globals is None else globals
    code = _compiled(source, return_mode, quiet_trailing_semicolon, filename, flags)
    exec(code, namespace, locals)
    return (namespace if locals is None else locals).pop(_RESULT, None)


async def eval_code_async(
    source: str,
    globals: dict[str, Any] | None = None,
    locals: dict[str, Any] | None = None,
    *,
    return_mode: ReturnMode = "last_expr",
    quiet_trailing_semicolon: bool = True,
    filename: str = "<exec>",
    flags: int = 0,
) -> Any:
    """`eval_code` for source with `await` at its top level."""
    namespace = {} if globals is None else globals
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = _compiled(source, return_mode, quiet_trailing_semicolon, filename, flags)
    running = builtins.eval(code, namespace, locals)
    if code.co_flags & inspect.CO_COROUTINE:
        await running
    return (namespace if locals is None else locals).pop(_RESULT, None)


def _compiled(source: str, return_mode: ReturnMode, quiet: bool, filename: str, flags: int) -> CodeType:
    module = ast.parse(inspect.cleandoc(source), filename)
    if return_mode != "none" and module.body and not (quiet and should_quiet(source)):
        last = module.body[-1]
        if isinstance(last, ast.Expr):
            module.body[-1] = _assignment(last.value, last)
        elif return_mode == "last_expr_or_assign" and (name := _assigned(last)) is not None:
            module.body.append(_assignment(ast.Name(name, ast.Load()), last))
    code: CodeType = compile(ast.fix_missing_locations(module), filename, "exec", flags, dont_inherit=True)
    return code


def _assignment(value: ast.expr, place: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Assign([ast.Name(_RESULT, ast.Store())], value), place)


def _assigned(statement: ast.stmt) -> str | None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return targets[-1].id if isinstance(targets[-1], ast.Name) else None


def should_quiet(source: str, /) -> bool:
    """Whether `source` ends in a semicolon, comments aside."""
    skipped = (tokenize.ENDMARKER, tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
    try:
        tokens = [token for token in tokenize.generate_tokens(StringIO(source).readline) if token.type not in skipped]
    except (tokenize.TokenError, SyntaxError):
        return False
    return bool(tokens) and tokens[-1].string == ";"


def find_imports(source: str) -> list[str]:
    """The names of the top-level packages that `source` imports; empty if it cannot be parsed."""
    try:
        module = ast.parse(inspect.cleandoc(source))
    except SyntaxError:
        return []
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return sorted(found)


def relaxed_wrap(func: Callable[..., Any]) -> Callable[..., Any]:
    """`func`, called with the arguments that it takes: others are left out."""

    @functools.wraps(func)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        return relaxed_call(func, *arguments, **keywords)

    return wrapper


def relaxed_call(func: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call `func` with the arguments that it takes; others are left out."""
    parameters = inspect.signature(func).parameters.values()
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        arguments = arguments[: sum(kind in positional for kind in kinds)]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        names = {parameter.name for parameter in parameters}
        keywords = {name: value for name, value in keywords.items() if name in names}
    return func(*arguments, **keywords)


__getattr__ = no_attribute("pyodide.code")
