from collections.abc import Callable

from tusk.wal._reader import WalReader
from tusk.wal._redo import DecodedRecord

def replay(
    reader: WalReader,
    describe: Callable[[DecodedRecord], str],
    progress: Callable[[int], None],
    interval_seconds: float,
    on_segment: Callable[[int], None],
) -> int: ...
def check_overwrite(reader: WalReader, record: DecodedRecord) -> None: ...
