/// A language as BCP 47 writes it, for example `de` or `pt-BR`: subtags of 1 to 8 letters or digits. Case says nothing, and `_`
/// is taken for `-`.
package struct LanguageTag: Sendable, Hashable {
    package static let allowed = "a BCP 47 language tag, for example de or pt-BR, of up to 35 bytes"

    /// In lower case.
    private let subtags: [[UInt8]]

    /// The tag in its own form, in lower case.
    package var string: String {
        self.subtags.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "-")
    }

    package init?(_ text: String) {
        guard (1...35).contains(text.utf8.count) else { return nil }
        let parts = text.utf8.split(omittingEmptySubsequences: false) { byte in
            byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
        }
        var subtags: [[UInt8]] = []
        for part in parts {
            guard (1...8).contains(part.count) else { return nil }
            var subtag: [UInt8] = []
            for byte in part {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): subtag.append(byte)
                case UInt8(ascii: "A")...UInt8(ascii: "Z"): subtag.append(byte | 0x20)
                default: return nil
                }
            }
            subtags.append(subtag)
        }
        self.subtags = subtags
    }

    /// The language of a label. Whatever stands there is a language; one that is no tag goes with no other.
    init(label: String) {
        self = LanguageTag(label) ?? LanguageTag(subtags: [Array(label.utf8)])
    }

    private init(subtags: [[UInt8]]) {
        self.subtags = subtags
    }

    /// Whether what is in one may be shown to who asks for the other: one is the beginning of the other. `de` goes with `de-AT`,
    /// `de-AT` not with `de-CH`.
    package func goes(with other: LanguageTag) -> Bool {
        zip(self.subtags, other.subtags).allSatisfy { $0 == $1 }
    }
}
