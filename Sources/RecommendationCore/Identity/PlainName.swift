/// The rule for names that people choose for what they operate: versions of policies, surfaces, nodes. They need no encoding
/// anywhere.
public enum PlainName {
    /// What such a name may be, for an error answer.
    public static let allowed = "1 to 64 of A-Za-z0-9._-, not dots alone"

    /// Whether a text is such a name.
    public static func isValid(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            // In a path `.` and `..` stand for something else.
            && text.utf8.contains { $0 != UInt8(ascii: ".") }
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
