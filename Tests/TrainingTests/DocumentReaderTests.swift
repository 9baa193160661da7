import RecommendationCore
import Testing

@testable import Training

@Suite("DocumentReader")
struct DocumentReaderTests {
    private func part(_ text: String, _ kind: DocumentKind, csv: Bool = false) throws -> ImportPart {
        let folder = try TemporaryFolder()
        let path = try folder.write("file", Array(text.utf8))
        var reader: DocumentReader
        if csv {
            reader = try DocumentReader(csv: path, kind: kind)
        } else {
            reader = try DocumentReader(ndjson: path, kind: kind)
        }
        let part = try reader.next(limit: 1_000)
        if try reader.next(limit: 1) != nil { Issue.record("a part after the last") }
        return try #require(part)
    }

    private func events(_ text: String, csv: Bool = false) throws -> ImportBatch<ImportedInteraction> {
        guard case .interactions(let batch) = try self.part(text, .feedback, csv: csv) else { throw Missing() }
        return batch
    }

    private func items(_ text: String, csv: Bool = false) throws -> ImportBatch<ImportedItem> {
        guard case .items(let batch) = try self.part(text, .items, csv: csv) else { throw Missing() }
        return batch
    }

    private func users(_ text: String, csv: Bool = false) throws -> ImportBatch<ImportedUser> {
        guard case .users(let batch) = try self.part(text, .users, csv: csv) else { throw Missing() }
        return batch
    }

    private struct Missing: Error {}

    @Test("an event has all its fields, in any order, with or without those that may be missing")
    func event() throws {
        let batch = try self.events(
            """
            {"event_id":"e\\u00e9\\ud83d\\ude00","user_id":"u","item_id":"i","type":"rating","value":-2.5e0,\
            "occurred_at":"2026-09-01T12:00:00.123456+02:00","recommendation_id":"00ff","position":3,"session_id":"s"}

            { "occurred_at" : "1970-01-01T00:00:00Z", "type":"view", "item_id":"i", "user_id":"u", "value":null }
            """
        )
        #expect(
            batch.rows == [
                ImportedInteraction(
                    line: 1,
                    user: User.ID(trusted: "u"),
                    item: Item.ID(trusted: "i"),
                    type: .rating,
                    value: -2.5,
                    occurredAt: Timestamp(microseconds: 1_788_256_800_123_456),
                    eventID: "e\u{e9}😀",
                    attribution: Attribution(recommendationID: [0, 255], position: 3)
                ),
                ImportedInteraction(
                    line: 3,
                    user: User.ID(trusted: "u"),
                    item: Item.ID(trusted: "i"),
                    type: .view,
                    value: 1,
                    occurredAt: Timestamp(seconds: 0)
                ),
            ]
        )
        #expect(batch.rejected.count == 0)
    }

    private static let good = #"{"user_id":"u","item_id":"i","type":"view","occurred_at":"2026-01-01T00:00:00Z"}"#

    /// The good line with one part of it changed.
    private static func changed(_ part: String, _ other: String) -> String {
        Self.good.replacing(part, with: other)
    }

    private static let bad: [(line: String, code: String)] = [
        (String(good.dropLast()), "malformed_json"), ("\(good)x", "malformed_json"), ("[]", "not_an_object"),
        ("null", "not_an_object"), ("{", "malformed_json"),
        (changed("view", "seen"), "unknown_type"), (changed("\"i\"", "7"), "bad_field"),
        (changed("\"i\"", "null"), "missing_field"),
        (changed("user_id", "user"), "unknown_field"),
        (changed("item_id", "user_id"), "repeated_field"),
        (changed("\"i\"", "\"\""), "invalid_id"),
        (changed("\"i\"", "\"a\\u0000\""), "invalid_id"),
        (changed("\"i\"", "\"\\ud800\""), "malformed_json"),
        (changed("view", "rating"), "missing_field"),
        (changed("2026", "1969"), "out_of_range"), (changed("2026", "9999"), "out_of_range"),
        (changed("2026-01-01", "2026-02-30"), "bad_field"),
        (changed("}", ",\"value\":1e7}"), "out_of_range"),
        (changed("}", ",\"value\":1e999}"), "out_of_range"),
        (changed("}", ",\"value\":01}"), "malformed_json"),
        (changed("}", ",\"value\":\"1\"}"), "bad_number"),
        (changed("}", ",\"position\":1}"), "bad_field"),
        (changed("}", ",\"recommendation_id\":\"0g\",\"position\":1}"), "bad_field"),
        (String(repeating: "[", count: 100_000), "not_an_object"),
        (changed("\"i\"", String(repeating: "[", count: 100_000)), "malformed_json"),
    ]

    @Test("a bad line is rejected with its number and reason, and the lines around it are read", arguments: Self.bad)
    func hostile(line: String, code: String) throws {
        let batch = try self.events("\(Self.good)\n\(line)\n\(Self.good)\n")
        #expect(batch.rows.map(\.line) == [1, 3])
        #expect(batch.rejected.first.map(\.line) == [2])
        #expect(batch.rejected.reasons == [code: 1])
    }

    @Test("bytes that are no UTF-8 and NUL bytes are rejected")
    func notText() throws {
        let folder = try TemporaryFolder()
        var bytes = Array(Self.good.utf8)
        bytes[bytes.firstIndex(of: UInt8(ascii: "u"))! + 10] = 0xFF
        let path = try folder.write("file", bytes + [10, 0, 10] + Array(Self.good.utf8))
        var reader = try DocumentReader(ndjson: path, kind: .feedback)
        guard case .interactions(let batch)? = try reader.next(limit: 10) else { throw Missing() }
        #expect(batch.rows.map(\.line) == [3])
        #expect(batch.rejected.first.map(\.line) == [1, 2])
    }

    @Test("an item has what the HTTP API says, and what is left out is as there")
    func item() throws {
        let batch = try self.items(
            """
            {"item_id":"i","title":"T"}
            {"item_id":"j","title":"","categories":["a|b","c"],"creator":"c9","campaigns":["x"],"labels":{"a":"","b":"\\n"},\
            "price":5e-324,"regions":["DE"],"available_from":"-004712-01-01T00:00:00Z","available_until":"+010000-01-01T00:00:00Z",\
            "in_stock":false,"hidden":true,"created_at":"2026-01-01T00:00:00Z"}
            {"item_id":"i","title":"again"}
            {"item_id":"k","title":"T","labels":{"a":1}}
            {"item_id":"k","title":"T","labels":{"caf\u{e9}":"1","cafe\u{301}":"2"}}
            {"item_id":"k","title":"T","categories":["a",null]}
            {"item_id":"k","title":"a\\u0000"}
            {"item_id":"k","title":"T","price":1e309}
            """
        )
        #expect(batch.rows.first == ImportedItem(Item(id: Item.ID(trusted: "i"), title: "T")))
        let second = try #require(batch.rows.last)
        #expect(second.item.categories == ["a|b", "c"] && second.item.labels == ["a": "", "b": "\n"])
        #expect(second.item.price == .leastNonzeroMagnitude && !second.item.inStock && second.item.hidden)
        #expect(second.item.availableUntil == Timestamp(seconds: 253_402_300_800))
        #expect(second.createdAt == Timestamp(seconds: 1_767_225_600))
        #expect(batch.rejected.first.map(\.line) == [3, 4, 5, 6, 7, 8])
    }

    @Test("users have labels, consent and suppressions")
    func user() throws {
        let batch = try self.users(
            """
            {"user_id":"u","consent":false,"suppressions":[{"kind":"item","key":"a:b"}]}
            {"user_id":"v","suppressions":[{"kind":"brand","key":"x"}]}
            {"user_id":"w","preferred_categories":["x"]}
            """
        )
        #expect(batch.rows.map(\.consent) == [false, nil])
        #expect(batch.rows.first?.suppressions == [Suppression(kind: .item, key: Identifier(trusted: "a:b"))])
        #expect(batch.rows.last?.suppressions == nil)
        #expect(batch.rejected.first.map(\.line) == [2])
        let table = try self.users(
            "user_id,suppressions,consent,labels\nu,item:a:b|creator:c,true,\"{\"\"a\"\":\"\"b\"\"}\"\nv,item,true,\nw,,maybe,\n",
            csv: true
        )
        #expect(table.rows.first?.suppressions?.map(\.key.string) == ["a:b", "c"])
        #expect(table.rows.first?.labels == ["a": "b"])
        #expect(table.rejected.first.map(\.line) == [3, 4])
    }

    @Test("CSV has its columns in any order, lists joined by |, quotes and line breaks in quotes")
    func csv() throws {
        let batch = try self.items(
            "title,item_id,categories,price,hidden\r\n\"a \"\"b\"\"\r\nc,\",i,x|y,1.5,true\r\n\r\nT,j,,,\r\nbad,\nT,k,x,0x10,\n",
            csv: true
        )
        #expect(batch.rows.map(\.item.title) == ["a \"b\"\r\nc,", "T"])
        #expect(batch.rows.first?.item.categories == ["x", "y"])
        #expect(batch.rows.first?.item.price == 1.5 && batch.rows.first?.item.hidden == true)
        #expect(batch.rejected.first.map(\.line) == [6, 7])
    }

    @Test("a quote that is never closed costs its own line only")
    func openQuote() throws {
        let header = "user_id,item_id,type,occurred_at\n"
        let row = "u,i,view,2026-01-01T00:00:00Z\n"
        let batch = try self.events(header + row + "\"u,i,view,x\n" + row + row, csv: true)
        #expect(batch.rows.map(\.line) == [2, 4, 5])
        #expect(batch.rejected.first == [RejectedLine(file: "file", line: 3, reason: .badQuoting)])
        let twice = try self.events(header + "\"u,i\n" + row + "\"u,i\n" + row, csv: true)
        #expect(twice.rows.map(\.line) == [3, 5])
        #expect(twice.rejected.first.map(\.line) == [2, 4])
    }

    @Test("a header with an unknown or repeated column, or none, is refused")
    func header() throws {
        for text in ["user,item_id\n", "user_id,user_id\n", "", "\"user_id\n"] {
            #expect(throws: ImportError.self) { try self.events(text, csv: true) }
        }
    }

    @Test("a folder, a missing file and a line of megabytes are errors that say so; an empty file holds nothing")
    func files() throws {
        let folder = try TemporaryFolder()
        let huge = try folder.write("huge", Array(repeating: UInt8(ascii: "x"), count: 5 << 20))
        var reader = try DocumentReader(ndjson: huge, kind: .items)
        do throws(ImportError) {
            _ = try reader.next(limit: 1)
            Issue.record("a line of megabytes was read")
        } catch {
            #expect(error == .lineTooLong(path: huge, line: 1))
        }
        #expect(throws: ImportError.unreadable(path: folder.path, reason: "it is a folder, not a file")) {
            _ = try DocumentReader(ndjson: folder.path, kind: .items)
        }
        #expect(throws: ImportError.self) { _ = try DocumentReader(ndjson: folder.path + "/none", kind: .items) }
        #expect(try self.items("").rows.isEmpty)
    }

    @Test("a part ends at its limit and the next goes on")
    func limits() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("file", TemporaryFolder.lines(Array(repeating: Self.good, count: 5)))
        var reader = try DocumentReader(ndjson: path, kind: .feedback)
        var lines: [[Int]] = []
        while case .interactions(let batch)? = try reader.next(limit: 2) { lines.append(batch.rows.map(\.line)) }
        #expect(lines == [[1, 2], [3, 4], [5]])
    }
}
