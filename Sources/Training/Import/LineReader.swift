import Glibc

/// The lines of a file, as slices of one buffer that is filled again and again.
///
/// A line ends with LF or CRLF, the last one also with the file; a byte order mark at the start is no part of the first line.
/// A slice that is kept beyond the next call makes that call copy the buffer: take what you need out of it.
struct LineReader: ~Copyable {
    static let maximumLength = 1 << 20

    let path: String
    /// Bytes in the file when it was opened.
    let size: Int
    /// The number of the line that was read last, from 1.
    private(set) var line = 0
    /// Bytes of the lines read so far.
    private(set) var offset = 0
    /// Whether the line that was read last ended with CRLF.
    private(set) var lineWasCRLF = false

    private let descriptor: Int32
    private let readSize: Int
    private let maximumLength: Int
    private var buffer: [UInt8]
    private var start = 0
    private var scanned = 0
    private var end = 0
    private var isAtEnd = false

    init(path: String, readSize: Int = 1 << 20, maximumLength: Int = Self.maximumLength) throws(ImportError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path: path, reason: Self.reason(errno)) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let reason = Self.reason(errno)
            close(descriptor)
            throw .unreadable(path: path, reason: reason)
        }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw .unreadable(path: path, reason: "it is a folder, not a file")
        }
        self.path = path
        self.size = Int(status.st_size)
        self.descriptor = descriptor
        self.readSize = readSize
        self.maximumLength = maximumLength
        // The longest line with its CRLF may be waiting for its end when the next read comes.
        self.buffer = [UInt8](repeating: 0, count: maximumLength + 2 + readSize)
    }

    deinit { close(self.descriptor) }

    /// The next line without its end; nil after the last.
    mutating func next() throws(ImportError) -> ArraySlice<UInt8>? {
        while true {
            if let newline = self.newline {
                return try self.take(upTo: newline, thenFrom: newline + 1)
            }
            self.scanned = self.end
            if self.isAtEnd {
                return self.start < self.end ? try self.take(upTo: self.end, thenFrom: self.end) : nil
            }
            if self.end - self.start > self.maximumLength + 1 {
                throw .lineTooLong(path: self.path, line: self.line + 1)
            }
            try self.fill()
        }
    }

    /// Where the next line ends, by the C library's search: a byte at a time would take as long as all the rest.
    private var newline: Int? {
        let (from, to) = (self.scanned, self.end)
        guard from < to else { return nil }
        return self.buffer.withUnsafeBytes { bytes in
            let start = bytes.baseAddress! + from
            return memchr(start, 0x0A, to - from).map { from + start.distance(to: UnsafeRawPointer($0)) }
        }
    }

    private mutating func take(upTo end: Int, thenFrom next: Int) throws(ImportError) -> ArraySlice<UInt8> {
        var slice = self.buffer[self.start..<end]
        self.offset += next - self.start
        self.start = next
        self.scanned = next
        self.line += 1
        self.lineWasCRLF = slice.last == UInt8(ascii: "\r")
        if self.lineWasCRLF { slice.removeLast() }
        if self.line == 1, slice.starts(with: [0xEF, 0xBB, 0xBF]) { slice.removeFirst(3) }
        guard slice.count <= self.maximumLength else { throw .lineTooLong(path: self.path, line: self.line) }
        return slice
    }

    private mutating func fill() throws(ImportError) {
        let (start, rest, descriptor, readSize) = (self.start, self.end - self.start, self.descriptor, self.readSize)
        let count = self.buffer.withUnsafeMutableBytes { bytes in
            memmove(bytes.baseAddress!, bytes.baseAddress! + start, rest)
            while true {
                let count = read(descriptor, bytes.baseAddress! + rest, readSize)
                if count >= 0 || errno != EINTR { return count }
            }
        }
        guard count >= 0 else { throw .unreadable(path: self.path, reason: Self.reason(errno)) }
        self.start = 0
        self.scanned = rest
        self.end = rest + count
        self.isAtEnd = count == 0
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}
