import LocalServers
import Testing

@Suite("The doctor on a replica")
struct DoctorReplicaTests {
    private func replicaLines(_ primary: LocalPostgresServer, _ replicaURL: String) async throws -> [Substring] {
        let outcome = try await Vireo.run(
            ["doctor"],
            ["VIREO_POSTGRES_URL": primary.url(), "VIREO_POSTGRES_REPLICA_URL": replicaURL]
        )
        return outcome.output.split(separator: "\n").filter { $0.contains("\treplica\t") }
    }

    @Test("says that it answers, how far it lags, that it is paused, dead, or none of this primary's")
    func replica() async throws {
        let settings = ["fsync": "off"]
        let directory = try ScratchDirectory.make("vireo-doctor-primary")
        let copy = try ScratchDirectory.make("vireo-doctor-replica")
        let primary = try await LocalPostgresServer.start(directory: directory, settings: settings)
        let replica = try await primary.startReplica(directory: copy, settings: settings)
        _ = try await Vireo.succeed(["migrate"], ["VIREO_POSTGRES_URL": primary.url()])
        try await eventually("it has caught up", within: 30) {
            try await replicaLines(primary, replica.url()) == ["ok\treplica\tanswers, lags 0 bytes"]
        }

        try await replica.execute("SELECT pg_wal_replay_pause()")
        try await primary.execute("CREATE TABLE filled AS SELECT n FROM generate_series(1, 1000) n")
        let lagging = try await replicaLines(primary, replica.url())
        #expect(lagging.first == "warning\treplica\treplay is paused")
        #expect(lagging.last?.hasPrefix("ok\treplica\tanswers, lags ") == true)
        #expect(lagging.last?.contains(" lags 0 bytes") == false, "\(lagging)")

        #expect(
            try await replicaLines(primary, primary.url()).first?.hasPrefix("error\treplica\tthis is no replica")
                == true
        )
        try await replica.kill()
        let dead = try await replicaLines(primary, replica.url())
        #expect(dead.count == 1 && dead[0].hasPrefix("warning\treplica\tcannot be reached"), "\(dead)")
        try await primary.stop()
        try ScratchDirectory.remove(directory)
        try ScratchDirectory.remove(copy)
    }
}
