/// Who is being written, and who is no use to a run.
struct UserBook: Sendable {
    struct Taken: Sendable {
        let index: Int
        let id: OpaqueID
        /// Whether it was asked what this user consents to.
        let isKnown: Bool
    }

    /// What becomes of a user who was written.
    enum Fate: Sendable {
        /// Can be written again; `isKnown`: consent is known to be given.
        case free(isKnown: Bool)
        /// No list to speak of, no consent, or a state that nobody knows.
        case aside
    }

    private var busy: Set<Int> = []
    private var known: Set<Int> = []
    private(set) var aside: Set<Int> = []

    /// Takes a user whom nobody has; nil: somebody has.
    mutating func take(_ index: Int, _ id: OpaqueID) -> Taken? {
        guard !self.aside.contains(index), self.busy.insert(index).inserted else { return nil }
        return Taken(index: index, id: id, isKnown: self.known.contains(index))
    }

    mutating func release(_ user: Taken, _ fate: Fate) {
        self.busy.remove(user.index)
        switch fate {
        case .free(let isKnown): if isKnown { self.known.insert(user.index) }
        case .aside: self.aside.insert(user.index)
        }
    }
}
