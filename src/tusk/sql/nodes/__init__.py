"""All node classes, enums and flag constants under PostgreSQL's names, and the generic operations on trees."""

from tusk.sql.nodes.base import Node, children, copy_tree, equal, mutate, replace, walk
from tusk.sql.nodes.enums import *  # noqa: F403
from tusk.sql.nodes.literals import *  # noqa: F403
from tusk.sql.nodes.nodetext import read_node_tree, write_node_tree
from tusk.sql.nodes.parsetree import *  # noqa: F403
from tusk.sql.nodes.plantree import *  # noqa: F403
from tusk.sql.nodes.primitives import *  # noqa: F403
