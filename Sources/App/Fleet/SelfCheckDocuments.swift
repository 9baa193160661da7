import Caching
import FoundationEssentials

/// What nodes say to each other in the self-check. A field that a version adds must be optional to it: nodes of two versions
/// serve side by side.
enum SelfCheckDocuments {
    /// Far above ``questionLimit`` keys of the longest ids.
    static let questionLimit = 1_000

    struct Questions: Codable {
        struct Question: Codable {
            /// As in Redis: percent-encoded. Empty where it is asked after a tombstone: of no key a node that does not know
            /// that question holds anything.
            let key: String
            /// A user's, or of a tombstone its id in the control log.
            let version: Int64
            let tombstone: Tombstone?
        }

        struct Tombstone: Codable {
            let tenant: String
            let kind: String
            let id: String
        }

        let questions: [Question]
    }

    struct Answers: Codable {
        struct Answer: Codable {
            struct Entry: Codable {
                let field: String
                let version: Int64
                let age_ms: Int64
            }

            let held: [Entry]
            /// Missing: it was not asked, or is not known there.
            let denies: Bool?
            let proof: String
            let session: UInt64?
            let lease_age_ms: Int64?
            let lease_ms: Int64
        }

        let answers: [Answer]
    }

    static func encode(_ questions: [SelfCheckQuestion]) throws -> [UInt8] {
        let questions = questions.map { question in
            switch question {
            case .held(let held):
                Questions.Question(
                    key: String(decoding: held.key.bytes, as: UTF8.self),
                    version: held.version,
                    tombstone: nil
                )
            case .denied(let denial):
                Questions.Question(
                    key: "",
                    version: denial.epoch,
                    tombstone: Questions.Tombstone(tenant: denial.owner, kind: denial.kind, id: denial.name)
                )
            }
        }
        return Array(try JSONEncoder().encode(Questions(questions: questions)))
    }

    /// Nil: bytes that are no questions, or too many.
    static func questions(_ bytes: [UInt8]) -> [SelfCheckQuestion]? {
        guard let document = try? JSONDecoder().decode(Questions.self, from: Data(bytes)),
            document.questions.count <= Self.questionLimit
        else { return nil }
        return document.questions.map { question in
            if let tombstone = question.tombstone {
                return .denied(
                    Denial(
                        owner: tombstone.tenant,
                        kind: tombstone.kind,
                        name: tombstone.id,
                        epoch: question.version
                    )
                )
            }
            return .held(HeldQuestion(key: CacheKey(bytes: Array(question.key.utf8)), version: question.version))
        }
    }

    static func encode(_ answers: [HeldAnswer]) throws -> [UInt8] {
        Array(
            try JSONEncoder().encode(
                Answers(
                    answers: answers.map { answer in
                        Answers.Answer(
                            held: answer.entries.map {
                                Answers.Answer.Entry(
                                    field: $0.field,
                                    version: $0.version,
                                    age_ms: $0.ageMilliseconds
                                )
                            },
                            denies: answer.denies,
                            proof: answer.proof,
                            session: answer.session,
                            lease_age_ms: answer.leaseAgeMilliseconds,
                            lease_ms: answer.leaseMilliseconds
                        )
                    }
                )
            )
        )
    }

    static func answers(_ bytes: [UInt8]) throws -> [HeldAnswer] {
        try JSONDecoder().decode(Answers.self, from: Data(bytes)).answers.map { answer in
            HeldAnswer(
                entries: answer.held.map {
                    HeldAnswer.Entry(field: $0.field, version: $0.version, ageMilliseconds: $0.age_ms)
                },
                denies: answer.denies,
                proof: answer.proof,
                session: answer.session,
                leaseAgeMilliseconds: answer.lease_age_ms,
                leaseMilliseconds: answer.lease_ms
            )
        }
    }
}
