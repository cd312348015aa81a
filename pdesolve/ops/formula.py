"""Formulas as text, such as "sin(6*x)*cos(100*x)", with their derivatives in closed form.

Text is parsed, never run as code: numbers, names, + - * / **, and the functions listed here.
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

# A number, a name, or (operation, operand, ...).
Expression = float | str | tuple[Any, ...]

_NAMES = ["sin", "cos", "tan", "exp", "log", "sqrt", "sinh", "cosh", "tanh", "atan", "abs", "sign"]
_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {name: getattr(torch, name) for name in _NAMES}
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**",
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e}


class Formula:
    """A function of named arguments.

    Args:
        text: such as "x*sin(200*x)"; exponents are numbers.
        names: of the arguments, in order.

    Raises:
        ValueError: the text is no formula, or uses a name that is neither an argument nor pi or e.

    >>> Formula("x**3", "x").derivative((1,))(torch.tensor(2.0))
    tensor(12.)
    """

    def __init__(self, text: str, names: Sequence[str]):
        self.text, self.names = str(text), tuple(names)
        self._expression = parsed(self.text, self.names)

    def __call__(self, *values: Tensor) -> Tensor:
        """Return the value; arguments broadcast against each other."""
        result = evaluate(self._expression, dict(zip(self.names, values, strict=True)))
        if isinstance(result, Tensor):
            return result
        return (
            torch.full_like(values[0], result)
            if values
            else torch.tensor(result, dtype=torch.float64)
        )

    def __repr__(self) -> str:
        return f"Formula({self.text!r}, {self.names})"

    def derivative(self, orders: Sequence[int]) -> "Formula":
        """Return a partial derivative, one order an argument."""
        other = object.__new__(Formula)
        other.text, other.names = f"∂{tuple(orders)} {self.text}", self.names
        expression = self._expression
        for name, order in zip(self.names, orders, strict=True):
            for _ in range(order):
                expression = _derivative(expression, name)
        other._expression = expression
        return other


def parsed(text: str, names: Sequence[str]) -> Expression:
    """Return the expression of a formula.

    Raises:
        ValueError: as `Formula`.
    """
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no formula: {error.msg}") from error
    return _expression(tree.body, text, tuple(names))


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression; equal parts are computed once."""
    done: dict[Expression, Any] = {}

    def value(part: Expression) -> Any:
        if isinstance(part, str):
            return values[part]
        if not isinstance(part, tuple):
            return part
        if part not in done:
            done[part] = _applied(part[0], [value(p) for p in part[1:]])
        return done[part]

    return value(expression)


def _applied(operation: str, operands: list[Any]) -> Any:
    if operation in _FUNCTIONS:
        (x,) = operands
        return _FUNCTIONS[operation](
            x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64)
        )
    a, b = operands
    match operation:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
        case _:
            return a**b


def _expression(node: ast.expr, text: str, names: tuple[str, ...]) -> Expression:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id=name) if name in names:
            return name
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _times(-1.0, _expression(operand, text, names))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = _expression(left, text, names), _expression(right, text, names)
            if isinstance(a, float) and isinstance(b, float):
                return float(_applied(_OPERATORS[type(op)], [a, b]))
            if isinstance(op, ast.Pow) and not isinstance(b, float):
                raise ValueError(f"{text!r} has an exponent that is no number: write exp(b*log(a))")
            return (_OPERATORS[type(op)], a, b)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            inner = _expression(argument, text, names)
            return float(_applied(name, [inner])) if isinstance(inner, float) else (name, inner)
    raise ValueError(
        f"{ast.unparse(node)!r} in the formula {text!r} is neither a number, one of the names "
        f"{', '.join((*names, *_CONSTANTS))}, one of + - * / **, nor one of {', '.join(_FUNCTIONS)}"
    )


@lru_cache(maxsize=4096)
def _derivative(expression: Expression, name: str) -> Expression:
    if not isinstance(expression, tuple):
        return 1.0 if expression == name else 0.0
    operation, a, *others = expression
    slope = _derivative(a, name)
    if not others:
        return _times(_slope_of(operation, a), slope)
    b = others[0]
    other = _derivative(b, name)
    if operation == "*":
        return _plus(_times(slope, b), _times(a, other))
    if operation == "/":
        inverse = ("**", b, -2.0)
        return _plus(
            _times(slope, ("**", b, -1.0)), _times(-1.0, _times(_times(a, other), inverse))
        )
    if operation == "**":
        return _times(_times(b, _power(a, b - 1)), slope)
    return _plus(slope, _times(-1.0, other) if operation == "-" else other)


def _slope_of(function: str, a: Expression) -> Expression:
    whole = (function, a)
    slopes: dict[str, Expression] = {
        "sin": ("cos", a),
        "cos": _times(-1.0, ("sin", a)),
        "tan": ("+", 1.0, ("**", whole, 2.0)),
        "exp": whole,
        "log": ("**", a, -1.0),
        "sqrt": ("/", 0.5, whole),
        "sinh": ("cosh", a),
        "cosh": ("sinh", a),
        "tanh": ("-", 1.0, ("**", whole, 2.0)),
        "atan": ("**", ("+", 1.0, ("**", a, 2.0)), -1.0),
        "abs": ("sign", a),
        "sign": 0.0,
    }
    return slopes[function]


def _plus(a: Expression, b: Expression) -> Expression:
    if a == 0.0:
        return b
    return a if b == 0.0 else ("+", a, b)


def _times(a: Expression, b: Expression) -> Expression:
    if a == 0.0 or b == 0.0:
        return 0.0
    if isinstance(a, float) and isinstance(b, float):
        return a * b
    if a == 1.0:
        return b
    return a if b == 1.0 else ("*", a, b)


def _power(a: Expression, exponent: float) -> Expression:
    if exponent == 0:
        return 1.0
    return a if exponent == 1 else ("**", a, exponent)
