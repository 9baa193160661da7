import Caching
package import RecommendationCore
package import Redis

/// What Redis holds of a user: the hash of entries, the counters of frequency caps, events in sessions, entries of feedback streams and what was rejected of
/// them, and places that nodes leave for each other.
package struct RedisUserTraces: UserTraces {
    private let client: any RedisCommands
    private let namespace: RedisNamespace
    private let sessions: RedisSessionRepository
    private let places: RedisWarmPlaces
    private let stream: RedisFeedbackStream
    private let isNamed: @Sendable (User.ID, [UInt8]) -> Bool

    /// - Parameter isNamed: Whether a user is named by what was sent as an event.
    package init(
        client: any RedisCommands,
        namespace: RedisNamespace,
        sessions: RedisSessionRepository,
        places: RedisWarmPlaces,
        isNamed: @escaping @Sendable (User.ID, [UInt8]) -> Bool
    ) {
        self.client = client
        self.namespace = namespace
        self.sessions = sessions
        self.places = places
        self.stream = RedisFeedbackStream(client: client, consumer: namespace.node)
        self.isNamed = isNamed
    }

    package func remove(_ erasure: OpenErasure) async throws(RepositoryError) -> Int {
        let (user, tenant) = (erasure.user, erasure.tenant)
        // Whatever is computed for them now holds no lease any more.
        let hash = RedisCommand("UNLINK", key: self.namespace.hashKey(of: user, tenant: tenant))
        // In a slot of its own.
        let shown = RedisCommand("UNLINK", key: self.namespace.shownKey(user, tenant: tenant))
        var keys = 0
        for command in [hash, shown] {
            keys += try await RedisSessionRepository.mapped { () async throws(RedisError) in
                Int(try await self.client.send(command).integer())
            }
        }
        keys += try await self.sessions.remove(user, tenant: tenant)
        do throws(SharedCacheError) {
            keys += try await self.stream.remove(from: tenant.string, addedBy: erasure.acceptedAt) {
                self.isNamed(user, $0)
            }
            keys += try await self.places.remove(self.namespace.cacheKey(of: user, tenant: tenant))
        } catch {
            switch error {
            case .refused(let code): throw .failed("Redis: \(code)")
            case .unavailable, .timedOut, .connectionChanged: throw .unavailable("Redis")
            }
        }
        return keys
    }
}
