"""The walks over trees that the analyzer and the planner make most: children, copy, visit, rebuild, fingerprint.

What is known of a node class (its fields that hold nodes, the level change below a Query) is looked up once.
"""

cdef object _node = None
cdef dict _shapes = {}


cdef class _Shape:
    """The fields of a node class."""

    cdef object kind
    cdef tuple names            # all fields
    cdef tuple plain            # fields that hold no nodes
    cdef tuple below            # fields that may hold nodes
    cdef tuple compared         # (name, may hold nodes) of the fields that count in a fingerprint
    cdef object title
    cdef int deeper             # what the query level grows by below it
    cdef bint is_var

    def __init__(self, kind):
        self.kind = kind
        self.title = kind.__name__
        self.names = tuple([name for name, _, _ in kind.FIELDS])
        self.below = tuple([name for name, field, _ in kind.FIELDS if field in ("node", "list")])
        self.plain = tuple([name for name, field, _ in kind.FIELDS if field not in ("node", "list")])
        self.compared = tuple([
            (name, True) for name, field, flags in kind.FIELDS if field != "location" and "equal_ignore" not in flags
        ])
        self.deeper = 1 if self.title == "Query" else 0
        self.is_var = self.title == "Var"


def set_node_class(root):
    """The class all nodes derive from."""
    global _node
    _node = root


cdef _Shape _shape_of(object value):
    """The shape of a value's class, None where it is no node."""
    kind = type(value)
    found = _shapes.get(kind, 0)
    if found is not 0:
        return <_Shape> found
    made = _Shape(kind) if isinstance(value, _node) else None
    _shapes[kind] = made
    return <_Shape> made


def children(node):
    """The nodes and lists directly below a node, in field order."""
    cdef _Shape shape = _shape_of(node)
    cdef list found = []
    for name in shape.below:
        value = getattr(node, name)
        if value is not None and not (type(value) is list and not value):
            found.append(value)
    return found


def copy_tree(value):
    """A deep copy of a tree (nodes and lists are copied, values are shared)."""
    return _copy(value)


cdef object _copy(object value):
    cdef _Shape shape
    if type(value) is list:
        return [_copy(item) for item in <list> value]
    if value is None:
        return None
    shape = _shape_of(value)
    if shape is None:
        return value
    kind = shape.kind
    made = kind.__new__(kind)
    for name in shape.names:
        child = getattr(value, name)
        if child is not None:
            child = _copy(child)
        setattr(made, name, child)
    return made


def walk_levels(tree, visit, int level=0):
    """Visit every node with its query nesting level, parents first.

    ``visit`` returns True to stop the walk (and walk_levels returns True), "skip" not to go below the node, or
    anything else to go on. The level grows by one below each Query that is met inside the tree.
    """
    return _walk(tree, visit, level)


cdef bint _walk(object tree, object visit, int level) except -1:
    cdef _Shape shape
    if tree is None:
        return False
    if type(tree) is list:
        for item in <list> tree:
            if _walk(item, visit, level):
                return True
        return False
    shape = _shape_of(tree)
    if shape is None:
        return False
    answer = visit(tree, level)
    if answer is not None:
        if answer is True:
            return True
        if answer == "skip":
            return False
    level += shape.deeper
    for name in shape.below:
        child = getattr(tree, name)
        if child is not None and _walk(child, visit, level):
            return True
    return False


def mutate_levels(tree, change, int level=0):
    """Rebuild a tree; ``change`` gets node and level and returns a replacement, or None to copy and go on below."""
    return _mutate(tree, change, level)


cdef object _mutate(object tree, object change, int level):
    cdef _Shape shape
    if tree is None:
        return None
    if type(tree) is list:
        return [_mutate(item, change, level) for item in <list> tree]
    shape = _shape_of(tree)
    if shape is None:
        return tree
    replacement = change(tree, level)
    if replacement is not None:
        return replacement
    level += shape.deeper
    kind = shape.kind
    made = kind.__new__(kind)
    for name in shape.plain:
        setattr(made, name, getattr(tree, name))
    for name in shape.below:
        child = getattr(tree, name)
        if child is not None:
            child = _mutate(child, change, level)
        setattr(made, name, child)
    return made


def fingerprint(node):
    """A hashable form of an expression: equal fingerprints mean equal values. Locations and the outer joins that may
    null a Var do not count."""
    return _fingerprint(node)


cdef object _fingerprint(object node):
    cdef _Shape shape
    cdef list parts
    if node is None:
        return None
    if type(node) is list:
        parts = []
        for item in <list> node:
            parts.append(_fingerprint(item))
        return tuple(parts)
    shape = _shape_of(node)
    if shape is None:
        if type(node).__hash__ is None:
            return repr(node)
        return (type(node).__name__, node) if isinstance(node, (bool, float)) else node
    if shape.is_var:
        return ("Var", node.varno, node.varattno, node.varlevelsup, int(node.varreturningtype))
    parts = [shape.title]
    for name, _ in shape.compared:
        parts.append(_fingerprint(getattr(node, name)))
    return tuple(parts)
