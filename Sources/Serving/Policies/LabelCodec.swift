import RecommendationCore

/// The bytes of a user's labels in cache entries: of each the length of the name (1), the name, the length of the value (2,
/// little endian), the value.
enum LabelCodec {
    static func append(_ label: UserLabel, to bytes: inout [UInt8]) {
        let (name, value) = (label.name.string.utf8, label.value.string.utf8)
        // Names have at most 128 bytes, values at most 1,024.
        bytes.append(UInt8(clamping: name.count))
        bytes.append(contentsOf: name.prefix(Int(UInt8.max)))
        withUnsafeBytes(of: UInt16(clamping: value.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: value.prefix(Int(UInt16.max)))
    }

    /// Takes labels off the beginning; nil where they are not there.
    static func labels(_ count: Int, from rest: inout ArraySlice<UInt8>) -> [UserLabel]? {
        func text(_ lengthSize: Int) -> String? {
            guard rest.count >= lengthSize else { return nil }
            let length = rest.prefix(lengthSize).reversed().reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(lengthSize)
            guard rest.count >= length, let text = String(validating: rest.prefix(length), as: UTF8.self) else {
                return nil
            }
            rest = rest.dropFirst(length)
            return text
        }
        var labels: [UserLabel] = []
        for _ in 0..<count {
            guard let name = text(1), let value = text(2) else { return nil }
            labels.append(UserLabel(name: name, value: value))
        }
        return labels
    }
}
