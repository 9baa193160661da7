internal import CLibpq
import Glibc

extension Connection {
    /// Streams the rows of a query as `COPY … TO STDOUT (FORMAT binary)`; returns their number.
    func copyOut(_ query: PostgresStatement, _ body: (inout PostgresCopyRow) throws -> Void) throws -> Int {
        try startCopy("COPY (\(query.sql)) TO STDOUT (FORMAT binary)", expecting: PGRES_COPY_OUT)
        var header = PostgresCopyRow.headerLength
        do {
            // The server sends the header together with the first row, and one row a message after that.
            while let message = try nextMessage() {
                try message.withRow(skipping: header, body)
                header = 0
            }
        } catch {
            abandonCopyOut()
            throw error
        }
        return try finish().affectedRows
    }

    /// Sends rows as `COPY … FROM STDIN (FORMAT binary)`; returns their number.
    ///
    /// If `body` throws, the server forgets all rows.
    func copyIn(_ target: PostgresStatement, _ body: (inout PostgresCopyWriter) throws -> Void) throws -> Int {
        let columns = try startCopy("COPY \(target.sql) FROM STDIN (FORMAT binary)", expecting: PGRES_COPY_IN)
        var writer = PostgresCopyWriter(connection: self, columns: columns)
        do {
            try body(&writer)
            try writer.finish()
        } catch {
            abandonCopyIn()
            throw error
        }
        guard unsafe PQputCopyEnd(handle, nil) == 1 else { throw breakConnection() }
        try flush()
        return try finish().affectedRows
    }

    /// Returns the number of columns.
    @discardableResult
    private func startCopy(_ sql: String, expecting status: ExecStatusType) throws(PostgresError) -> Int {
        try begin()
        willSend()
        try sent(unsafe PQsendQuery(handle, sql))
        guard let result = try nextResult() else { throw breakConnection() }
        if result.status == status { return result.columnCount }
        try finish(after: result.serverError.map { .server($0) } ?? .connectionLost)
        throw breakConnection()
    }

    /// The next message of COPY OUT; nil at the end of the data.
    private func nextMessage() throws(PostgresError) -> CopyMessage? {
        while true {
            var bytes: UnsafeMutablePointer<CChar>?
            let length = unsafe PQgetCopyData(handle, &bytes, 1)
            switch length {
            case 1...: return unsafe CopyMessage(owning: bytes, count: Int(length))
            case 0: try pause(for: POLLIN)
            // Done, or failed: the result tells which.
            default: return nil
            }
        }
    }

    /// Stops a COPY that is no longer wanted and reads what is still on the way, so that the connection stays usable.
    private func abandonCopyOut() {
        guard !isBroken else { return }
        do {
            try stop(.cancelled)
            while try nextMessage() != nil {}
            try finish()
        } catch {
            // The expected end is the server's report of the cancellation. A lost connection has been marked as broken.
        }
    }

    /// Makes the server forget a COPY.
    private func abandonCopyIn() {
        guard !isBroken else { return }
        do throws(PostgresError) {
            guard unsafe PQputCopyEnd(handle, "abandoned by the client") == 1 else { throw breakConnection() }
            try flush()
            try finish()
        } catch {
            // The expected end is the server's report of the failed COPY. A lost connection has been marked as broken.
        }
    }

    /// Hands bytes to libpq and waits until the socket has taken them, so that libpq's buffer does not grow.
    func putCopyData(_ bytes: [UInt8]) throws(PostgresError) {
        // A server that reads fast never makes the flush wait.
        try stopIfDue()
        let status = unsafe bytes.withUnsafeBytes { buffer in
            unsafe PQputCopyData(
                handle,
                buffer.assumingMemoryBound(to: CChar.self).baseAddress,
                CInt(clamping: buffer.count)
            )
        }
        guard status == 1 else { throw breakConnection() }
        try flush(throwsOnStop: true)
    }
}

/// The owner of a message of COPY OUT.
@safe
private struct CopyMessage: ~Copyable {
    private let bytes: UnsafeMutablePointer<CChar>?
    private let count: Int

    /// Takes over memory that `PQgetCopyData` allocated.
    init(owning bytes: UnsafeMutablePointer<CChar>?, count: Int) {
        unsafe self.bytes = unsafe bytes
        self.count = count
    }

    deinit {
        unsafe PQfreemem(bytes)
    }

    /// Calls `body` with the row, unless the message holds none, as the trailer does.
    func withRow(skipping header: Int, _ body: (inout PostgresCopyRow) throws -> Void) throws {
        let message = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
        guard var row = unsafe PostgresCopyRow(message: message, skipping: header) else { return }
        try body(&row)
    }
}
