import Testing

@testable import Training

@Suite("LineReader")
struct LineReaderTests {
    private func lines(
        _ bytes: [UInt8],
        readSize: Int = 1 << 20,
        maximumLength: Int = LineReader.maximumLength
    ) throws -> [String] {
        let folder = try TemporaryFolder()
        var reader = try LineReader(
            path: folder.write("file", bytes),
            readSize: readSize,
            maximumLength: maximumLength
        )
        var lines: [String] = []
        while let line = try reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
        #expect(reader.line == lines.count)
        #expect(reader.offset == reader.size)
        return lines
    }

    @Test(
        "lines are the same however the file is cut into reads",
        arguments: [1, 2, 3, 5, 7, 64, 1 << 20]
    )
    func cuts(readSize: Int) throws {
        let text = "\u{FEFF}first\r\nsecond\n\n\r\nsixth, the longest\r\n\rlast"
        #expect(
            try self.lines(Array(text.utf8), readSize: readSize)
                == ["first", "second", "", "", "sixth, the longest", "\rlast"]
        )
    }

    @Test(
        "the end of the file makes no line of its own",
        arguments: [("", []), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\r\n", ["a"])] as [(String, [String])]
    )
    func ends(text: String, expected: [String]) throws {
        #expect(try self.lines(Array(text.utf8)) == expected)
    }

    @Test("a byte order mark counts at the start of the file only")
    func byteOrderMark() throws {
        #expect(try self.lines(Array("a\n\u{FEFF}b\n".utf8)) == ["a", "\u{FEFF}b"])
    }

    @Test("a line of the greatest length is read, a longer one is named", arguments: ["\n", "\r\n", ""])
    func longest(end: String) throws {
        let longest = String(repeating: "x", count: 16)
        #expect(
            try self.lines(Array("a\n\(longest)\(end)".utf8), readSize: 4, maximumLength: 16) == ["a", longest]
        )
        let folder = try TemporaryFolder()
        let path = try folder.write("file", Array("a\n\(longest)x\(end)".utf8))
        var reader = try LineReader(path: path, readSize: 4, maximumLength: 16)
        _ = try reader.next()
        let error = #expect(throws: ImportError.self) { _ = try reader.next() }
        #expect(error == .lineTooLong(path: path, line: 2))
    }

    @Test("a file without line ends is refused before it is held in memory")
    func endless() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("file", [UInt8](repeating: 0x78, count: 3 << 20))
        var reader = try LineReader(path: path)
        let error = #expect(throws: ImportError.self) { _ = try reader.next() }
        #expect(error == .lineTooLong(path: path, line: 1))
        #expect(error?.description.contains("line 1 is longer than 1048576 bytes") == true)
    }

    @Test("what cannot be read is named with the system's reason")
    func unreadable() throws {
        let folder = try TemporaryFolder()
        #expect(throws: ImportError.unreadable(path: "\(folder.path)/none", reason: "No such file or directory")) {
            _ = try LineReader(path: "\(folder.path)/none").size
        }
        #expect(throws: ImportError.unreadable(path: folder.path, reason: "it is a folder, not a file")) {
            _ = try LineReader(path: folder.path).size
        }
    }
}
