/// The primary as the sentinels tell it, and who holds a connection to it: pure state.
struct PrimaryState<Hold: AnyObject> {
    private(set) var election: PrimaryElection
    private var term = PrimaryTerm<Hold>()

    init(sentinels: Int) {
        election = PrimaryElection(sentinels: sentinels)
    }

    var address: RedisAddress? { term.address }

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
    mutating func began(_ make: (RedisAddress) -> Hold) -> Hold? { term.began(make) }

    /// A connection is over.
    mutating func ended(_ hold: Hold) { term.ended(hold) }

    /// The server on the other side of a connection says that it is no primary; returns the connections of the term that ends.
    ///
    /// None where the term of that connection is over already.
    mutating func denied(by hold: Hold) -> [Hold] { term.denied(by: hold) }

    private mutating func elect() -> [Hold]? { election.primary.flatMap { term.moved(to: $0) } }
}
