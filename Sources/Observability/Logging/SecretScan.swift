/// Finds credentials in running text.
struct SecretScan {
    private let bytes: [UInt8]
    /// The end of the URL last looked at and its last `@`, kept so that hostile text takes linear time too.
    private var url: (end: Int, lastAt: Int?) = (0, nil)

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    /// The places of the secrets, in order and apart from each other.
    mutating func secrets(isSecret: (ArraySlice<UInt8>) -> Bool) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var index = 0
        while index < bytes.count {
            var secret: Range<Int>?
            if bytes[index] == UInt8(ascii: ":"), bytes[index...].starts(with: "://".utf8) {
                secret = password(from: index + 3)
            } else if bytes[index] == UInt8(ascii: "="), isSecret(key(before: index)) {
                secret = value(after: index)
            }
            if let secret, !secret.isEmpty {
                found.append(secret)
                index = secret.upperBound
            } else {
                index += 1
            }
        }
        return found
    }

    func text(masking secrets: [Range<Int>], with mask: String) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        var start = 0
        for secret in secrets {
            out += bytes[start..<secret.lowerBound]
            out += mask.utf8
            start = secret.upperBound
        }
        out += bytes[start...]
        return String(decoding: out, as: UTF8.self)
    }

    /// The password of `user:password@host`, the user possibly empty, at the start of a URL's authority.
    ///
    /// A password should have its `/`, `?` and `#` encoded. If it has not, what follows the colon is no port, and the
    /// password reaches to the last `@` before the URL ends.
    private mutating func password(from start: Int) -> Range<Int>? {
        let authorityEnd = bytes[start...].firstIndex { Self.endsURL($0) || Self.endsAuthority($0) } ?? bytes.count
        let authority = bytes[start..<authorityEnd]
        guard
            authority.first != UInt8(ascii: "["), let colon = authority.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
            return colon < at ? colon + 1..<at : nil
        }
        let port = authority[(colon + 1)...]
        guard !port.isEmpty, !port.allSatisfy(Self.isDigit) else { return nil }
        if start >= url.end {
            url.end = bytes[start...].firstIndex(where: Self.endsURL) ?? bytes.count
            url.lastAt = bytes[start..<url.end].lastIndex(of: UInt8(ascii: "@"))
        }
        guard let at = url.lastAt, at > colon else { return nil }
        return colon + 1..<at
    }

    private func key(before equals: Int) -> ArraySlice<UInt8> {
        let end = bytes[..<equals].lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
        let start = bytes[..<end].lastIndex { !Self.isKeyByte($0) }.map { $0 + 1 } ?? 0
        return bytes[start..<end]
    }

    /// The value of `key=value`: to the closing quotation mark if it has one, else to the next separator.
    private func value(after equals: Int) -> Range<Int> {
        let start = bytes[(equals + 1)...].firstIndex { $0 != UInt8(ascii: " ") } ?? bytes.count
        if let quote = bytes[start...].first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") {
            var index = start + 1
            while index < bytes.count, bytes[index] != quote {
                index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
            }
            return start + 1..<min(index, bytes.count)
        }
        return start..<(bytes[start...].firstIndex { Self.endsURL($0) || Self.separates($0) } ?? bytes.count)
    }

    private static func endsURL(_ byte: UInt8) -> Bool {
        byte <= 0x20 || "\"'<>`".utf8.contains(byte)
    }

    private static func endsAuthority(_ byte: UInt8) -> Bool {
        "/?#".utf8.contains(byte)
    }

    private static func separates(_ byte: UInt8) -> Bool {
        "&;,)]}".utf8.contains(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || "_-.".utf8.contains(byte)
    }
}
