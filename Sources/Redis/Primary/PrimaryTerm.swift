/// Where the primary is, and who holds a connection to it: pure state.
///
/// What was learnt of a server holds for one *term*: it ends when another server is named, and when the server itself says that
/// it is no primary. With it end all connections of the term, of whatever kind: a subscription that stayed with a server that
/// has become a replica would go on hearing the new primary, and would not hear what a resynchronisation leaves out.
struct PrimaryTerm<Hold: AnyObject> {
    private(set) var address: RedisAddress?
    private var holds: [ObjectIdentifier: Hold] = [:]

    /// Another is the primary, or the same; returns the connections of the term that this ends, nil if none ended.
    mutating func moved(to address: RedisAddress) -> [Hold]? {
        guard address != self.address else { return nil }
        self.address = address
        return end()
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
        holds[ObjectIdentifier(hold)] == nil ? [] : end()
    }

    private mutating func end() -> [Hold] {
        defer { holds.removeAll() }
        return Array(holds.values)
    }
}
