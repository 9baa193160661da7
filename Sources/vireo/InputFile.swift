import Glibc

/// A file that a command reads whole.
enum InputFile {
    /// - Parameter path: `-` is standard input.
    static func contents(of path: String) throws -> [UInt8] {
        guard let file = fopen(path == "-" ? "/dev/stdin" : path, "r") else { throw FileError(path: path) }
        defer { fclose(file) }
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            contents += chunk[..<count]
            if count < chunk.count { break }
        }
        guard ferror(file) == 0 else { throw FileError(path: path) }
        return contents
    }

    /// The lines of a file that hold anything, however they end.
    static func lines(of path: String) throws -> [String] {
        try Self.contents(of: path).split(separator: UInt8(ascii: "\n")).compactMap { line in
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
        }
    }
}
