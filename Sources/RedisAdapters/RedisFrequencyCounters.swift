package import RecommendationCore
package import Redis

/// Counters of frequency caps, `vireo:shown:INCARNATION:{TENANT/USER}`: all of a user's in one slot of a cluster, counted by the
/// time of Redis (``FrequencyScripts``).
package struct RedisFrequencyCounters: FrequencyCounters {
    /// What was shown is added in parts: short enough not to hold up anybody else's commands.
    private static let batch = 500

    private let client: any RedisCommands
    private let namespace: RedisNamespace
    private let hold: Duration

    /// - Parameter hold: How long what is reserved counts, unless it is confirmed.
    package init(client: any RedisCommands, namespace: RedisNamespace, hold: Duration = .seconds(600)) {
        self.client = client
        self.namespace = namespace
        self.hold = hold
    }

    package func reserve(
        _ reservation: CapReservation,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> CapOutcome {
        var (caps, chosen, others, released) = ([UInt8](), [UInt8](), [UInt8](), [UInt8]())
        for cap in reservation.caps {
            caps += [UInt8(clamping: cap.maximum), cap.isOfSurface ? 1 : 0]
            caps.appendLittleEndian(cap.window.milliseconds)
        }
        for item in reservation.chosen {
            chosen.appendLittleEndian(item.number)
            chosen.append(item.caps)
        }
        others.reserveCapacity(5 * reservation.others.count)
        for item in reservation.others {
            others.appendLittleEndian(item.number)
            others.append(item.caps)
        }
        for item in reservation.released { released.appendLittleEndian(item) }
        let arguments = [
            Self.decimal(self.hold), reservation.id, Self.tag(of: reservation.surface),
            Self.decimal(reservation.longest),
            caps, chosen, others, released, Array((reservation.isWhole ? "1" : "0").utf8),
        ]
        return try await RedisSessionRepository.mapped { () async throws(RedisError) in
            let reply = try await self.client.run(
                FrequencyScripts.reserve,
                keys: [self.namespace.shownKey(reservation.user, tenant: tenant)],
                arguments: arguments
            ).array()
            guard reply.count == 3 else { throw .unexpectedReply(expected: "a reservation", found: "something else") }
            guard try reply[0].integer() == 1 else { return .incomplete }
            return .reserved(refused: try Self.numbers(reply[1]), full: try Self.numbers(reply[2]))
        }
    }

    package func confirm(
        _ shown: [User.ID: [ShownItem]],
        keeping time: Duration,
        tenant: Tenant.ID
    ) async throws(RepositoryError) {
        let calls = shown.flatMap { user, shown in
            self.calls(shown, of: user, keeping: time, tenant: tenant, covering: nil)
        }
        try await self.run(calls)
    }

    package func complete(
        _ shown: [ShownItem],
        of user: User.ID,
        covering time: Duration,
        tenant: Tenant.ID
    ) async throws(RepositoryError) {
        // Of whom nothing was shown little has to be kept.
        let kept = shown.isEmpty ? self.hold : max(self.hold, time)
        try await self.run(self.calls(shown, of: user, keeping: kept, tenant: tenant, covering: time))
    }

    package func doubt(_ users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) {
        try await RedisSessionRepository.mapped { () async throws(RedisError) in
            for user in users {
                let key = self.namespace.shownKey(user, tenant: tenant)
                _ = try await self.client.send(RedisCommand("HDEL", key: key, arguments: [Array("since".utf8)]))
            }
        }
    }

    package func forget(_ user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) {
        let command = RedisCommand("UNLINK", key: self.namespace.shownKey(user, tenant: tenant))
        try await RedisSessionRepository.mapped { () async throws(RedisError) in
            _ = try await self.client.send(command)
        }
    }

    private typealias ScriptCall = (keys: [[UInt8]], arguments: [[UInt8]])

    /// In order; the last one says for how long back the counters are whole.
    private func calls(
        _ shown: [ShownItem],
        of user: User.ID,
        keeping time: Duration,
        tenant: Tenant.ID,
        covering: Duration?
    ) -> [ScriptCall] {
        let key = self.namespace.shownKey(user, tenant: tenant)
        let parts = stride(from: 0, to: max(1, shown.count), by: Self.batch).map { start in
            shown[start..<min(start + Self.batch, shown.count)]
        }
        return parts.enumerated().map { index, part in
            var records: [UInt8] = []
            records.reserveCapacity(32 * part.count)
            for item in part where item.recommendationID.count == 16 {
                records.appendLittleEndian(item.number)
                records += item.recommendationID
                records += Self.tag(of: item.surface)
                // An id begins with 48 bits of milliseconds.
                records.appendLittleEndian(item.recommendationID.prefix(6).reduce(Int64(0)) { $0 << 8 | Int64($1) })
            }
            let whole = index == parts.count - 1 ? covering.map(Self.decimal) ?? [] : []
            return ([key], [Self.decimal(self.hold), Self.decimal(time), records, whole])
        }
    }

    private func run(_ calls: [ScriptCall]) async throws(RepositoryError) {
        guard !calls.isEmpty else { return }
        try await RedisSessionRepository.mapped { () async throws(RedisError) in
            let (replies, _) = try await self.client.pipelineReportingSession(FrequencyScripts.confirm, calls)
            for reply in replies { _ = try reply.checked() }
        }
    }

    private static func numbers(_ reply: RedisReply) throws(RedisError) -> Set<Item.Number> {
        let bytes = try reply.bytes() ?? []
        return Set(
            stride(from: 0, to: bytes.count - 3, by: 4).map { start in
                bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | Item.Number($1) }
            }
        )
    }

    private static func decimal(_ duration: Duration) -> [UInt8] { Array(String(duration.milliseconds).utf8) }

    /// Four bytes that stand for a surface (FNV-1a): a policy has a few.
    private static func tag(of surface: String) -> [UInt8] {
        var tag: [UInt8] = []
        tag.appendLittleEndian(surface.utf8.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 })
        return tag
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { Int64(self / .milliseconds(1)) }
}

extension [UInt8] {
    fileprivate mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { self.append(contentsOf: $0) }
    }
}
