import Synchronization

/// Lines on their way to a file, written many at a time.
final class LineBuffer: Sendable {
    // Uncontended: the rows of an export come one after the other.
    private let writer = Mutex(DocumentWriter())
    private let limit: Int
    private let write: @Sendable ([UInt8]) throws -> Void

    init(limit: Int, write: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.limit = limit
        self.write = write
    }

    func add(_ line: (inout DocumentWriter) -> Void) throws {
        try self.writer.withLock { writer in
            line(&writer)
            guard writer.bytes.count >= self.limit else { return }
            try self.write(writer.bytes)
            writer.removeAll()
        }
    }

    func flush() throws {
        try self.writer.withLock { writer in
            guard !writer.bytes.isEmpty else { return }
            try self.write(writer.bytes)
            writer.removeAll()
        }
    }
}
