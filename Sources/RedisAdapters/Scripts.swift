import Redis

/// The scripts of coherence, section 2. A floor and a version are decimal; below 2^53 Lua's numbers hold them exactly.
///
/// A key that is not a hash, or a floor that is not a number, is somebody else's writing: it is thrown away or written over,
/// which loses only work, and never an error that could hold up what comes behind it.
enum Scripts {
    /// KEYS: hash. ARGV: lease id, duration in ms. 0: granted; otherwise the milliseconds another holds it.
    static let acquireLease = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local kind = redis.call('TYPE', KEYS[1]).ok
        if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', KEYS[1]) end
        local lease = redis.call('HGET', KEYS[1], 'lease')
        if lease then
            local ends = tonumber(string.match(lease, ':(%d+)$') or '')
            if ends and ends > now and ends <= now + 2 * ARGV[2] then return ends - now end
        end
        redis.call('HSET', KEYS[1], 'lease', ARGV[1] .. ':' .. string.format('%.0f', now + ARGV[2]))
        if redis.call('PTTL', KEYS[1]) < 10000 then redis.call('PEXPIRE', KEYS[1], 10000) end
        return 0
        """
    )

    /// KEYS: hash. ARGV: lease id, duration in ms. 1: it runs for that long from now on; 0: it is not held any more.
    static let renewLease = RedisScript(
        """
        local lease = redis.call('HGET', KEYS[1], 'lease')
        if not lease or string.sub(lease, 1, #ARGV[1] + 1) ~= ARGV[1] .. ':' then return 0 end
        local time = redis.call('TIME')
        local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
        redis.call('HSET', KEYS[1], 'lease', ARGV[1] .. ':' .. string.format('%.0f', ends))
        if redis.call('PTTL', KEYS[1]) < 10000 then redis.call('PEXPIRE', KEYS[1], 10000) end
        return 1
        """
    )

    /// KEYS: hash. ARGV: lease id.
    static let releaseLease = RedisScript(
        """
        local lease = redis.call('HGET', KEYS[1], 'lease')
        if lease and string.sub(lease, 1, #ARGV[1] + 1) == ARGV[1] .. ':' then
            return redis.call('HDEL', KEYS[1], 'lease')
        end
        return 0
        """
    )

    /// KEYS: hash. ARGV: lease id, version, field, entry, ms to keep. `stored`, `lease` or `floor`.
    ///
    /// A hash that collects fields is rid of those whose hard expiry (byte 40 of an entry) is past: nobody may serve them.
    static let fill = RedisScript(
        """
        local held = redis.call('HMGET', KEYS[1], 'lease', 'floor')
        if not held[1] or string.sub(held[1], 1, #ARGV[1] + 1) ~= ARGV[1] .. ':' then return 'lease' end
        redis.call('HDEL', KEYS[1], 'lease')
        local floor = tonumber(held[2] or '')
        if floor and tonumber(ARGV[2]) < floor then return 'floor' end
        redis.call('HSET', KEYS[1], 'floor', ARGV[2], ARGV[3], ARGV[4])
        if redis.call('HLEN', KEYS[1]) > 6 then
            local time = redis.call('TIME')
            local now = time[1] * 1000 + math.floor(time[2] / 1000)
            for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
                if field ~= 'floor' and field ~= ARGV[3] then
                    local entry = redis.call('HGET', KEYS[1], field)
                    if #entry < 60 or struct.unpack('<i8', entry, 41) <= now then
                        redis.call('HDEL', KEYS[1], field)
                    end
                end
            end
        end
        if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
        return 'stored'
        """
    )

    /// KEYS: hashes. ARGV: a version for each. Raises floors by max and clears the leases; nothing where no hash exists.
    static let raiseFloors = RedisScript(
        """
        for index, key in ipairs(KEYS) do
            local kind = redis.call('TYPE', key).ok
            if kind == 'hash' then
                local floor = tonumber(redis.call('HGET', key, 'floor') or '')
                if not floor or floor < tonumber(ARGV[index]) then
                    redis.call('HSET', key, 'floor', ARGV[index])
                    redis.call('HDEL', key, 'lease')
                end
            elseif kind ~= 'none' then
                redis.call('UNLINK', key)
            end
        end
        return #KEYS
        """
    )

    /// KEYS: hash. Leaves nothing but the floor.
    static let dropEntries = RedisScript(
        """
        local floor = redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], 'floor')
        if not floor then return 0 end
        local left = redis.call('PTTL', KEYS[1])
        redis.call('UNLINK', KEYS[1])
        redis.call('HSET', KEYS[1], 'floor', floor)
        if left > 0 then redis.call('PEXPIRE', KEYS[1], left) end
        return 1
        """
    )

    /// KEYS: heartbeat key, relayed key, pass key. ARGV: heartbeat, channel, how it is published there, or nothing. What the
    /// relay has written or nil, Redis time in ms, the role of the server, its replication id and offset, each nil where INFO
    /// may not be asked, and the relay's last pass or nil.
    static let heartbeat = RedisScript(
        """
        redis.call('SET', KEYS[1], ARGV[1], 'PX', 2000)
        if ARGV[3] ~= '' then redis.call(ARGV[3], ARGV[2], ARGV[1]) end
        local time = redis.call('TIME')
        local relayed = redis.call('TYPE', KEYS[2]).ok == 'string' and redis.call('GET', KEYS[2])
        local pass = redis.call('TYPE', KEYS[3]).ok == 'string' and redis.call('GET', KEYS[3])
        local info = redis.pcall('INFO', 'replication')
        if type(info) ~= 'string' then info = '' end
        return {
            relayed, string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)),
            string.match(info, 'role:(%a+)') or false, string.match(info, 'master_replid:(%x+)') or false,
            string.match(info, 'master_repl_offset:(%d+)') or false, pass
        }
        """
    )
}
