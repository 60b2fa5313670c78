"""Who this session is: database, roles, security context (miscinit.c's globals).

Set by the backend when it connects and by SET ROLE, SET SESSION AUTHORIZATION and SECURITY DEFINER functions.
In tools and tests the defaults stand: the bootstrap superuser, no open database.
"""

from __future__ import annotations

from collections.abc import Callable

BOOTSTRAP_SUPERUSERID = 10
SECURITY_LOCAL_USERID_CHANGE = 1
SECURITY_RESTRICTED_OPERATION = 2
SECURITY_NOFORCE_RLS = 4


class Session:
    """The one session of this process."""

    __slots__ = (
        "authenticated_user_id", "current_user_id", "database_id", "database_tablespace", "encoding", "on_user_change",
        "outer_user_id", "security_context", "session_user_id", "session_user_is_superuser", "set_role_is_active",
        "superuser_cache", "temp_namespace_id", "temp_toast_namespace_id",
    )  # fmt: skip

    def __init__(self) -> None:
        self.database_id = 0
        self.database_tablespace = 1663
        self.encoding = 6
        self.authenticated_user_id = BOOTSTRAP_SUPERUSERID
        self.session_user_id = BOOTSTRAP_SUPERUSERID
        self.session_user_is_superuser = True
        self.outer_user_id = BOOTSTRAP_SUPERUSERID
        self.current_user_id = BOOTSTRAP_SUPERUSERID
        self.set_role_is_active = False
        self.security_context = 0
        self.temp_namespace_id = 0
        self.temp_toast_namespace_id = 0
        self.superuser_cache: dict[int, bool] = {}
        self.on_user_change: list[Callable[[], None]] = []

    def set_user_and_context(self, user_id: int, security_context: int) -> None:
        """Become another role within a function or maintenance command (SetUserIdAndSecContext)."""
        self.current_user_id = user_id
        self.security_context = security_context
        for changed in self.on_user_change:
            changed()

    def set_session_user(self, user_id: int, is_superuser: bool) -> None:
        """SET SESSION AUTHORIZATION, and what a new connection does."""
        self.session_user_id = user_id
        self.session_user_is_superuser = is_superuser
        self.set_role_is_active = False
        self.outer_user_id = user_id
        self.set_user_and_context(user_id, self.security_context)

    def set_role(self, role_id: int) -> None:
        """SET ROLE; 0 is NONE."""
        self.set_role_is_active = role_id != 0
        self.outer_user_id = role_id or self.session_user_id
        self.set_user_and_context(self.outer_user_id, self.security_context)

    def in_local_user_id_change(self) -> bool:
        """Whether a function or command runs as somebody else."""
        return bool(self.security_context & SECURITY_LOCAL_USERID_CHANGE)

    def in_restricted_operation(self) -> bool:
        """Whether operations with lasting effects on the session are refused."""
        return bool(self.security_context & SECURITY_RESTRICTED_OPERATION)


session = Session()
