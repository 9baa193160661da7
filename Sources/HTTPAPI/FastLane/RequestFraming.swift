/// Where the bytes of a connection stand between requests, as long as that is certain.
///
/// Everything that is not answered at once goes to the parser as it came; what is counted here only says when the next byte is
/// the first of a request. Once a request hides its end the connection is the parser's alone.
struct RequestFraming {
    private enum Phase {
        case boundary
        /// The beginning of a head, which the parser has already.
        case head([UInt8])
        case body(remaining: Int)
        case opaque
    }

    enum Next: Equatable {
        /// A request begins and its head is whole.
        case request(RequestScan)
        /// So many bytes go on to the parser; they end a request or are all there is.
        case pass(Int)
    }

    private var phase = Phase.boundary

    /// Whether the next byte is the first of a request.
    var isAtBoundary: Bool { if case .boundary = self.phase { true } else { false } }

    /// What the next of some bytes, of which there is at least one, are.
    mutating func next(_ bytes: UnsafeRawBufferPointer) -> Next {
        switch self.phase {
        case .boundary:
            switch RequestScan.scan(bytes) {
            case .complete(let scan): return .request(scan)
            case .incomplete: self.phase = .head(Array(bytes))
            case .opaque: self.phase = .opaque
            }
            return .pass(bytes.count)
        case .head(var begun):
            // Let go of, so that appending copies nothing.
            self.phase = .opaque
            let known = begun.count
            guard known + bytes.count <= 2 * RequestScan.maximumHead else { return .pass(bytes.count) }
            begun += bytes
            // A head ends with a line: without one there is nothing new to see.
            guard bytes.contains(UInt8(ascii: "\n")) else {
                if begun.count <= RequestScan.maximumHead { self.phase = .head(begun) }
                return .pass(bytes.count)
            }
            switch begun.withUnsafeBytes(RequestScan.scan) {
            case .complete(let scan):
                self.phase = .boundary
                return .pass(self.pass(scan, from: known, of: bytes.count))
            case .incomplete: self.phase = .head(begun)
            case .opaque: break
            }
            return .pass(bytes.count)
        case .body(let remaining):
            let length = min(remaining, bytes.count)
            self.phase = length == remaining ? .boundary : .body(remaining: remaining - length)
            return .pass(length)
        case .opaque: return .pass(bytes.count)
        }
    }

    /// A request goes to the parser: how many of the bytes that begin with it are its own.
    mutating func pass(_ scan: RequestScan, of available: Int) -> Int {
        self.pass(scan, from: 0, of: available)
    }

    private mutating func pass(_ scan: RequestScan, from known: Int, of available: Int) -> Int {
        if scan.isLast {
            self.phase = .opaque
            return available
        }
        let length = scan.headLength - known + scan.bodyLength
        if length > available { self.phase = .body(remaining: length - available) }
        return min(length, available)
    }
}
