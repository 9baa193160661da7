/// What the fast lane knows of a request from the bytes of its head.
///
/// The scan is stricter than any HTTP parser: what it cannot tell for certain it does not interpret, and leaves the
/// connection to the parser from there on. So the two never disagree about where a request ends.
struct RequestScan: Equatable {
    enum Outcome: Equatable {
        /// The head has not ended yet.
        case incomplete
        /// Where this request ends is not known.
        case opaque
        case complete(RequestScan)
    }

    enum Method: Equatable {
        case get, head, other
    }

    let method: Method
    /// Bytes of the head, its empty line included.
    var headLength = 0
    /// Bytes of the body that follow it.
    private(set) var bodyLength = 0
    /// Where the request's target stands.
    let target: Range<Int>
    /// Where the values of these headers stand.
    private(set) var authorization: Range<Int>?
    private(set) var requestID: Range<Int>?
    /// False where it has a body, asks for something of the connection, or says something twice.
    private(set) var isPlain: Bool
    /// Whether it is the last of the connection.
    private(set) var isLast = false

    /// Heads beyond this are the parser's business, which has limits of its own.
    static let maximumHead = 16 << 10
    private static let maximumHeaders = 64

    /// Scans the head that begins with the first of some bytes.
    static func scan(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard let lineEnd = Self.lineEnd(bytes, from: 0) else {
            return bytes.count <= Self.maximumHead ? .incomplete : .opaque
        }
        guard var scan = RequestScan(line: bytes, end: lineEnd) else { return .opaque }
        var cursor = scan.headLength
        for _ in 0...Self.maximumHeaders {
            guard let end = Self.lineEnd(bytes, from: cursor) else {
                return bytes.count <= Self.maximumHead ? .incomplete : .opaque
            }
            guard end > cursor, bytes[end - 1] == UInt8(ascii: "\r") else { return .opaque }
            if end == cursor + 1 {
                scan.headLength = end + 1
                return scan.headLength <= Self.maximumHead ? .complete(scan) : .opaque
            }
            guard scan.header(bytes, cursor..<end - 1) else { return .opaque }
            cursor = end + 1
        }
        return .opaque
    }

    private static func lineEnd(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\n") { return index }
            index += 1
        }
        return nil
    }

    /// Reads `METHOD TARGET HTTP/1.1`; nil where that is not what the bytes begin with.
    private init?(line bytes: UnsafeRawBufferPointer, end: Int) {
        guard end > 0, bytes[end - 1] == UInt8(ascii: "\r"), let method = Self.method(bytes) else { return nil }
        let version: StaticString = " HTTP/1.1"
        let targetEnd = end - 1 - version.utf8CodeUnitCount
        guard targetEnd > method.length, Self.matches(bytes, targetEnd, version) else { return nil }
        for index in method.length..<targetEnd where !(0x21...0x7E).contains(bytes[index]) { return nil }
        self.method = method.method
        self.target = method.length..<targetEnd
        self.headLength = end + 1
        self.isPlain = method.method != .other
    }

    private static func method(_ bytes: UnsafeRawBufferPointer) -> (method: Method, length: Int)? {
        if Self.matches(bytes, 0, "GET ") { return (.get, 4) }
        if Self.matches(bytes, 0, "HEAD ") { return (.head, 5) }
        if Self.matches(bytes, 0, "POST ") { return (.other, 5) }
        if Self.matches(bytes, 0, "PUT ") { return (.other, 4) }
        if Self.matches(bytes, 0, "PATCH ") { return (.other, 6) }
        if Self.matches(bytes, 0, "DELETE ") { return (.other, 7) }
        return nil
    }

    /// Takes one header; false where it is none, or of a kind that hides where the request ends.
    private mutating func header(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) -> Bool {
        var colon = line.lowerBound
        while colon < line.upperBound, Self.isToken(bytes[colon]) { colon += 1 }
        guard colon > line.lowerBound, colon < line.upperBound, bytes[colon] == UInt8(ascii: ":") else { return false }
        var start = colon + 1
        var end = line.upperBound
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        for index in start..<end where !(0x20...0x7E).contains(bytes[index]) { return false }
        let value = start..<end
        let name = line.lowerBound..<colon
        switch name.count {
        case 6 where Self.equals(bytes, name, "expect"): self.isPlain = false
        case 7 where Self.equals(bytes, name, "upgrade"): return false
        case 10 where Self.equals(bytes, name, "connection"):
            if Self.equals(bytes, value, "close") {
                self.isPlain = false
                self.isLast = true
            } else if !Self.equals(bytes, value, "keep-alive") {
                return false
            }
        case 12 where Self.equals(bytes, name, "x-request-id"):
            if self.requestID != nil { self.isPlain = false }
            self.requestID = value
        case 13 where Self.equals(bytes, name, "authorization"):
            if self.authorization != nil { self.isPlain = false }
            self.authorization = value
        case 13 where Self.equals(bytes, name, "x-min-version") || Self.equals(bytes, name, "x-deadline-ms"):
            self.isPlain = false
        case 14 where Self.equals(bytes, name, "content-length"):
            // Twice, or anything but a few digits: the parser judges.
            guard self.isWithoutLength, (1...9).contains(value.count) else { return false }
            var length = 0
            for index in value {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) else { return false }
                length = 10 * length + Int(bytes[index] - UInt8(ascii: "0"))
            }
            self.isWithoutLength = false
            self.isPlain = false
            self.bodyLength = length
        case 16 where Self.equals(bytes, name, "proxy-connection"): return false
        case 17 where Self.equals(bytes, name, "transfer-encoding"): return false
        default: break
        }
        return true
    }

    private var isWithoutLength = true

    /// RFC 9110, section 5.6.2.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func matches(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ text: StaticString) -> Bool {
        guard bytes.count >= start + text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount where bytes[start + index] != text.utf8Start[index] { return false }
        return true
    }

    /// Whether some bytes are a word of lower-case letters and hyphens, in any case.
    private static func equals(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        for index in 0..<range.count {
            let byte = bytes[range.lowerBound + index]
            let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
            guard lower == word.utf8Start[index] else { return false }
        }
        return true
    }
}
