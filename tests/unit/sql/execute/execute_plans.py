"""Hand-made plan trees for tests of the executor."""

from tusk.catalog.cache import OPERNAMENSP, PROCOID, TYPEOID, lookup, lookup_list
from tusk.catalog.facts import builtin_rows
from tusk.sql.nodes import enums
from tusk.sql.nodes.plantree import PlannedStmt, Result, ValuesScan
from tusk.sql.nodes.primitives import BoolExpr, Const, FuncExpr, OpExpr, Param, TargetEntry, Var

TYPES = {"bool": 16, "int2": 21, "int4": 23, "int8": 20, "float8": 701, "text": 25, "numeric": 1700, "name": 19}


def const(value, type_name):
    oid = TYPES[type_name]
    row = lookup(TYPEOID, oid)
    return Const(consttype=oid, constvalue=value, constisnull=value is None, constlen=row.typlen,
                 constbyval=row.typbyval, constcollid=row.typcollation)


def type_of(node):
    for attribute in ("consttype", "opresulttype", "funcresulttype", "vartype", "casetype", "paramtype"):
        if hasattr(node, attribute):
            return getattr(node, attribute)
    return 16


def op(name, left, right):
    for row in lookup_list(OPERNAMENSP, name):
        if row.oprleft == type_of(left) and row.oprright == type_of(right):
            return OpExpr(opno=row.oid, opfuncid=row.oprcode, opresulttype=row.oprresult, args=[left, right],
                          inputcollid=100 if type_of(left) == 25 else 0)
    raise LookupError(name)


def func(prosrc, *args):
    for row in builtin_rows("pg_proc"):
        if row.prosrc == prosrc and len(row.proargtypes) == len(args):
            return FuncExpr(funcid=row.oid, funcresulttype=row.prorettype, args=list(args), inputcollid=100)
    raise LookupError(prosrc)


def var(attno, type_name, varno=1):
    return Var(varno=varno, varattno=attno, vartype=TYPES[type_name], vartypmod=-1)


def tlist(*exprs):
    return [TargetEntry(expr=e, resno=i + 1, resname=f"c{i + 1}") for i, e in enumerate(exprs)]


def select(plan, **fields):
    return PlannedStmt(commandType=enums.CMD_SELECT, planTree=plan, canSetTag=True, **fields)


def result(*exprs):
    return select(Result(targetlist=tlist(*exprs)))


def values(rows, targets, qual=()):
    return select(ValuesScan(scanrelid=1, values_lists=rows, targetlist=tlist(*targets), qual=list(qual)))


__all__ = ["PROCOID", "BoolExpr", "Param", "const", "func", "op", "result", "select", "tlist", "values", "var"]
