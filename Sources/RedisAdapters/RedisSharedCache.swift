package import Caching
package import Redis

/// L2 on Redis. In a cluster a key with all its fields is in one slot, by the braces in its name.
package struct RedisSharedCache: SharedCache, SharedCacheInspection, RelayProgress {
    private static let keyPrefix = Array("vireo:".utf8)
    /// Floors raised in one script: short enough not to hold up anybody else's commands.
    private static let batch = 64

    private let client: any RedisCommands
    private let namespace: RedisNamespace
    private let passes = PassCounter()
    private let fillScript: RedisScript
    private let raiseScript: RedisScript

    package init(client: any RedisCommands, namespace: RedisNamespace, faults: SeededFaults = SeededFaults()) {
        self.client = client
        self.namespace = namespace
        self.fillScript = faults.has(.fillWithoutLease) ? SeededScripts.fillWithoutLease : Scripts.fill
        self.raiseScript = faults.has(.minForMax) ? SeededScripts.minForMax : Scripts.raiseFloors
    }

    package func read(_ key: CacheKey, _ field: CacheField) async throws(SharedCacheError) -> SharedRead {
        let command = Self.readCommand(key, field)
        return try await Self.mapped { () async throws(RedisError) in
            do throws(RedisError) {
                return try Self.sharedRead(try await self.client.send(command))
            } catch {
                guard error.isAboutContent else { throw error }
                return SharedRead(floor: nil, entry: nil)
            }
        }
    }

    package func read(_ places: [CachePlace]) async throws(SharedCacheError) -> [SharedRead] {
        guard !places.isEmpty else { return [] }
        let commands = places.map { Self.readCommand($0.key, $0.field) }
        return try await Self.mapped { () async throws(RedisError) in
            var reads: [SharedRead] = []
            reads.reserveCapacity(places.count)
            for reply in try await self.client.pipeline(commands) {
                do throws(RedisError) {
                    reads.append(try Self.sharedRead(try reply.checked()))
                } catch {
                    guard error.isAboutContent else { throw error }
                    reads.append(SharedRead(floor: nil, entry: nil))
                }
            }
            return reads
        }
    }

    private static func readCommand(_ key: CacheKey, _ field: CacheField) -> RedisCommand {
        var command = RedisCommand("HMGET", capacity: 64 + key.bytes.count + field.bytes.count)
        command.append(key: Self.name(key))
        command.append("floor")
        command.append(field.bytes)
        return command
    }

    private static func sharedRead(_ reply: RedisReply) throws(RedisError) -> SharedRead {
        let values = try reply.array()
        guard values.count == 2 else { throw .unexpectedReply(expected: "two values", found: "\(values.count)") }
        return SharedRead(floor: try Self.version(values[0]), entry: try values[1].bytes())
    }

    package func floor(of key: CacheKey) async throws(SharedCacheError) -> Int64? {
        var command = RedisCommand("HGET", capacity: 64 + key.bytes.count)
        command.append(key: Self.name(key))
        command.append("floor")
        let sent = command
        return try await Self.mapped { () async throws(RedisError) in
            do throws(RedisError) {
                return try Self.version(try await self.client.send(sent))
            } catch {
                guard error.isAboutContent else { throw error }
                return nil
            }
        }
    }

    package func contents(of key: CacheKey) async throws(SharedCacheError) -> SharedContents {
        var command = RedisCommand("HGETALL", capacity: 64 + key.bytes.count)
        command.append(key: Self.name(key))
        let sent = command
        return try await Self.mapped { () async throws(RedisError) in
            let values = try await self.client.send(sent).array()
            var floor: Int64?
            var fields: [(field: CacheField, bytes: [UInt8])] = []
            for index in stride(from: 0, to: values.count - 1, by: 2) {
                let name = try values[index].bytes() ?? []
                if name.elementsEqual("floor".utf8) {
                    floor = try Self.version(values[index + 1])
                } else if !name.elementsEqual("lease".utf8) {
                    fields.append((CacheField(bytes: name), try values[index + 1].bytes() ?? []))
                }
            }
            return SharedContents(floor: floor, fields: fields)
        }
    }

    package func floors(of keys: [CacheKey]) async throws(SharedCacheError) -> [Int64?] {
        let commands = keys.map { RedisCommand("HGET", key: Self.name($0), arguments: [Array("floor".utf8)]) }
        return try await Self.mapped { () async throws(RedisError) in
            try await self.client.pipeline(commands).map { reply throws(RedisError) in
                do throws(RedisError) {
                    return try Self.version(try reply.checked())
                } catch {
                    guard error.isAboutContent else { throw error }
                    return nil
                }
            }
        }
    }

    package func acquireLease(on key: CacheKey, for duration: Duration) async throws(SharedCacheError) -> LeaseGrant {
        let id = Self.leaseID()
        return try await Self.mapped { () async throws(RedisError) in
            let (reply, session) = try await self.client.runReportingSession(
                Scripts.acquireLease,
                keys: [Self.name(key)],
                arguments: [id, Self.decimal(duration)]
            )
            return try Self.grant(reply, id, session)
        }
    }

    package func acquireLeases(
        on keys: [CacheKey],
        for duration: Duration
    ) async throws(SharedCacheError) -> [LeaseGrant] {
        guard !keys.isEmpty else { return [] }
        let milliseconds = Self.decimal(duration)
        // Two numbers from the system are two system calls: keys of one call have them in common.
        let prefix = Self.leaseID() + [UInt8(ascii: ".")]
        let calls = keys.enumerated().map { index, key in
            (keys: [Self.name(key)], arguments: [prefix + Array(String(index).utf8), milliseconds])
        }
        return try await Self.mapped { () async throws(RedisError) in
            let (replies, session) = try await self.client.pipelineReportingSession(Scripts.acquireLease, calls)
            return try zip(calls, replies).map { call, reply throws(RedisError) in
                try Self.grant(try reply.checked(), call.arguments[0], session)
            }
        }
    }

    private static func leaseID() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return Array((String(generator.next(), radix: 36) + String(generator.next(), radix: 36)).utf8)
    }

    private static func grant(_ reply: RedisReply, _ id: [UInt8], _ session: UInt64) throws(RedisError) -> LeaseGrant {
        let remaining = try reply.integer()
        return remaining == 0
            ? .granted(ComputeLease(id: String(decoding: id, as: UTF8.self), connection: session))
            : .held(.milliseconds(remaining))
    }

    package func fill(_ fill: CacheFill) async throws(SharedCacheError) -> FillOutcome {
        try await Self.mapped { () async throws(RedisError) in
            let call = Self.call(fill)
            let reply = try await self.client.run(
                self.fillScript,
                keys: call.keys,
                arguments: call.arguments,
                session: fill.lease.connection
            )
            return try Self.outcome(reply)
        }
    }

    package func fill(_ fills: [CacheFill]) async throws(SharedCacheError) -> [FillOutcome] {
        guard let first = fills.first else { return [] }
        return try await Self.mapped { () async throws(RedisError) in
            let (replies, _) = try await self.client.pipelineReportingSession(
                self.fillScript,
                fills.map(Self.call),
                session: first.lease.connection
            )
            return try replies.map { reply throws(RedisError) in try Self.outcome(try reply.checked()) }
        }
    }

    private static func call(_ fill: CacheFill) -> (keys: [[UInt8]], arguments: [[UInt8]]) {
        (
            [Self.name(fill.place.key)],
            [
                Array(fill.lease.id.utf8), Array(String(fill.version).utf8), fill.place.field.bytes, fill.entry,
                Self.decimal(fill.keepFor),
            ]
        )
    }

    private static func outcome(_ reply: RedisReply) throws(RedisError) -> FillOutcome {
        guard let outcome = try reply.string().flatMap(FillOutcome.init(rawValue:)) else {
            throw .unexpectedReply(expected: "outcome of a fill", found: "another word")
        }
        return outcome
    }

    package func renew(
        _ leases: [(lease: ComputeLease, key: CacheKey)],
        for duration: Duration
    ) async throws(SharedCacheError) -> [Bool] {
        guard let first = leases.first else { return [] }
        let milliseconds = Self.decimal(duration)
        let calls = leases.map { lease, key in
            (keys: [Self.name(key)], arguments: [Array(lease.id.utf8), milliseconds])
        }
        return try await Self.mapped { () async throws(RedisError) in
            let (replies, _) = try await self.client.pipelineReportingSession(
                Scripts.renewLease,
                calls,
                session: first.lease.connection
            )
            return try replies.map { reply throws(RedisError) in
                do throws(RedisError) {
                    return try reply.checked().integer() == 1
                } catch {
                    // The key is somebody else's by now.
                    guard error.isAboutContent else { throw error }
                    return false
                }
            }
        }
    }

    package func release(_ lease: ComputeLease, on key: CacheKey) async throws(SharedCacheError) {
        // Whose computation was cancelled, by a deadline or a shutdown, gives back all the same: nothing is sent for a task
        // that is cancelled, and others would wait for the lease to end.
        let released: Result<Void, RedisError> = await Task {
            do throws(RedisError) {
                _ = try await self.client.run(
                    Scripts.releaseLease,
                    keys: [Self.name(key)],
                    arguments: [Array(lease.id.utf8)],
                    session: lease.connection
                )
                return .success(())
            } catch {
                return .failure(error)
            }
        }.value
        try await Self.mapped { () async throws(RedisError) in try released.get() }
    }

    package func raiseFloors(
        _ invalidations: [Invalidation],
        on connection: UInt64?
    ) async throws(SharedCacheError) {
        // In a cluster the keys of one script would have to be in one slot.
        let batch = self.client.isDivided ? 1 : Self.batch
        var calls: [(keys: [[UInt8]], arguments: [[UInt8]])] = []
        for start in stride(from: 0, to: invalidations.count, by: batch) {
            let part = invalidations[start..<min(start + batch, invalidations.count)]
            calls.append((part.map { Self.name($0.key) }, part.map { Array(String($0.version).utf8) }))
        }
        // A few at a time: many go out while others' commands go out between them.
        let width = self.client.isDivided ? Self.batch : 1
        for start in stride(from: 0, to: calls.count, by: width) {
            let part = Array(calls[start..<min(start + width, calls.count)])
            try await Self.mapped { () async throws(RedisError) in
                let (replies, session) = try await self.client.pipelineReportingSession(
                    self.raiseScript,
                    part,
                    session: connection
                )
                for (call, reply) in zip(part, replies) {
                    do throws(RedisError) {
                        _ = try reply.checked()
                    } catch {
                        // A full Redis refuses to raise a floor, and does not refuse to forget.
                        guard case .server(let refusal) = error, refusal.code == "OOM" else { throw error }
                        let forgetting = call.keys.map { RedisCommand("UNLINK", key: $0) }
                        for reply in try await self.client.pipeline(forgetting, session: session) {
                            _ = try reply.checked()
                        }
                    }
                }
            }
        }
    }

    /// Takes away what lies below a floor that has just been raised, and whatever is being computed. The floor stays.
    package func dropEntries(of key: CacheKey) async throws(SharedCacheError) {
        _ = try await Self.mapped { () async throws(RedisError) in
            try await self.client.run(Scripts.dropEntries, keys: [Self.name(key)])
        }
    }

    package func relayed() async throws(SharedCacheError) -> (position: JournalPosition?, connection: UInt64) {
        try await Self.mapped { () async throws(RedisError) in
            // Of one session, so that no shard is left out. MGET: a key of another type is nil to it, not an error.
            guard let session = self.client.session else { throw .notConnected }
            let commands = self.client.shards.map { RedisCommand("MGET", key: self.namespace.relayedKey($0)) }
            let (replies, connection) = try await self.client.pipelineReportingSession(commands, session: session)
            let positions = try replies.map { reply throws(RedisError) in
                RelayRecord(try reply.checked().array().first?.string())?.position
            }
            return (ShardPositions.common(positions), connection)
        }
    }

    package func setRelayed(
        _ position: JournalPosition,
        controlHead: Int64,
        on connection: UInt64
    ) async throws(SharedCacheError) {
        let text = Array(RelayRecord(position: position, controlHead: controlHead).text.utf8)
        let pass = self.passes.next(on: connection)
        try await Self.mapped { () async throws(RedisError) in
            var commands = self.client.shards.map {
                RedisCommand("SET", key: self.namespace.relayedKey($0), arguments: [text])
            }
            // The first has the bus. It says that the journal is drained into this Redis, though there be nothing new in it.
            for shard in self.client.shards.prefix(1) {
                commands.append(
                    RedisCommand("SET", key: self.namespace.passKey(shard), arguments: [Array(pass.text.utf8)])
                )
            }
            for reply in try await self.client.pipeline(commands, session: connection) { _ = try reply.checked() }
        }
        self.passes.ended(pass, on: connection)
    }

    private static func name(_ key: CacheKey) -> [UInt8] { Self.keyPrefix + key.bytes }

    private static func version(_ reply: RedisReply) throws(RedisError) -> Int64? {
        reply.isNull ? nil : try reply.integer()
    }

    private static func decimal(_ duration: Duration) -> [UInt8] {
        let (seconds, attoseconds) = duration.components
        return Array(String(seconds * 1_000 + attoseconds / 1_000_000_000_000_000).utf8)
    }

    static func mapped<Result>(
        _ body: () async throws(RedisError) -> Result
    ) async throws(SharedCacheError) -> Result {
        do {
            return try await body()
        } catch {
            switch error {
            case .timeout, .cancelled: throw .timedOut
            case .sessionChanged: throw .connectionChanged
            case .server(let refusal): throw .refused(refusal.code)
            case .unexpectedReply(let expected, let found): throw .refused("\(found) instead of \(expected)")
            case .notConnected, .queueFull, .connectionLost, .invalidURL, .alreadyRunning: throw .unavailable
            }
        }
    }
}

extension RedisError {
    /// What is stored under the key is not Vireo's; Redis itself is well.
    var isAboutContent: Bool {
        switch self {
        case .server(let refusal): refusal.code == "WRONGTYPE"
        case .unexpectedReply: true
        default: false
        }
    }
}
