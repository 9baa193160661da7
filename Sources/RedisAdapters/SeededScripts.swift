import Redis

/// The scripts without one of their rules, for nodes of a debug build that are told so.
enum SeededScripts {
    static let fillWithoutLease = Scripts.fill.replacing(
        "if not held[1] or string.sub(held[1], 1, #ARGV[1] + 1) ~= ARGV[1] .. ':' then return 'lease' end",
        with: ""
    )
    static let minForMax = Scripts.raiseFloors.replacing(
        "floor < tonumber(ARGV[index])",
        with: "floor > tonumber(ARGV[index])"
    )
}

extension RedisScript {
    fileprivate func replacing(_ rule: String, with other: String) -> RedisScript {
        let parts = self.source.split(separator: rule, omittingEmptySubsequences: false)
        precondition(parts.count == 2, "the script has this rule once")
        return RedisScript(parts[0] + other + parts[1])
    }
}
