/// Keeps secrets out of the log.
///
/// The value of a key that sounds like a secret is masked whole, whatever it is. In messages and other values the password of
/// a URL (`redis://user:pw@host`) and the value of an assignment to such a key (`password=…`, in connection strings and
/// queries) are masked. It is a net under the rule not to log secrets, not a licence to.
package struct Redaction: Sendable {
    package static let mask = "[redacted]"

    package static let standard = Redaction(hiding: [
        "password", "passwd", "passphrase", "pgpass", "secret", "authorization", "apikey", "privatekey", "credential",
        "token", "cookie",
    ])

    private let words: [[UInt8]]

    /// A key is hidden if it contains one of the words; case and punctuation do not count.
    package init(hiding words: [String]) {
        self.words = words.map { Self.normalised($0.utf8) }.filter { !$0.isEmpty }
    }

    package func hides(key: String) -> Bool {
        hides(key.utf8)
    }

    /// The text without the credentials in it.
    package func cleaned(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "=")) || text.utf8.contains(UInt8(ascii: "@")) else { return text }
        var scan = SecretScan(text)
        let secrets = scan.secrets { hides($0) }
        guard !secrets.isEmpty else { return text }
        return scan.text(masking: secrets, with: Self.mask)
    }

    private func hides(_ key: some Sequence<UInt8>) -> Bool {
        let key = Self.normalised(key)
        return words.contains { word in
            guard word.count <= key.count else { return false }
            return (0...key.count - word.count).contains { key[$0...].starts(with: word) }
        }
    }

    private static func normalised(_ key: some Sequence<UInt8>) -> [UInt8] {
        key.compactMap { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
            default: nil
            }
        }
    }
}
