/// What one node of a cluster says of who has which slots: the answer to `CLUSTER NODES`.
struct ClusterView: Sendable, Equatable {
    /// A primary with slots.
    struct Owner: Sendable, Hashable {
        var address: RedisAddress
        /// Of two that both claim a slot, the one of the higher epoch has it.
        var epoch: UInt64
        var slots: [ClosedRange<Int>]
    }

    var owners: [Owner]
    /// All nodes that are not given up, replicas too: any of them may be asked.
    var members: Set<RedisAddress>

    /// Reads the answer: a line for each node, `ID IP:PORT@BUSPORT[,HOSTNAME] FLAGS PRIMARY PING PONG EPOCH LINK SLOT…`, in
    /// which a slot is `N`, `N-M`, or between brackets if it is being moved, and then belongs to where it is moved from.
    ///
    /// - Parameters:
    ///   - asked: How the node was reached: it may not know its own address.
    ///   - byName: Whether nodes are to be reached by their names, where they have one.
    /// - Throws: `unexpectedReply` where a line is none.
    init(_ text: String, from asked: RedisAddress, byName: Bool = false) throws(RedisError) {
        (owners, members) = ([], [])
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 8, let epoch = UInt64(words[6]) else {
                throw .unexpectedReply(expected: "a node of a cluster", found: "something else")
            }
            let flags = words[2].split(separator: ",")
            guard flags.allSatisfy({ $0 != "noaddr" && $0 != "handshake" }) else { continue }
            let address = try Self.address(words[1], isSelf: flags.contains("myself"), asked, byName: byName)
            if !flags.contains("fail") { members.insert(address) }
            guard flags.contains("master") else { continue }
            var slots: [ClosedRange<Int>] = []
            for word in words[8...] where word.first != "[" {
                let ends = word.split(separator: "-").compactMap { Int($0) }
                guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last,
                    0..<HashSlot.count ~= first, 0..<HashSlot.count ~= last
                else { throw .unexpectedReply(expected: "slots of a cluster", found: "something else") }
                slots.append(first...last)
            }
            guard !slots.isEmpty else { continue }
            owners.append(Owner(address: address, epoch: epoch, slots: slots))
        }
    }

    init(owners: [Owner]) {
        self.owners = owners
        self.members = Set(owners.map(\.address))
    }

    private static func address(
        _ word: Substring,
        isSelf: Bool,
        _ asked: RedisAddress,
        byName: Bool
    ) throws(RedisError) -> RedisAddress {
        let parts = word.split(separator: ",", omittingEmptySubsequences: false)
        let place = parts[0].prefix { $0 != "@" }
        guard let colon = place.lastIndex(of: ":"), let port = Int(place[place.index(after: colon)...]),
            1...65_535 ~= port
        else { throw .unexpectedReply(expected: "the address of a node", found: "something else") }
        if byName, parts.count > 1, !parts[1].isEmpty { return RedisAddress(host: String(parts[1]), port: port) }
        let host = String(place[..<colon])
        // Before it has met another, a node does not know its own address.
        return RedisAddress(host: host.isEmpty && isSelf ? asked.host : host, port: port)
    }
}

/// Who has which slots, by all that the nodes say.
struct ClusterTopology: Sendable, Equatable {
    private static let nobody: Int16 = -1

    /// For each slot the place of its owner in ``primaries``.
    private var owners: [Int16]
    /// Those with slots, in the order of their addresses.
    let primaries: [RedisAddress]
    /// Whether every slot has an owner.
    let isComplete: Bool

    /// Merges views as nodes themselves do: a slot is whose claim has the highest epoch.
    ///
    /// It is done on an event loop: claims are painted over one another, a range at a time.
    init(_ views: some Sequence<ClusterView>) {
        let claims = Set(views.flatMap(\.owners)).sorted { $0.epoch < $1.epoch }
        let addresses = Set(claims.map(\.address)).sorted { ($0.host, $0.port) < ($1.host, $1.port) }
        var places: [RedisAddress: Int16] = [:]
        for (place, address) in addresses.enumerated() { places[address] = Int16(clamping: place) }
        var painted = [Int16](repeating: Self.nobody, count: HashSlot.count)
        for claim in claims {
            guard let place = places[claim.address] else { continue }
            for range in claim.slots {
                painted.replaceSubrange(range, with: repeatElement(place, count: range.count))
            }
        }
        let left = Set(painted)
        isComplete = !left.contains(Self.nobody)
        guard left.count < addresses.count + (isComplete ? 0 : 1) else {
            (owners, primaries) = (painted, addresses)
            return
        }
        // Some have lost all they claimed.
        let those = addresses.indices.filter { left.contains(Int16(clamping: $0)) }
        var renumbered = [Int16](repeating: Self.nobody, count: addresses.count)
        for (place, old) in those.enumerated() { renumbered[old] = Int16(clamping: place) }
        primaries = those.map { addresses[$0] }
        owners = painted.map { $0 == Self.nobody ? Self.nobody : renumbered[Int($0)] }
    }

    /// The place of a slot's owner among the primaries; nil: nobody has it.
    func owner(of slot: HashSlot) -> Int? {
        let place = owners[slot.number]
        return place == Self.nobody ? nil : Int(place)
    }

    func primary(of slot: HashSlot) -> RedisAddress? { owner(of: slot).map { primaries[$0] } }

    /// The lowest number in decimal whose slot is a primary's: what is named with it between braces is kept there.
    func tag(of primary: RedisAddress) -> String? {
        guard let place = primaries.firstIndex(of: primary) else { return nil }
        // Of three primaries it is one of the first few; of one with a single slot one of the first hundred thousand.
        return (0..<1 << 20).lazy.map { String($0) }.first { owner(of: HashSlot(of: $0.utf8)) == place }
    }
}
