/// Names that are a letter and a number above 0, for example `m42`.
enum NumberedName {
    /// The number in a name; nil for any other text, among them other ways to write the number.
    static func number(_ name: String, letter: String) -> Int64? {
        guard let number = Int64(name.dropFirst()), number > 0, "\(letter)\(number)".utf8.elementsEqual(name.utf8)
        else {
            return nil
        }
        return number
    }
}
