/// The ids of a catalogue that are numbered: `u%06d` is u000001, u000002, …
package struct IDFormat: Sendable, Equatable {
    private let prefix: String
    private let suffix: String
    private let width: Int

    /// - Parameter format: Text with one `%d` or `%0Nd`, N from 1 to 18.
    package init?(_ format: String) {
        guard let percent = format.firstIndex(of: "%") else { return nil }
        let rest = format[format.index(after: percent)...]
        guard let end = rest.firstIndex(of: "d") else { return nil }
        let digits = rest[..<end]
        if digits.isEmpty {
            self.width = 0
        } else {
            guard digits.first == "0", let width = Int(digits.dropFirst()), (1...18).contains(width) else { return nil }
            self.width = width
        }
        self.prefix = String(format[..<percent])
        self.suffix = String(rest[rest.index(after: end)...])
        guard !self.suffix.contains("%"), format.utf8.count <= 100 else { return nil }
    }

    package static let allowed = "text of up to 100 bytes with one %d or %06d"

    /// - Parameter number: From 1 on.
    package func id(_ number: Int) -> String {
        let digits = String(number)
        let zeros = String(repeating: "0", count: max(0, self.width - digits.utf8.count))
        return self.prefix + zeros + digits + self.suffix
    }
}
