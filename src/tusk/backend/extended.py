"""The extended protocol: Parse, Bind, Describe, Execute, Close, Flush (manual, "Extended Query")."""

from __future__ import annotations

from typing import Any

from tusk.backend import client_text, protocol, statement_log
from tusk.backend.wire_destination import WireDestination, column_formats, describe
from tusk.commands.completion import command_tag
from tusk.commands.portals import Portal, Strategy
from tusk.commands.prepared import PreparedStatement
from tusk.errors import SqlError, errcode
from tusk.memory import _interrupts
from tusk.sql.parse import parse
from tusk.sql.plancache import PlanSource
from tusk.stats import session_info, title
from tusk.transaction import xact
from tusk.types.codec import codec_for


class ExtendedProtocol:
    """The message handlers; the session owns statements and portals."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.unnamed: PreparedStatement | None = None
        self._handlers = {
            ord("P"): self._parse,
            ord("B"): self._bind,
            ord("D"): self._describe,
            ord("E"): self._execute,
            ord("C"): self._close,
            ord("H"): self._flush,
        }

    def handle(self, kind: int, body: bytes) -> None:
        """Carry out one message."""
        self._handlers[kind](protocol.MessageReader(body))

    def forget_unnamed(self) -> None:
        """A simple query drops the unnamed statement."""
        self.unnamed = None

    def forget_unnamed_after_error(self) -> None:
        """An error leaves the unnamed statement as it is, unless it was being made."""

    def _statement(self, name: str) -> PreparedStatement:
        if name:
            return self.session.prepared.get(name)  # type: ignore[no-any-return]
        if self.unnamed is None:
            raise SqlError(errcode.UNDEFINED_PSTATEMENT, "unnamed prepared statement does not exist")
        return self.unnamed

    def _parse(self, reader: protocol.MessageReader) -> None:
        from_client = reader.cstring()
        name = client_text.to_text(from_client)
        text = client_text.to_text(reader.cstring())
        types = [reader.uint32() for _ in range(reader.uint16())]
        reader.end()
        session = self.session
        session.begin_activity(text)
        title.set_title("PARSE")
        session.start_command()
        if not name:
            self.unnamed = None
        statements = parse(text)
        if len(statements) > 1:
            raise SqlError(
                errcode.SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement"
            )
        raw = statements[0] if statements else None
        if raw is not None:
            session.check_not_aborted(raw.stmt)
        source = PlanSource(raw, text, types, fixed_parameters=False)
        if raw is not None:
            with xact.analysis_snapshot(raw):
                source.analyze()
        for index, type_oid in enumerate(source.param_types):
            if type_oid == 0:
                raise SqlError(
                    errcode.INDETERMINATE_DATATYPE, f"could not determine data type of parameter ${index + 1}"
                )
        prepared = PreparedStatement(name, source, False, xact.statement_start_timestamp())
        if name:
            session.prepared.add(prepared)
        else:
            self.unnamed = prepared
        xact.command_counter_increment()
        session.connection.send(protocol.PARSE_COMPLETE)
        if statement_log.state.times:
            statement_log.log_parse_time(name, text)

    def _bind(self, reader: protocol.MessageReader) -> None:
        portal_name = client_text.to_text(reader.cstring())
        statement_name = client_text.to_text(reader.cstring())
        prepared = self._statement(statement_name)
        source = prepared.source
        session = self.session
        session.begin_activity(source.text)
        title.set_title("BIND")
        session.start_command()
        parameter_formats = [reader.int16() for _ in range(reader.uint16())]
        nparameters = reader.uint16()
        if len(parameter_formats) > 1 and len(parameter_formats) != nparameters:
            raise SqlError(
                errcode.PROTOCOL_VIOLATION,
                f"bind message has {len(parameter_formats)} parameter formats but {nparameters} parameters",
            )
        if nparameters != len(source.param_types):
            raise SqlError(
                errcode.PROTOCOL_VIOLATION,
                f"bind message supplies {nparameters} parameters, but prepared statement "
                f'"{statement_name}" requires {len(source.param_types)}',
            )
        if source.raw is not None:
            session.check_not_aborted(source.raw.stmt)
        parameters = None
        if nparameters:
            parameters = self._read_parameters(reader, source.param_types, parameter_formats, portal_name)
        result_formats = [reader.int16() for _ in range(reader.uint16())]
        reader.end()
        if source.raw is None:
            plans: list[Any] = []
        else:
            try:
                plans = session.plan_source(source, parameters)
            except SqlError as error:
                statement_log.add_parameters(error, portal_name, parameters, source.param_types)
                raise
        portal = Portal(portal_name, plans, source.text, session, parameters=parameters, source=source)
        columns = portal.columns()
        if columns is not None:
            portal.formats = column_formats(result_formats, len(columns))
        portal.statement_name = statement_name
        portal.parameter_types = source.param_types
        session.portals.add(portal)
        portal.start()
        session.connection.send(protocol.BIND_COMPLETE)
        if statement_log.state.times:
            statement_log.log_bind_time(statement_name, portal, source.param_types)

    def _read_parameters(
        self, reader: protocol.MessageReader, types: list[int], formats: list[int], portal_name: str
    ) -> Any:
        values: list[Any] = []
        for index, type_oid in enumerate(types):
            length = reader.int32()
            if length == -1:
                values.append(None)
                continue
            data = reader.take(length)
            code = formats[index] if len(formats) > 1 else formats[0] if formats else 0
            codec = codec_for(type_oid)
            try:
                if code == 0:
                    values.append(codec.input(client_text.to_text(data), -1))
                elif code == 1:
                    if type_oid in client_text.TEXT_TYPES:
                        data = client_text.to_server_bytes(data)
                    values.append(_receive(codec, data, index + 1))
                else:
                    raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"unsupported format code: {code}")
            except SqlError as error:
                shown = data.decode("utf-8", "replace") if code == 0 else None
                error.add_context(statement_log.bad_parameter_context(portal_name, index + 1, shown))
                raise
        return values

    def _describe(self, reader: protocol.MessageReader) -> None:
        what = reader.byte()
        name = client_text.to_text(reader.cstring())
        reader.end()
        session = self.session
        session.start_command()
        if what == ord("S"):
            source = self._statement(name).source
            session.connection.send(protocol.parameter_description(source.param_types))
            if source.raw is not None:
                session.check_not_aborted(source.raw.stmt)
            plans = session.plan_source(source) if source.raw is not None else []
            portal = Portal("", plans, source.text, session, source=source)
            columns = portal.columns() if plans else None
            formats: list[int] = []
        elif what == ord("P"):
            portal = session.portals.find(name)
            if portal is None:
                raise SqlError(errcode.UNDEFINED_CURSOR, f'portal "{name}" does not exist')
            columns, formats = portal.columns(), portal.formats
        else:
            raise SqlError(errcode.PROTOCOL_VIOLATION, f"invalid DESCRIBE message subtype {what}")
        session.connection.send(protocol.NO_DATA if columns is None else describe(columns, formats, portal.described))

    def _execute(self, reader: protocol.MessageReader) -> None:
        name = client_text.to_text(reader.cstring())
        limit = max(0, reader.int32())
        reader.end()
        session = self.session
        portal = session.portals.find(name)
        if portal is None:
            raise SqlError(errcode.UNDEFINED_CURSOR, f'portal "{name}" does not exist')
        if not portal.plans and not portal.tag:
            session.connection.send(protocol.EMPTY_QUERY)
            return
        tag = portal.tag
        title.set_title(tag)
        session_info.current.command_tag = tag
        session.begin_activity(portal.text)
        session.start_command()
        session.check_not_aborted(portal.plans[0].utilityStmt if portal.plans else None)
        _interrupts.check()
        destination = WireDestination(
            session.connection, portal.formats, with_description=False, cache=portal.described
        )
        logging = statement_log.state
        is_fetch = not portal.at_start
        was_logged = logging.level > 0 and statement_log.log_execute(
            portal.statement_name, portal, portal.parameter_types, session.prepared
        )
        try:
            done = portal.run(limit, destination)
        except SqlError as error:
            if logging.parameters_on_error:
                statement_log.add_parameters(error, name, portal.parameters, portal.parameter_types)
            raise
        if done is None:
            session.connection.send(protocol.PORTAL_SUSPENDED)
            self._log_execute_time(portal, is_fetch, was_logged)
            return
        if portal.strategy is Strategy.MULTI_QUERY and portal.plans and command_tag(portal.plans[0]) in (
            "BEGIN", "COMMIT", "ROLLBACK", "START TRANSACTION",
        ):  # fmt: skip
            session.finish_command()
        else:
            xact.command_counter_increment()
        session.connection.send(protocol.command_complete(done))
        self._log_execute_time(portal, is_fetch, was_logged)

    @staticmethod
    def _log_execute_time(portal: Portal, is_fetch: bool, was_logged: bool) -> None:
        if statement_log.state.times:
            statement_log.log_execute_time(
                portal.statement_name, portal, portal.parameter_types, is_fetch, was_logged
            )

    def _close(self, reader: protocol.MessageReader) -> None:
        what = reader.byte()
        name = client_text.to_text(reader.cstring())
        reader.end()
        if what == ord("S"):
            if name:
                self.session.prepared.drop(name)
            else:
                self.unnamed = None
        elif what == ord("P"):
            self.session.portals.drop(name)
        else:
            raise SqlError(errcode.PROTOCOL_VIOLATION, f"invalid CLOSE message subtype {what}")
        self.session.connection.send(protocol.CLOSE_COMPLETE)

    def _flush(self, reader: protocol.MessageReader) -> None:
        reader.end()
        self.session.connection.flush()


def _receive(codec: Any, data: bytes, number: int) -> Any:
    """A binary parameter; 22P03 where it is longer than its type."""
    try:
        return codec.receive(data)
    except SqlError as error:
        if error.sqlstate == errcode.PROTOCOL_VIOLATION and 0 < codec.typlen < len(data):
            raise SqlError(
                errcode.INVALID_BINARY_REPRESENTATION, f"incorrect binary data format in bind parameter {number}"
            ) from error
        raise
