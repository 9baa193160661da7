/// The primary as it is known, and who holds a connection to it: pure state.
///
/// What was learnt of a server holds for one *term*: it ends when the sentinels name another server, and when the server
/// itself says that it is none. With it end all connections of the term, of whatever kind: a subscription that stayed with a
/// server that has become a replica would go on hearing the new primary, and would not hear what a resynchronisation leaves
/// out.
struct PrimaryState<Hold: AnyObject> {
    private(set) var election: PrimaryElection
    private(set) var address: RedisAddress?
    private var holds: [ObjectIdentifier: Hold] = [:]

    init(sentinels: Int) {
        election = PrimaryElection(sentinels: sentinels)
    }

    /// A sentinel answered; returns the connections of the term that this ends, nil if none ended.
    mutating func answered(_ sentinel: Int, _ claim: PrimaryElection.Claim?) -> [Hold]? {
        election.answered(sentinel, claim)
        return elect()
    }

    /// A sentinel is lost; returns as ``answered(_:_:)``.
    mutating func lost(_ sentinel: Int) -> [Hold]? {
        election.lost(sentinel)
        return elect()
    }

    /// A connection is about to be made; nil while the primary is not known.
    mutating func began(_ make: (RedisAddress) -> Hold) -> Hold? {
        guard let address else { return nil }
        let hold = make(address)
        holds[ObjectIdentifier(hold)] = hold
        return hold
    }

    /// A connection is over.
    mutating func ended(_ hold: Hold) {
        holds[ObjectIdentifier(hold)] = nil
    }

    /// The server on the other side of a connection says that it is no primary; returns the connections of the term that ends.
    ///
    /// None where the term of that connection is over already.
    mutating func denied(by hold: Hold) -> [Hold] {
        holds[ObjectIdentifier(hold)] == nil ? [] : endTerm()
    }

    private mutating func elect() -> [Hold]? {
        guard let primary = election.primary, primary != address else { return nil }
        address = primary
        return endTerm()
    }

    private mutating func endTerm() -> [Hold] {
        defer { holds.removeAll() }
        return Array(holds.values)
    }
}
