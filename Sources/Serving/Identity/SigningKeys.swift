import Crypto
import FoundationEssentials

/// The keys that sign tokens: the first signs, all verify, so that keys can be rotated.
package struct SigningKeys: Sendable {
    private let keys: [(id: String, key: ResponseMAC)]

    /// Keys from `id:base64,id:base64`.
    ///
    /// - Throws: ``SigningKeysError`` where that is not the form, an id is repeated, or a key is shorter than 32 bytes.
    package init(parsing text: String) throws(SigningKeysError) {
        var keys: [(id: String, key: ResponseMAC)] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, (1...16).contains(pair[0].utf8.count),
                pair[0].utf8.allSatisfy({ $0 != UInt8(ascii: ".") && $0 > 0x20 && $0 < 0x7F }),
                let bytes = Data(base64Encoded: String(pair[1]))
            else { throw .malformed }
            guard bytes.count >= 32 else { throw .tooShort(id: String(pair[0])) }
            guard !keys.contains(where: { $0.id == pair[0] }) else { throw .repeated(id: String(pair[0])) }
            keys.append((String(pair[0]), ResponseMAC(key: SymmetricKey(data: bytes))))
        }
        guard !keys.isEmpty else { throw .malformed }
        self.keys = keys
    }

    var signing: (id: String, key: ResponseMAC) { self.keys[0] }

    /// The one that signs first.
    var all: [ResponseMAC] { self.keys.map(\.key) }

    func key(_ id: Substring) -> ResponseMAC? { self.keys.first { $0.id == id }?.key }

    /// A fresh key in the form that ``init(parsing:)`` takes.
    package static func generate(id: String) -> String {
        SymmetricKey(size: .bits256).withUnsafeBytes { "\(id):\(Data($0).base64EncodedString())" }
    }
}

/// Why a text is not a list of signing keys; never holds key material.
package enum SigningKeysError: Error, Sendable, Equatable {
    case malformed
    case tooShort(id: String)
    case repeated(id: String)

    package static let allowed = "id:base64[,id:base64…], ids of 1 to 16 visible characters, keys of at least 32 bytes"
}
