"""Link all extension modules once more, into one shared library: what servers load instead of the single ones.

    python tools/bundle.py OUTPUT OBJECT=MODULE=LIBRARY...      (called by setup.py)

A process that forks for each connection pays for every mapping that the fork copies, and two hundred shared libraries
are most of them. Each object's init function gets a name of its own; a table of them is the extension module
`tusk._bundle` (see src/tusk/cli/bundled.py). The table also tells by time and size which file each module was linked
from, so that a module that was built again since then is loaded from its own file.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

_TABLE = """/* Written by tools/bundle.py. */
#include <Python.h>
#include <string.h>

%(declarations)s
static const struct entry { const char *name; PyObject *(*init)(void); long long time_ns; long long size; } table[] = {
%(rows)s
};

static PyObject *entries(PyObject *self, PyObject *unused) {
    PyObject *result = PyDict_New();
    for (size_t i = 0; result != NULL && i < sizeof(table) / sizeof(table[0]); i++) {
        PyObject *value = Py_BuildValue("(nLL)", (Py_ssize_t) i, table[i].time_ns, table[i].size);
        if (value == NULL || PyDict_SetItemString(result, table[i].name, value) < 0)
            Py_CLEAR(result);
        Py_XDECREF(value);
    }
    return result;
}

static PyObject *create(PyObject *self, PyObject *args) {
    Py_ssize_t i;
    PyObject *spec, *made;
    if (!PyArg_ParseTuple(args, "nO", &i, &spec))
        return NULL;
    if (i < 0 || i >= (Py_ssize_t) (sizeof(table) / sizeof(table[0]))) {
        PyErr_SetString(PyExc_IndexError, "no such module");
        return NULL;
    }
    made = table[i].init();
    if (made != NULL && PyObject_TypeCheck(made, &PyModuleDef_Type))
        return PyModule_FromDefAndSpec((PyModuleDef *) made, spec);
    return made;
}

static PyObject *execute(PyObject *self, PyObject *module) {
    PyModuleDef *definition = PyModule_GetDef(module);
    if (definition == NULL || PyModule_ExecDef(module, definition) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"entries", entries, METH_NOARGS, "module name -> (number, modification time and size of its own file)"},
    {"create", create, METH_VARARGS, "make the module with this number for a spec"},
    {"execute", execute, METH_O, "run a module's body"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "tusk._bundle", NULL, -1, methods};
PyMODINIT_FUNC PyInit__bundle(void) { return PyModule_Create(&definition); }
"""


def bundle(output: Path, modules: list[tuple[Path, str, Path]], work: Path, link_flags: list[str]) -> None:
    """Link the objects (object, module, its shared library) into ``output``; nothing happens if that is the newest."""
    newest = max(library.stat().st_mtime_ns for _, _, library in modules)
    listed = work / "modules"
    names = "\n".join(module for _, module, _ in modules)
    fresh = output.exists() and output.stat().st_mtime_ns > newest and listed.exists() and listed.read_text() == names
    if fresh and output.stat().st_mtime_ns > Path(__file__).stat().st_mtime_ns:
        return
    work.mkdir(parents=True, exist_ok=True)
    renamed, declarations, rows = [], [], []
    for source, module, library in modules:
        symbol = "TuskInit_" + module.replace("_", "_1").replace(".", "_0")
        target = work / f"{module}.o"
        if not target.exists() or target.stat().st_mtime_ns <= source.stat().st_mtime_ns:
            old = f"PyInit_{module.rpartition('.')[2]}"
            subprocess.run(["objcopy", "--redefine-sym", f"{old}={symbol}", source, target], check=True)
        renamed.append(str(target))
        state = library.stat()
        declarations.append(f"extern PyObject *{symbol}(void);")
        rows.append(f'    {{"{module}", {symbol}, {state.st_mtime_ns}LL, {state.st_size}LL}},')
    table = work / "table.c"
    table.write_text(_TABLE % {"declarations": "\n".join(declarations), "rows": "\n".join(rows)})
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run([*compiler, "-fPIC", "-O2", "-c", include, str(table), "-o", str(work / "table.o")], check=True)
    unfinished = work / output.name
    linker = [word for word in compiler if not word.endswith("ccache")]
    subprocess.run(
        [*linker, "-shared", "-o", str(unfinished), str(work / "table.o"), *renamed,
         "-Wl,-z,norelro", "-Wl,-z,noseparate-code", "-Wl,-Bsymbolic", "-Wl,-S",
         "-Wl,-z,max-page-size=0x200000", *link_flags],
        check=True,
    )  # fmt: skip
    unfinished.replace(output)
    listed.write_text(names)


if __name__ == "__main__":
    triples = [word.split("=") for word in sys.argv[2:]]
    bundle(Path(sys.argv[1]), [(Path(o), m, Path(s)) for o, m, s in triples], Path("build/bundle"), [])
