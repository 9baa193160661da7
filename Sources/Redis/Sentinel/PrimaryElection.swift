/// Which server is the primary, by what each sentinel said last: pure state.
///
/// Sentinels number their configurations (`config-epoch`): a fail-over makes a higher one, which the sentinel that led it has
/// first and the others a moment later, or, cut off, not at all. So the highest number is believed, whoever says it, and not
/// the first answer. What a sentinel said before it was lost counts, too, while fewer than half of them answer: a node that is
/// cut off with the old primary does not go back to it. More than half of them may lower the number: somebody has set them up
/// anew.
struct PrimaryElection: Sendable, Equatable {
    /// What a sentinel says.
    struct Claim: Sendable, Hashable {
        let address: RedisAddress
        /// Zero where the sentinel does not tell it.
        let epoch: UInt64
    }

    private enum Word: Sendable, Equatable {
        case nothing
        case unknownMaster
        case claim(Claim)

        var claim: Claim? { if case .claim(let claim) = self { claim } else { nil } }
    }

    private var words: [Word]
    private var answers: [Bool]

    init(sentinels: Int) {
        words = Array(repeating: .nothing, count: sentinels)
        answers = Array(repeating: false, count: sentinels)
    }

    /// A sentinel answered; nil: it watches nothing by that name.
    mutating func answered(_ sentinel: Int, _ claim: Claim?) {
        words[sentinel] = claim.map(Word.claim) ?? .unknownMaster
        answers[sentinel] = true
    }

    /// A sentinel does not answer.
    mutating func lost(_ sentinel: Int) {
        answers[sentinel] = false
    }

    /// The primary; nil while nobody has named one.
    var primary: RedisAddress? {
        let isMajority = answers.count(where: \.self) * 2 > answers.count
        let claims = words.indices.compactMap { isMajority && !answers[$0] ? nil : words[$0].claim }
        guard let epoch = claims.map(\.epoch).max() else { return nil }
        // One number has one address; where no numbers are told, the one that most of them name.
        let addresses = claims.filter { $0.epoch == epoch }.map(\.address)
        return addresses.max { first, second in
            addresses.count { $0 == first } < addresses.count { $0 == second }
        }
    }

    /// Why there is no primary.
    var problem: RedisPrimaryProblem {
        words.indices.contains { answers[$0] && words[$0] == .unknownMaster } ? .unknownMaster : .noSentinelAnswers
    }
}

/// Why it is not known which server is the primary.
public enum RedisPrimaryProblem: Sendable, Hashable {
    /// None of the sentinels could be asked.
    case noSentinelAnswers
    /// The sentinels watch nothing by the configured name.
    case unknownMaster
    /// No node of the cluster says who has the slot.
    case noNodeAnswers
}
