import Logging
import RecommendationCore
import RecommendationEngine
import Synchronization
import Testing

@testable import Training

@Suite("Models made elsewhere")
struct ModelImportTests {
    /// Items i0 to i5, of which i4 was deleted, and a few interactions.
    final class Store: TrainingDataRepository, ModelRepository {
        struct State {
            var models: [ModelVersion] = []
            var artifacts: [Int64: [UInt8]] = [:]
            var prunings = 0
        }

        let state = Mutex(State())

        func mark(tenant: Tenant.ID) async throws(RepositoryError) -> String { "data" }

        func items(tenant: Tenant.ID) async throws(RepositoryError) -> [NumberedItem] {
            [0, 1, 2, 3, 5].map { NumberedItem(number: $0, item: Item(id: Item.ID(trusted: "i\($0)"), title: "")) }
        }

        func reduceInteractions<Result: Sendable>(
            tenant: Tenant.ID,
            into initial: Result,
            _ update: @escaping @Sendable (inout Result, InteractionRow) -> Void
        ) async throws(RepositoryError) -> Result {
            var result = initial
            for (item, second) in [(0, 300), (1, 100), (2, 200)] as [(Item.Number, Int64)] {
                let type = EventType.purchase.code
                update(&result, InteractionRow(user: 1, item: item, type: type, value: 1, seconds: second))
            }
            return result
        }

        func userIDs(tenant: Tenant.ID) async throws(RepositoryError) -> [Int64: User.ID] { [:] }
        func versions(tenant: Tenant.ID) async throws(RepositoryError) -> [ModelVersion] {
            self.state.withLock { $0.models.reversed() }
        }
        func begin(recipe: String, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 { 0 }
        func abandon(_ number: Int64) async throws(RepositoryError) {}
        func store(_ model: ModelVersion, artifact: [UInt8], dataMark: String) async throws(RepositoryError) -> Int64 {
            self.state.withLock { state in
                var model = model
                model.number = Int64(state.models.count + 1)
                state.models.append(model)
                state.artifacts[model.number] = artifact
                return model.number
            }
        }
        func seal(of number: Int64) async throws(RepositoryError) -> ModelSeal { ModelSeal(bytes: 0, checksum: 0) }
        func artifact(_ number: Int64) async throws(RepositoryError) -> [UInt8] {
            guard let artifact = self.state.withLock({ $0.artifacts[number] }) else { throw .conflict("none") }
            return artifact
        }
        func newestDataMark(tenant: Tenant.ID) async throws(RepositoryError) -> String? { nil }
        func prune(keeping count: Int, tenant: Tenant.ID) async throws(RepositoryError) {
            self.state.withLock { $0.prunings += 1 }
        }
    }

    let store = Store()
    let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func bring(_ order: ModelImporter.Order) async throws -> ModelImporter.Report {
        try await ModelImporter(
            data: self.store,
            models: self.store,
            kept: 3,
            threads: 2,
            wallClock: { Timestamp(seconds: 1_780_000_000) }
        ).run(order, policy: .builtIn, mark: "mark", tenant: .default)
    }

    private func neighbours(
        _ text: String,
        json: Bool = false,
        _ change: (inout ModelImporter.Order) -> Void = { _ in }
    ) async throws -> ModelImporter.Report {
        let path = try self.folder.write("neighbours", Array(text.utf8))
        var order = ModelImporter.Order(source: .neighbours(path: path, isJSON: json))
        change(&order)
        return try await self.bring(order)
    }

    /// The rows of the newest model that are not empty, as text.
    private func rows() throws -> [String] {
        let artifact = try #require(self.store.state.withLock { $0.artifacts[Int64($0.models.count)] })
        let snapshot = try SnapshotArtifact(decoding: artifact).snapshot
        return (0..<UInt32(snapshot.itemCount)).compactMap { item in
            let row = snapshot.collaborative.neighbours(of: item).map { "\($0.item):\($0.weight)" }
            return row.isEmpty ? nil : "\(item) \(row.joined(separator: " "))"
        }
    }

    // MARK: Neighbours

    @Test("lists become rows, the heaviest first and no more than are asked for", arguments: [false, true])
    func lists(json: Bool) async throws {
        let edges = [("i0", "i1", "0.25"), ("i0", "i2", "0.5"), ("i0", "i3", "0.125"), ("i5", "i0", "1")]
        let text = edges.map { item, neighbour, weight in
            json
                ? #"{"weight":\#(weight),"item":"\#(item)","neighbour":"\#(neighbour)"}"#
                : "\(item)\t\(neighbour)\t\(weight)"
        }.joined(separator: "\r\n")
        let report = try await self.neighbours(text, json: json) { $0.neighbours = 2 }
        #expect(try self.rows() == ["0 2:0.5 1:0.25", "5 0:1.0"])
        #expect(report.lines == 4 && report.edges == 3 && report.items == 2 && report.rejected.count == 0)
        let version = try #require(report.version)
        #expect(version.number == 1 && version.isImported && version.recipe == "imported-neighbours")
        #expect(version.state == .ready && version.parameters == ["neighbours": 2])
        #expect(version.firstEvent == Timestamp(seconds: 100) && version.lastEvent == Timestamp(seconds: 300))
        #expect(version.interactions == 3 && version.users == 1 && version.items == 5 && version.metrics.isEmpty)
        let artifact = self.store.state.withLock { $0.artifacts[1] ?? [] }
        #expect(version.bytes == artifact.count && version.checksum == SnapshotArtifact.checksum(of: artifact))
        #expect(self.store.state.withLock { $0.prunings } == 1)
    }

    @Test("lines that cannot be used are named with their reason, and the others are taken")
    func rejected() async throws {
        let report = try await self.neighbours(
            """
            i0\ti1\t0.5
            i0\ti1
            i0\ti1\t0.5\t1

            i0\ti1\tNaN
            i0\ti2\tinf
            i0\ti2\t1e39
            i0\ti2\t0
            \ti2\t1
            i0\ti0\t1
            i0\ti1\t0.75
            i9\ti0\t1
            i0\ti4\t1
            i9\ti1\t1
            i1\ti0\t0.5
            """
        )
        #expect(try self.rows() == ["0 1:0.5", "1 0:0.5"])
        #expect(
            report.rejected.first.map { "\($0.line) \($0.reason.code)" } == [
                "2 missing_column", "3 too_many_columns", "5 bad_number", "6 bad_number", "7 out_of_range",
                "8 out_of_range", "9 invalid_id", "10 self_neighbour", "11 duplicate_neighbour", "12 unknown_item",
                "13 unknown_item", "14 unknown_item",
            ]
        )
        #expect(report.unknownItems == 2 && report.lines == 14 && report.edges == 2)
    }

    @Test("documents that are none are rejected one by one")
    func rejectedDocuments() async throws {
        let report = try await self.neighbours(
            """
            {"item":"i0","neighbour":"i1","weight":0.5}
            [1]
            {"item":"i0","neighbour":"i1"}
            {"item":"i0","neighbour":"i2","weight":"1"}
            {"item":"i0","neighbour":"i2","weight":1,"rank":1}
            {"item":"i0","item":"i1","neighbour":"i2","weight":1}
            {"item":7,"neighbour":"i2","weight":1}
            {"item":"i0"
            """,
            json: true
        )
        #expect(
            report.rejected.first.map { "\($0.line) \($0.reason.code)" } == [
                "2 not_an_object", "3 missing_field", "4 bad_number", "5 unknown_field", "6 repeated_field",
                "7 bad_field", "8 malformed_json",
            ]
        )
        #expect(try self.rows() == ["0 1:0.5"])
    }

    @Test(
        "nothing is stored of a file without a line that can be used, of a strict one with a bad line, of a validation"
    )
    func nothingStored() async throws {
        await #expect(throws: ModelImportError.nothingLeft) { try await self.neighbours("i9\ti0\t1\n") }
        await #expect(throws: ModelImportError.nothingLeft) { try await self.neighbours("") }
        await #expect(throws: ModelImportError.rejected(1)) {
            try await self.neighbours("i0\ti1\t1\ni0\ti1\t1\n") { $0.isStrict = true }
        }
        let report = try await self.neighbours("i0\ti1\t1\ni0\ti1\t1\n") { $0.onlyValidates = true }
        #expect(report.version == nil && report.edges == 1 && report.rejected.count == 1)
        await #expect(throws: ModelImportError.self) {
            try await self.bring(ModelImporter.Order(source: .neighbours(path: "/nonexistent", isJSON: false)))
        }
        #expect(self.store.state.withLock { $0.models.isEmpty })
    }

    @Test("weights beyond half floats keep their proportions", arguments: [1e20, 3000, 1, 1e-6, 1e-20] as [Float])
    func scaled(factor: Float) async throws {
        _ = try await self.neighbours("i0\ti1\t\(factor)\ni0\ti2\t\(factor / 2)\ni0\ti3\t\(factor / 1024)\n")
        let artifact = try #require(self.store.state.withLock { $0.artifacts[1] })
        let row = try SnapshotArtifact(decoding: artifact).snapshot.collaborative.neighbours(of: 0)
        #expect(row.map(\.item) == [1, 2, 3])
        #expect(row[0].weight > 0.0624 && row[0].weight <= 1)
        for (edge, share) in zip(row, [1, 0.5, 1 / 1024] as [Float]) {
            #expect((edge.weight / row[0].weight - share).magnitude < 0.001 * share)
        }
    }

    @Test("what is exported is imported as it was", arguments: [false, true])
    func roundTrip(json: Bool) async throws {
        _ = try await self.neighbours("i0\ti1\t0.3\ni0\ti2\t0.7\ni1\ti0\t0.0001\ni3\ti5\t0.99\n")
        let before = try self.rows()
        let written = Mutex<[UInt8]>([])
        let exporter = ModelExporter(data: self.store, models: self.store)
        let count = try await exporter.run(1, isJSON: json, tenant: .default) { bytes in
            written.withLock { $0 += bytes }
        }
        #expect(count == 4)
        let text = String(decoding: written.withLock { $0 }, as: UTF8.self)
        let report = try await self.neighbours(text, json: json) { $0.isStrict = true }
        #expect(try self.rows() == before)
        #expect(report.version?.number == 2)
        let artifacts = self.store.state.withLock { $0.artifacts }
        #expect(artifacts[1] == artifacts[2])
        await #expect(throws: RolloutError.unknown(9)) {
            try await exporter.run(9, isJSON: json, tenant: .default) { _ in }
        }
    }

    // MARK: Factors

    /// A matrix as NumPy writes it.
    private static func npy(
        _ rows: [[Double]],
        type: String = "<f4",
        fortran: Bool = false,
        shape: String? = nil,
        version: UInt8 = 1
    ) -> [UInt8] {
        let shape = shape ?? "(\(rows.count), \(rows.first?.count ?? 0))"
        var header = "{'descr': '\(type)', 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }"
        while (10 + header.utf8.count + 1) % 64 != 0 { header += " " }
        header += "\n"
        var bytes = NumpyFile.magic + [version, 0]
        let length = header.utf8.count
        bytes += [UInt8(length & 255), UInt8(length >> 8)] + (version == 1 ? [] : [0, 0])
        bytes += Array(header.utf8)
        for value in rows.joined() {
            if type == "<f8" {
                withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += Array($0) }
            } else {
                withUnsafeBytes(of: Float(value).bitPattern.littleEndian) { bytes += Array($0) }
            }
        }
        return bytes
    }

    private func factors(
        _ bytes: [UInt8],
        ids: String,
        _ similarity: FactorMatrix.Similarity = .dot,
        neighbours: Int = 100
    ) async throws -> ModelImporter.Report {
        let path = try self.folder.write("factors.npy", bytes)
        let names = try self.folder.write("ids", Array(ids.utf8))
        return try await self.bring(
            ModelImporter.Order(source: .factors(path: path, ids: names, similarity), neighbours: neighbours)
        )
    }

    private static let rows: [[Double]] = [[4, 0], [0.5, 0.5], [2, -1], [0, 0], [-1, 0]]
    private static let ids = "i0\ni1\ni2\ni3\ni5\n"

    @Test(
        "neighbours by inner product, of float32 and float64, of every format",
        arguments: [("<f4", 1), ("<f8", 1), ("<f4", 2), ("<f8", 3)] as [(String, UInt8)]
    )
    func inner(type: String, version: UInt8) async throws {
        let report = try await self.factors(Self.npy(Self.rows, type: type, version: version), ids: Self.ids)
        // Products: 0·1 = 2, 0·2 = 8, 1·2 = 0.5; what is 0 or below is no neighbour. All divided by 16.
        #expect(try self.rows() == ["0 2:0.5 1:0.125", "1 0:0.125 2:0.03125", "2 0:0.5 1:0.03125"])
        #expect(report.version?.recipe == "imported-dot")
        #expect(report.version?.parameters == ["neighbours": 100, "factors": 2])
        #expect(report.lines == 5 && report.edges == 6 && report.items == 3)
    }

    @Test("neighbours by cosine, no more than are asked for")
    func cosine() async throws {
        let report = try await self.factors(Self.npy(Self.rows), ids: Self.ids, .cosine, neighbours: 1)
        #expect(report.version?.recipe == "imported-cosine")
        let rows = try self.rows()
        #expect(rows.count == 3)
        for (row, start) in zip(rows, ["0 2:0.89", "1 0:0.70", "2 0:0.89"]) { #expect(row.hasPrefix(start), "\(row)") }
    }

    @Test(
        "factors are as a plain loop has them, whatever the width and the number of threads",
        arguments: [1, 15, 16, 33]
    )
    func reference(width: Int) throws {
        var state: UInt64 = 88_172_645_463_325_252
        func random() -> Float {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
        }
        let vectors = (0..<60).map { _ in (0..<width).map { _ in random() } }
        var matrix = FactorMatrix(width: width)
        for (item, vector) in vectors.enumerated() { matrix.append(item: UInt32(item), vector: vector) }
        let graphs = [1, 4].map { matrix.neighbours(7, by: .dot, threads: $0).graph(itemCount: 60, limit: 7) }
        #expect(graphs[0] == graphs[1])
        for item in vectors.indices {
            let expected = vectors.indices.filter { $0 != item }
                .map { other in (other, zip(vectors[item], vectors[other]).reduce(0) { $0 + $1.0 * $1.1 }) }
                .filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }.prefix(7)
            let found = graphs[0].neighbours(of: UInt32(item))
            #expect(found.count == expected.count)
            // Equal but for the order of what differs in the last digits.
            #expect(Set(found.map { Int($0.item) }).isSuperset(of: expected.dropLast().map(\.0)))
        }
    }

    @Test("rows without an item, of one that came before, or with a number that is none, are named and left out")
    func rejectedRows() async throws {
        var rows = Self.rows
        rows[2] = [.nan, 1]
        let report = try await self.factors(Self.npy(rows + [[1, 1], [1, 1]]), ids: "i0\ni1\ni2\ni3\ni9\ni0\n\n")
        #expect(
            report.rejected.first.map { "\($0.line) \($0.reason.code)" } == [
                "3 bad_number", "5 unknown_item", "6 duplicate_item", "7 invalid_id",
            ]
        )
        #expect(report.unknownItems == 1)
        #expect(try self.rows() == ["0 1:0.5", "1 0:0.5"])
    }

    @Test("a file that is no such matrix is refused in words, and nothing is stored")
    func badMatrix() async throws {
        let good = Self.npy(Self.rows)
        let cases: [([UInt8], String)] = [
            ([], "it is no .npy file of NumPy"), (Array("item\tfactor".utf8), "it is no .npy file of NumPy"),
            (Self.npy(Self.rows, type: "<i8"), "its numbers are <i8"),
            (Self.npy(Self.rows, type: ">f4"), "its numbers are >f4"),
            (Self.npy(Self.rows, fortran: true), "it is in Fortran order"),
            (Self.npy(Self.rows, shape: "(10,)"), "it has 1 dimensions"),
            (Self.npy(Self.rows, shape: "(5, 2, 1)"), "it has 3 dimensions"),
            (Self.npy(Self.rows, shape: "(5, 3)"), "what follows its header is not 5 rows of 3"),
            (Self.npy(Self.rows, shape: "(-5, 2)"), "its shape is damaged"),
            (Self.npy(Self.rows, shape: "(4611686018427387904, 8)"), "what follows its header"),
            (good.dropLast(), "what follows its header"), (good + [0], "what follows its header"),
            (Array(good.prefix(9)), "it is no .npy"), (Array(good.prefix(40)), "it ends within its header"),
        ]
        for (bytes, reason) in cases {
            let error = await #expect(throws: ModelImportError.self) {
                try await self.factors(Array(bytes), ids: Self.ids)
            }
            guard case .badMatrix(_, let text) = error, text.hasPrefix(reason) else {
                Issue.record("\(reason): \(String(describing: error))")
                continue
            }
        }
        await #expect(throws: ModelImportError.self) { try await self.factors(good, ids: "i0\ni1\n") }
        #expect(self.store.state.withLock { $0.models.isEmpty })
    }

    @Test("no mutation of a matrix brings the reader down")
    func fuzz() async throws {
        let good = Self.npy(Self.rows)
        var state: UInt64 = 7
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        for _ in 0..<2_000 {
            var bytes = Array(good.prefix(random(3) == 0 ? random(good.count) : good.count))
            for _ in 0..<random(4) where !bytes.isEmpty { bytes[random(bytes.count)] = UInt8(random(256)) }
            let path = try self.folder.write("fuzz.npy", bytes)
            do throws(ModelImportError) {
                let file = try NumpyFile(path: path)
                for row in 0..<file.rows { _ = file.row(row) }
            } catch {
                guard case .badMatrix = error else { throw error }
            }
        }
    }
}
