"""All node classes, enums and flag constants under PostgreSQL's names, and the generic operations on trees."""

from tusk.sql.nodes.base import Node as Node
from tusk.sql.nodes.base import children as children
from tusk.sql.nodes.base import copy_tree as copy_tree
from tusk.sql.nodes.base import equal as equal
from tusk.sql.nodes.base import mutate as mutate
from tusk.sql.nodes.base import replace as replace
from tusk.sql.nodes.base import walk as walk
from tusk.sql.nodes.enums import *  # noqa: F403
from tusk.sql.nodes.literals import *  # noqa: F403
from tusk.sql.nodes.nodetext import read_node_tree as read_node_tree
from tusk.sql.nodes.nodetext import write_node_tree as write_node_tree
from tusk.sql.nodes.parsetree import *  # noqa: F403
from tusk.sql.nodes.plantree import *  # noqa: F403
from tusk.sql.nodes.primitives import *  # noqa: F403
