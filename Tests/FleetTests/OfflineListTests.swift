import Foundation
import LocalServers
import Testing

/// From a folder as LightGCN publishes its data to lists and what they are worth, by the shell alone.
@Suite("Offline lists")
struct OfflineListTests {
    @Test("a folder is imported, trained on, listed for and judged")
    func wholePath() async throws {
        let directory = try ScratchDirectory.make("vireo-offline")
        #expect(chmod(directory, 0o711) == 0)
        let postgres = try await LocalPostgresServer.start(
            directory: "\(directory)/postgres",
            settings: ["fsync": "off"]
        )
        let outcome: Result<Void, any Error>
        do {
            try await Self.check(directory, ["VIREO_POSTGRES_URL": postgres.url()])
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await postgres.stop()
        if case .success = outcome { try ScratchDirectory.remove(directory) }
        try outcome.get()
    }

    /// Users of two kinds, whose items do not mix; the last three of each are for the test.
    private static func check(_ directory: String, _ environment: [String: String]) async throws {
        let histories = (0..<40).map { user in (0..<10).map { (user * 3 + $0 * 7) % 16 + user % 2 * 16 } }
        let train = histories.enumerated().map { "\($0) \($1.prefix(7).map(String.init).joined(separator: " "))" }
        let test = histories.enumerated().map { "\($0) \($1.suffix(3).map(String.init).joined(separator: " "))" }
        try train.joined(separator: "\n").write(toFile: "\(directory)/train.txt", atomically: true, encoding: .utf8)
        try test.joined(separator: "\n").write(toFile: "\(directory)/test.txt", atomically: true, encoding: .utf8)
        try await Vireo.succeed(["migrate"], environment)
        try await Vireo.succeed(["import", directory, "--format", "lightgcn"], environment)

        let trained = try await Vireo.succeed(["train", "--json"], environment)
        #expect(trained.contains("\"recall_at_20\""), "\(trained)")
        // Without weights below 0, so that whatever goes with a history has a score above 0.
        try await Vireo.succeed(["train", "--recipe", "product", "--activate"], environment)
        let lists = "\(directory)/lists.tsv"
        try await Vireo.succeed(["recommend", "--users", "all", "--limit", "9", "--out", lists], environment)
        let lines = try String(contentsOfFile: lists, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 40)
        for line in lines {
            let words = line.split { $0 == "\t" || $0 == " " }.compactMap { Int($0) }
            let user = words[0]
            #expect(words.count == 10 && Set(words.dropFirst()).count == 9)
            #expect(Set(words.dropFirst()).isDisjoint(with: histories[user].prefix(7)))
            // What is of the other kind has no score, and comes only as fill.
            #expect(words.dropFirst().allSatisfy { ($0 < 16) == (user % 2 == 0) })
        }

        // Without its store nothing is written, and what was there stays.
        let away = try await Vireo.run(
            ["recommend", "--users", "all", "--out", lists],
            ["VIREO_POSTGRES_URL": "postgresql://vireo@127.0.0.1:1/postgres"]
        )
        #expect(away.code == 1 && away.errors.contains("the store cannot be used"), "\(away.errors)")
        #expect(try String(contentsOfFile: lists, encoding: .utf8).split(separator: "\n") == lines)
        #expect(!FileManager.default.fileExists(atPath: "\(lists).partial"))
        // A pipe stays one, and gets the same.
        let pipe = "\(directory)/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let reader = open(pipe, O_RDWR | O_NONBLOCK)
        defer { close(reader) }
        try await Vireo.succeed(["recommend", "--users", "all", "--limit", "9", "--out", pipe], environment)
        var piped = [UInt8](repeating: 0, count: 65_536)
        let length = read(reader, &piped, piped.count)
        #expect(String(decoding: piped.prefix(max(0, length)), as: UTF8.self).split(separator: "\n") == lines)
        let kind = try FileManager.default.attributesOfItem(atPath: pipe)[.type] as? FileAttributeType
        #expect(kind != .typeRegular)

        let judged = try await Vireo.succeed(
            ["evaluate", "--test", "\(directory)/test.txt", "--at", "9", "--json"],
            environment
        )
        // Nine of the sixteen of a kind are left, so all of them are listed.
        #expect(judged.contains("\"at\":9,\"users\":40,\"recall\":1.0"), "\(judged)")
        #expect(judged.contains("\"segments\":{\"warm\":{\"users\":40"), "\(judged)")
        // One from elsewhere by the same file: its neighbours are those of the other kind, so nothing is found.
        let neighbours = (0..<32).map { "\($0)\t\(($0 + 16) % 32)\t1" }.joined(separator: "\n")
        try neighbours.write(toFile: "\(directory)/neighbours.tsv", atomically: true, encoding: .utf8)
        try await Vireo.succeed(["models", "import", "\(directory)/neighbours.tsv", "--format", "tsv"], environment)
        let compared = try await Vireo.succeed(
            ["evaluate", "--test", "\(directory)/test.txt", "--at", "5", "--model", "m3", "--model", "m2", "--json"],
            environment
        )
        let figures = compared.split(separator: "\n")
        #expect(
            figures.count == 2 && figures[0].contains(#""model":"m3","recipe":"imported-neighbours""#),
            "\(compared)"
        )
        #expect(figures[0].contains(#""users":40,"recall":0.0"#), "\(compared)")
        #expect(figures[1].contains(#""model":"m2","recipe":"product""#), "\(compared)")
        #expect(!figures[1].contains(#""recall":0.0"#), "\(compared)")
        let unknown = try await Vireo.run(
            ["evaluate", "--test", "\(directory)/test.txt", "--model", "m99"],
            environment
        )
        #expect(unknown.code == 1 && unknown.errors.contains("no model m99"), "\(unknown.errors)")
        try "0\n".write(toFile: "\(directory)/nobody.txt", atomically: true, encoding: .utf8)
        let nobody = try await Vireo.run(["evaluate", "--test", "\(directory)/nobody.txt"], environment)
        #expect(nobody.code == 1 && nobody.output.isEmpty && nobody.errors.contains("nobody is to be judged"))
        let table = try await Vireo.succeed(
            ["evaluate", "--backtest", "--recipe", "popularity", "--recipe", "cosine"],
            environment
        )
        #expect(table.contains("popularity, at 20") && table.contains("cosine, at 20") && table.contains("diversity"))

        for recipe in ["popularity", "ease", "bm25"] {
            let fixed = try await Vireo.succeed(["train", "--recipe", recipe, "--json"], environment)
            #expect(fixed.contains("\"recipe\":\"\(recipe)\""), "\(fixed)")
        }
    }
}
