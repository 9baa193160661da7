package import RecommendationCore
package import Redis

/// The fleet's buckets of limited keys, `vireo:rate:INCARNATION:{_keys/KEY}` by the public part of a key: ``RateMeter`` in a
/// script, by the time of Redis. A Redis that has lost them, or whose clock jumped ahead, lets one more burst through; where the
/// clock jumps back nothing leaks until it goes on.
package struct RedisRateTokens: RateTokens {
    private let client: any RedisCommands
    private let namespace: RedisNamespace

    package init(client: any RedisCommands, namespace: RedisNamespace) {
        self.client = client
        self.namespace = namespace
    }

    package func draw(_ wanted: Int, of limit: KeyLimit) async throws(RepositoryError) -> RateDraw {
        let arguments = [limit.limit.rate, limit.limit.burst, wanted].map { Array(String($0).utf8) }
        return try await RedisSessionRepository.mapped { () async throws(RedisError) in
            let reply = try await self.client.run(
                Self.take,
                keys: [self.namespace.rateKey(limit.key)],
                arguments: arguments
            ).array()
            guard reply.count == 2 else { throw .unexpectedReply(expected: "a draw", found: "something else") }
            let granted = try reply[0].integer()
            guard (0...Int64(wanted)).contains(granted) else {
                throw .unexpectedReply(expected: "no more than \(wanted)", found: "\(granted)")
            }
            return RateDraw(granted: Int(granted), wait: .microseconds(try reply[1].integer()))
        }
    }

    /// KEYS: a bucket. ARGV: calls a second, calls at once, how many are wanted. How many there are, and in how many µs there is
    /// one more.
    ///
    /// `level` is millionths of a call, `at` µs: whole numbers, and what else is stored under the key is somebody else's writing.
    private static let take = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local capacity = burst * 1000000
        local kind = redis.call('TYPE', KEYS[1]).ok
        if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', KEYS[1]) end
        local known = redis.call('HMGET', KEYS[1], 'level', 'at')
        local level, at = tonumber(known[1] or '') or 0, tonumber(known[2] or '') or now
        if not (level >= 0 and at >= 0) then level, at = 0, now end
        level = math.max(0, math.min(level - math.max(now - at, 0) * rate, capacity))
        local granted = math.min(wanted, math.floor((capacity - level) / 1000000))
        level = level + granted * 1000000
        redis.call('HSET', KEYS[1], 'level', string.format('%.0f', level), 'at', string.format('%.0f', now))
        redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(level / rate / 1000) + 1000))
        return { granted, math.max(0, math.ceil((level + 1000000 - capacity) / rate)) }
        """
    )
}
