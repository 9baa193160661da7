import Testing

@testable import Training

@Suite("CSVRecord")
struct CSVRecordTests {
    private func fields(_ line: String, columns: Int) throws(Rejection) -> [String] {
        var record = CSVRecord()
        try record.parse(Array(line.utf8)[...], columns: columns)
        return record.fields.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(
        "fields are taken apart as RFC 4180 says",
        arguments: [
            ("a,b,c", ["a", "b", "c"]),
            (",,", ["", "", ""]),
            (#"1,"American President, The (1995)",Drama"#, ["1", "American President, The (1995)", "Drama"]),
            (#""a","b ""quoted"" c","""""#, ["a", #"b "quoted" c"#, #"""#]),
            ("\"\",\"\",\"\"", ["", "", ""]),
            ("\"\",\"\"\"\"\"\",x", ["", "\"\"", "x"]),
            (#"a"b,c,d"#, [#"a"b"#, "c", "d"]),
        ] as [(String, [String])]
    )
    func fields(line: String, expected: [String]) throws {
        #expect(try self.fields(line, columns: 3) == expected)
    }

    @Test(
        "a line of another shape is rejected",
        arguments: [
            ("a,b", .missingColumn(expected: 3, found: 2)), ("", .missingColumn(expected: 3, found: 1)),
            ("a,b,c,", .tooManyColumns(expected: 3)), (#"a,b,"c"#, .badQuoting), (#"a,"b"x,c"#, .badQuoting),
        ] as [(String, Rejection)]
    )
    func shapes(line: String, rejection: Rejection) {
        #expect(throws: rejection) { try self.fields(line, columns: 3) }
    }
}
