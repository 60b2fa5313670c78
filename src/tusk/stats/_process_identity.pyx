"""What the server log says of this process by its slot in shared memory: virtual and real transaction id, leader."""

from tusk.memory._process cimport MyProc, MyProcNumber


def transaction_identity() -> tuple[int, int, int, int]:
    """(process number, local transaction id, xid, pid of the group leader); the number is -1 without a slot."""
    if MyProc == NULL or MyProcNumber < 0:
        return -1, 0, 0, 0
    leader = 0
    if MyProc.lockGroupLeader != NULL and MyProc.lockGroupLeader != MyProc:
        leader = MyProc.lockGroupLeader.pid
    return MyProcNumber, MyProc.lxid, MyProc.xid, leader
