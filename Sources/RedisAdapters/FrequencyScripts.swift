import Redis

/// The scripts of frequency caps. A user's counters are one hash: a field an item, by its number, and `since`, the time in ms
/// from which on they are all there are.
///
/// An item's field is a row of entries of 29 bytes: a time in ms (8, little endian), 1 if it was really shown or 0 (1), the
/// recommendation (16), the surface (4). An entry that was not shown counts no longer than a reservation holds, and none longer
/// than the longest window that a cap may have. Whatever else is stored under the key is somebody else's writing.
enum FrequencyScripts {
    /// Items of a user; beyond them those that were shown longest ago are forgotten.
    static let itemLimit = 4_096
    /// Entries of an item: the most that a cap may allow.
    static let entryLimit = 100

    private static let prelude = """
        local key = KEYS[1]
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local kind = redis.call('TYPE', key).ok
        if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', key) end
        local hold = tonumber(ARGV[1])
        local function counts(began, shown)
            -- Clocks of two servers are not a minute apart.
            return began <= now + 60000 and began + (shown == 1 and 2592000000 or hold) > now
        end
        local function entries(value)
            local kept = {}
            if not value or #value % 29 ~= 0 then return kept end
            for at = 1, #value, 29 do
                local began, shown = struct.unpack('<i8B', value, at)
                if counts(began, shown) then
                    kept[#kept + 1] = {
                        began, shown, string.sub(value, at + 9, at + 24), string.sub(value, at + 25, at + 28)
                    }
                end
            end
            return kept
        end
        local function packed(kept)
            if #kept > \(entryLimit) then table.sort(kept, function(a, b) return a[1] < b[1] end) end
            local parts = {}
            for index = math.max(1, #kept - \(entryLimit - 1)), #kept do
                local entry = kept[index]
                parts[#parts + 1] = struct.pack('<i8B', entry[1], entry[2]) .. entry[3] .. entry[4]
            end
            return table.concat(parts)
        end
        local function trim()
            if redis.call('HLEN', key) <= \(itemLimit + 1) then return end
            local all = redis.call('HGETALL', key)
            local dated = {}
            for index = 1, #all, 2 do
                if all[index] ~= 'since' then
                    local last = 0
                    for _, entry in ipairs(entries(all[index + 1])) do last = math.max(last, entry[1]) end
                    dated[#dated + 1] = { last, all[index] }
                end
            end
            table.sort(dated, function(a, b) return a[1] < b[1] end)
            for index = 1, #dated - \(itemLimit / 4 * 3) do redis.call('HDEL', key, dated[index][2]) end
        end
        local function keep(duration)
            if redis.call('PTTL', key) < duration then redis.call('PEXPIRE', key, string.format('%.0f', duration)) end
        end

        """

    /// KEYS: hash. ARGV: ms that a reservation holds, recommendation, surface, longest window in ms, caps (maximum 1, whether
    /// of the surface alone 1, window in ms 8), chosen items (number 4, bits of their caps 1), others likewise, released
    /// items (4), `1` if counters that are not whole will not do. A status, 0 if they are not whole; of the chosen items those
    /// refused; and if there are any, or nothing is chosen, of the others those that would be. What this recommendation has
    /// reserved is not counted against it, so that it may run twice.
    static let reserve = RedisScript(
        prelude + """
            local own, surface, longest = ARGV[2], ARGV[3], tonumber(ARGV[4])
            if ARGV[9] == '1' then
                local since = tonumber(redis.call('HGET', key, 'since') or '')
                if not since or since > now - longest then return { 0, '', '' } end
            end
            local caps = {}
            for at = 1, #ARGV[5], 10 do
                local maximum, isOfSurface, window = struct.unpack('<BBi8', ARGV[5], at)
                caps[#caps + 1] = { maximum, isOfSurface == 1, now - window }
            end
            local function isFull(value, bits)
                if not value or #value % 29 ~= 0 then return false end
                for index, cap in ipairs(caps) do
                    if bit.band(bits, bit.lshift(1, index - 1)) ~= 0 then
                        local count = 0
                        -- The newest are last.
                        for at = #value - 28, 1, -29 do
                            local began, shown = struct.unpack('<i8B', value, at)
                            if began > cap[3] and counts(began, shown)
                                and (not cap[2] or string.sub(value, at + 25, at + 28) == surface)
                                and string.sub(value, at + 9, at + 24) ~= own
                            then
                                count = count + 1
                                if count >= cap[1] then return true end
                            end
                        end
                    end
                end
                return false
            end
            local function read(list, size)
                local names = {}
                for at = 1, #list, size do
                    names[#names + 1] = string.format('%.0f', (struct.unpack('<I4', list, at)))
                end
                return names, #names == 0 and {} or redis.call('HMGET', key, unpack(names))
            end
            local names, values = read(ARGV[8], 4)
            for index, name in ipairs(names) do
                local left = {}
                for _, entry in ipairs(entries(values[index])) do
                    if entry[3] ~= own or entry[2] == 1 then left[#left + 1] = entry end
                end
                if #left == 0 then
                    redis.call('HDEL', key, name)
                else
                    redis.call('HSET', key, name, packed(left))
                end
            end
            local refused, written = {}, {}
            names, values = read(ARGV[6], 5)
            for index, name in ipairs(names) do
                local number, bits = struct.unpack('<I4B', ARGV[6], index * 5 - 4)
                local kept = entries(values[index])
                local isHeld = false
                for _, entry in ipairs(kept) do
                    if entry[3] == own then isHeld = true end
                end
                if not isHeld then
                    if isFull(values[index], bits) then
                        refused[#refused + 1] = struct.pack('<I4', number)
                    else
                        kept[#kept + 1] = { now, 0, own, surface }
                        written[#written + 1] = name
                        written[#written + 1] = packed(kept)
                    end
                end
            end
            if #written > 0 then
                redis.call('HSET', key, unpack(written))
                trim()
            end
            keep(hold)
            local full = {}
            if #refused > 0 or #ARGV[6] == 0 then
                names, values = read(ARGV[7], 5)
                for index in ipairs(names) do
                    local number, bits = struct.unpack('<I4B', ARGV[7], index * 5 - 4)
                    if isFull(values[index], bits) then
                        full[#full + 1] = struct.pack('<I4', number)
                    end
                end
            end
            return { 1, table.concat(refused), table.concat(full) }
            """
    )

    /// KEYS: hash. ARGV: ms that a reservation holds, ms to keep, what was shown (number 4, recommendation 16, surface 4, time
    /// in ms 8), for how many ms back the counters are whole with it, or nothing.
    static let confirm = RedisScript(
        prelude + """
            for at = 1, #ARGV[3], 32 do
                local name = string.format('%.0f', (struct.unpack('<I4', ARGV[3], at)))
                local own, surface = string.sub(ARGV[3], at + 4, at + 19), string.sub(ARGV[3], at + 20, at + 23)
                local began = math.min(now, (struct.unpack('<i8', ARGV[3], at + 24)))
                local kept = entries(redis.call('HGET', key, name))
                local isHeld = false
                for _, entry in ipairs(kept) do
                    if entry[3] == own then
                        entry[2] = 1
                        isHeld = true
                    end
                end
                if not isHeld and began + 2592000000 > now then kept[#kept + 1] = { began, 1, own, surface } end
                if #kept > 0 then redis.call('HSET', key, name, packed(kept)) end
            end
            if ARGV[4] ~= '' then
                redis.call('HSET', key, 'since', string.format('%.0f', now - tonumber(ARGV[4])))
            end
            trim()
            keep(tonumber(ARGV[2]))
            return 1
            """
    )
}
