import Foundation
import Glibc
import LocalServers
import Testing

/// Erasures on nodes over one Redis and one PostgreSQL: what is served, and the bytes of everything that is kept.
@Suite("Erasures of a fleet", .serialized)
struct ErasureFleetTests {
    /// Bytes that nothing else has, and an id that is another only by its bytes.
    private static let user = "z\u{E9}%7B{x}/*? 9d1c7e"
    private static let sibling = "ze\u{301}%7B{x}/*? 9d1c7e"
    private static let stream = "vireo:feedback:stream:default"

    @Test(
        "no node serves what was before; then no table, key, dump, cache or log names the user, and an id of other bytes keeps all"
    )
    func everything() async throws {
        try await Fleet.with(nodes: 3, settings: ["VIREO_LOG_LEVEL": "debug"]) { fleet in
            // On a surface that nothing else here is asked for.
            let caps = #"{"frequency_caps":[{"surface":"email","max":3,"per":"24h"}],"decisions":{"percent":100}}"#
            #expect(try await fleet.admin(0).send("PUT", "/v1/admin/policies/p5", body: caps).status < 300)
            #expect(try await fleet.admin(0).post("/v1/admin/policies/p5:activate?wait=all", "{}").status == 200)
            for user in [Self.user, Self.sibling] { try await Self.make(user, fleet) }
            let told = try await Self.tell(Self.user, fleet)
            _ = try await Self.tell(Self.sibling, fleet)
            let list = try await fleet.slate(1, user: Self.sibling)
            let before = try await Self.version(Self.user, fleet)
            #expect(try await Self.places(of: Self.user, fleet).count > 8, "it is there before")
            let kept = try await Self.places(of: Self.sibling, fleet).filter { $0.hasPrefix("table") }
            #expect(try await fleet.everywhere { try await Self.cached(Self.user, on: $0, fleet) })

            let job = try await Self.erase(Self.user, on: 0, fleet)
            #expect(try await fleet.slate(0, user: Self.user).fallback == "cold_start", "at once where it was taken")
            try await Task.sleep(for: .seconds(1))
            for index in fleet.nodes.indices {
                let slate = try await fleet.slate(index, user: Self.user)
                #expect(slate.fallback == "cold_start" && slate.user_version == 0, "node \(index + 1)")
            }
            let receipt = try await Self.done(job, on: 1, fleet, within: 15)
            #expect(receipt.removed.pg_rows > 8 && receipt.removed.redis_keys > 3 && receipt.removed.decisions > 0)

            // What is told of the life before leaves nothing.
            let late = try await fleet.app(2).post("/v1/impressions", told)
            #expect(late.status == 200 && late.body.contains("expired_token"), "\(late.body)")
            let place = told.components(separatedBy: "[{")[1].components(separatedBy: "}")[0]
            let click = #"{"user_id":"\#(Self.user)","type":"click",\#(place)}"#
            let answered = try await fleet.app(2).post("/v1/feedback", click)
            #expect(answered.status == 422 && answered.body.contains("expired_token"), "\(answered.body)")
            #expect(try await Self.places(of: Self.user, fleet).isEmpty)
            #expect(try await fleet.everywhere { try await !Self.cached(Self.user, on: $0, fleet) })
            #expect(try await Self.places(of: Self.sibling, fleet).filter { $0.hasPrefix("table") } == kept)
            #expect(try await fleet.everywhere { try await Self.cached(Self.sibling, on: $0, fleet) })
            #expect(try await fleet.slate(1, user: Self.sibling).ids == list.ids)

            // Again, of nobody: nothing is removed.
            let again = try await Self.done(try await Self.erase(Self.user, on: 2, fleet), on: 0, fleet, within: 15)
            #expect(again.removed == Receipt.Removed(redis_keys: 0, pg_rows: 0, decisions: 0))
            #expect(try await fleet.app(0).get("/v1/erasures/j999").status == 404)

            // Who comes again begins with nothing.
            let item = try #require(list.ids.first)
            let written = try await fleet.feedback(2, user: Self.user, item: item, event: "new-1")
            #expect(written.user_version > before)
            let slate = try await fleet.slate(2, user: Self.user)
            #expect(slate.user_version == written.user_version && !slate.ids.contains(item))
        }
    }

    @Test("the node that took it, and relays, is killed at once: another finishes within twenty seconds")
    func killed() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            try await Self.make(Self.user, fleet)
            let relaying = try await Self.relaying(fleet)
            let job = try await Self.erase(Self.user, on: relaying, fleet)
            #expect(kill(fleet.nodes[relaying].pid, SIGKILL) == 0)
            let other = (relaying + 1) % 3
            _ = try await Self.done(job, on: other, fleet, within: 20)
            let living = (0..<3).filter { $0 != relaying }
            #expect(try await Self.places(of: Self.user, fleet).isEmpty)
            for index in living {
                let isCached = try await Self.cached(Self.user, on: index, fleet)
                #expect(!isCached)
            }
        }
    }

    @Test("writers on all nodes race with erasures: when they have stopped, one more leaves nothing")
    func races() async throws {
        try await Fleet.with(nodes: 3) { fleet in
            let acknowledged = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for writer in 0..<6 {
                    group.addTask {
                        var versions: [Int64] = []
                        for round in 0..<40 {
                            let number = 1 + (writer * 40 + round) % 190
                            let body = Self.event(
                                Self.user,
                                "r\(writer)-\(round)",
                                item: String(format: "i%06d", number),
                                type: round % 3 == 0 ? "view" : "like",
                                session: "race-\(writer)"
                            )
                            let response = try await fleet.app(writer % 3).post("/v1/feedback", body)
                            guard response.status == 200 else { continue }
                            versions.append(try response.json(as: Written.self).user_version)
                            _ = try await fleet.app((writer + 1) % 3).get(
                                "/v1/recommendations/\(Self.user.escapedForPath)?limit=20"
                            )
                        }
                        return versions
                    }
                }
                group.addTask {
                    for _ in 0..<8 {
                        _ = try await Self.erase(Self.user, on: 0, fleet)
                        try await Task.sleep(for: .milliseconds(300))
                    }
                    return []
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(acknowledged.count > 200)
            let job = try await Self.erase(Self.user, on: 1, fleet)
            _ = try await Self.done(job, on: 2, fleet, within: 30)
            #expect(try await Self.places(of: Self.user, fleet).isEmpty)
            let open = try await fleet.postgres.query("SELECT count(*) FROM erasures WHERE state <> 'done'")
            #expect(open == ["0"])
            let orphans = try await fleet.postgres.query(
                "SELECT count(*) FROM interactions WHERE user_number NOT IN (SELECT number FROM user_state)"
            )
            #expect(orphans == ["0"])
            let written = try await fleet.feedback(0, user: Self.user, item: "i000001", event: "after")
            #expect(acknowledged.allSatisfy { $0 < written.user_version })
        }
    }

    // MARK: Doing

    private struct Taken: Decodable {
        let job: String
        let propagated: Bool
    }

    private struct Receipt: Decodable {
        struct Removed: Decodable, Equatable {
            let redis_keys: Int
            let pg_rows: Int
            let decisions: Int
        }

        let state: String
        let removed: Removed
        let finished_at: String?
    }

    private static func erase(_ user: String, on node: Int, _ fleet: Fleet) async throws -> String {
        let response = try await fleet.app(node).send("DELETE", "/v1/users/\(user.escapedForPath)")
        #expect(response.status == 202, "\(response.body)")
        return try response.json(as: Taken.self).job
    }

    private static func done(
        _ job: String,
        on node: Int,
        _ fleet: Fleet,
        within seconds: Double
    ) async throws -> Receipt {
        let target = "/v1/erasures/\(job)"
        try await eventually("\(job) is done", within: seconds) {
            try await fleet.app(node).get(target).json(as: Receipt.self).state == "done"
        }
        let receipt = try await fleet.app(node).get(target).json(as: Receipt.self)
        #expect(receipt.finished_at != nil)
        return receipt
    }

    private static func event(
        _ user: String,
        _ id: String,
        item: String,
        type: String = "like",
        session: String = "s1"
    ) -> String {
        #"{"event_id":"\#(id)","user_id":"\#(user)","item_id":"\#(item)","type":"\#(type)","session_id":"\#(session)"}"#
    }

    /// A user with all that a user can have, in every place that keeps something.
    private static func make(_ user: String, _ fleet: Fleet) async throws {
        let path = "/v1/users/\(user.escapedForPath)"
        for number in 1...6 {
            let body = Self.event(user, "\(user)-\(number)", item: String(format: "i%06d", number * 7))
            #expect(try await fleet.app(number % 3).post("/v1/feedback", body).status == 200)
            if number == 2 { #expect(try await fleet.app(0).post("\(path):reset", "{}").status == 200) }
        }
        let profile = #"{"labels":{"name":"\#(user)"},"preferred_categories":["\#(user)"]}"#
        #expect(try await fleet.app(0).send("PUT", path, body: profile).status == 200)
        let suppression = "\(path)/suppressions/item/\(user.escapedForPath)"
        #expect(try await fleet.app(1).send("PUT", suppression, body: "{}").status == 200)
        // Over a stream: taken, and rejected.
        _ = try await RedisCommandLine.send(
            [
                ["XADD", Self.stream, "*", "event", Self.event(user, "\(user)-s", item: "i000100")],
                ["XADD", Self.stream, "*", "event", Self.event(user, "\(user)-d", item: "nothing")],
                ["XADD", Self.stream, "*", "event", "nonsense \"\(user)\""],
            ],
            port: fleet.redis.port
        )
        // By bytes: as Strings they are equal.
        let count = user.utf8.elementsEqual(Self.sibling.utf8) ? 4 : 2
        try await eventually("what was rejected is among the dead", within: 10) {
            try await RedisCommandLine.send(["XLEN", "\(Self.stream):dead"], port: fleet.redis.port)
                .hasPrefix(":\(count)\r\n")
        }
        let warmed = try await fleet.admin(0).post("/v1/admin/precompute", #"{"surface":"home","users":"active_7d"}"#)
        #expect(warmed.status == 202)
        let stored = "SELECT count(*) FROM precomputed_lists JOIN user_state ON number = user_number WHERE user_id = "
        try await eventually("a list is stored", within: 30) {
            try await fleet.postgres.query(stored + "'\(user)'") == ["1"]
        }
        try await eventually("every node holds a list", within: 10) {
            try await fleet.everywhere {
                _ = try await fleet.slate($0, user: user)
                return try await fleet.slate($0, user: user).served_from.tier == "l1"
            }
        }
    }

    private struct Shown: Decodable {
        let recommendation_id: String
        let items: [Slate.Place]
    }

    /// Tells what was shown of a list under a cap; what was told.
    private static func tell(_ user: String, _ fleet: Fleet) async throws -> String {
        let response = try await fleet.app(1).get("/v1/recommendations/\(user.escapedForPath)?surface=email&limit=3")
        let shown = try response.json(as: Shown.self)
        let items = shown.items.map { #"{"item_id":"\#($0.item_id)","tracking_token":"\#($0.tracking_token)"}"# }
        let body = #"{"recommendation_id":"\#(shown.recommendation_id)","items":[\#(items.joined(separator: ","))]}"#
        let answer = try await fleet.app(0).post("/v1/impressions", body)
        #expect(answer.status == 200 && answer.body.contains(#""accepted":3"#), "\(answer.body)")
        return body
    }

    private static func version(_ user: String, _ fleet: Fleet) async throws -> Int64 {
        try await fleet.slate(0, user: user).user_version
    }

    private static func relaying(_ fleet: Fleet) async throws -> Int {
        for index in fleet.nodes.indices {
            let metrics = try await RawHTTP(port: fleet.nodes[index].adminPort).get("/metrics").body
            let line = metrics.split(separator: "\n").first { $0.hasPrefix("vireo_relay_passes_total ") }
            if let line, !line.hasSuffix(" 0") { return index }
        }
        throw RawHTTP.Failed(description: "no node relays")
    }

    // MARK: Looking

    /// Whether a node's caches have entries of a user.
    private static func cached(_ user: String, on node: Int, _ fleet: Fleet) async throws -> Bool {
        let response = try await fleet.admin(node).get("/v1/admin/cache/\(user.escapedForPath)")
        #expect(response.status == 200)
        return response.body.contains(#""tier":"l1""#)
    }

    /// Where an id stands: the tables whose rows name it, and how many do, keys of Redis, its file, logs.
    private static func places(of user: String, _ fleet: Fleet) async throws -> [String] {
        // As it is, as in a key, as in a path, and within the bytes of a column.
        let hexadecimal = user.utf8.map { String(format: "%02x", $0) }.joined()
        let texts = [user, Self.keyed(user), user.escapedForPath, hexadecimal]
        let forms = texts.map { Array($0.utf8) }
        func names(_ bytes: [UInt8]) -> Bool { forms.contains { bytes.contains($0) } }

        var places: [String] = []
        let tables = try await fleet.postgres.query(
            """
            SELECT c.oid::regclass::text FROM pg_class c
            WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1
            """
        )
        #expect(tables.count > 20)
        for table in tables {
            let isNamed = texts.map { "position($id$\($0)$id$ IN t::text) > 0" }.joined(separator: " OR ")
            let rows = try await fleet.postgres.query("SELECT count(*) FROM \(table) t WHERE \(isNamed)")
            if rows != ["0"] { places.append("table \(table): \(rows[0])") }
        }
        let keys = try await RedisCommandLine.send(["KEYS", "*"], port: fleet.redis.port)
            .components(separatedBy: "\r\n").filter { $0.hasPrefix("vireo:") || $0.hasPrefix("{vireo:") }
        #expect(keys.count > 3)
        for key in keys {
            let words = [["DUMP", key], ["QUIT"]]
            let bytes = words.map { words in
                "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
            }.joined()
            let dump = try await RawHTTP(port: fleet.redis.port).exchange(Array(bytes.utf8))
            if names(dump) || names(Array(key.utf8)) { places.append("key \(key)") }
        }
        _ = try await RedisCommandLine.send(
            [["CONFIG", "SET", "rdbcompression", "no"], ["SAVE"]],
            port: fleet.redis.port
        )
        if names(try Self.file("\(fleet.redis.directory)/dump.rdb")) { places.append("file of Redis") }
        for index in fleet.nodes.indices where names(try Self.file("\(fleet.directory)/node-\(index + 1).log")) {
            places.append("log of node \(index + 1)")
        }
        return places
    }

    private static func file(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// Percent-encoded as in keys.
    private static func keyed(_ id: String) -> String {
        id.utf8.map { byte in
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            return isPlain ? String(UnicodeScalar(byte)) : String(format: "%%%02X", byte)
        }.joined()
    }
}
