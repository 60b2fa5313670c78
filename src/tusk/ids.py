"""Integers that must not be mixed up."""

from typing import NewType

Oid = NewType("Oid", int)
BlockNumber = NewType("BlockNumber", int)
OffsetNumber = NewType("OffsetNumber", int)
TransactionId = NewType("TransactionId", int)
Lsn = NewType("Lsn", int)
