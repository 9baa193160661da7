import Caching
import FoundationEssentials

/// What nodes say to each other in the self-check. A field that a version adds must be optional to it: nodes of two versions
/// serve side by side.
enum SelfCheckDocuments {
    /// Far above ``questionLimit`` keys of the longest ids.
    static let questionLimit = 1_000

    struct Questions: Codable {
        struct Question: Codable {
            /// As in Redis: percent-encoded.
            let key: String
            let version: Int64
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
            let proof: String
            let session: UInt64?
            let lease_age_ms: Int64?
            let lease_ms: Int64
        }

        let answers: [Answer]
    }

    static func encode(_ questions: [HeldQuestion]) throws -> [UInt8] {
        Array(
            try JSONEncoder().encode(
                Questions(
                    questions: questions.map {
                        Questions.Question(key: String(decoding: $0.key.bytes, as: UTF8.self), version: $0.version)
                    }
                )
            )
        )
    }

    /// Nil: bytes that are no questions, or too many.
    static func questions(_ bytes: [UInt8]) -> [HeldQuestion]? {
        guard let document = try? JSONDecoder().decode(Questions.self, from: Data(bytes)),
            document.questions.count <= Self.questionLimit
        else { return nil }
        return document.questions.map {
            HeldQuestion(key: CacheKey(bytes: Array($0.key.utf8)), version: $0.version)
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
                proof: answer.proof,
                session: answer.session,
                leaseAgeMilliseconds: answer.lease_age_ms,
                leaseMilliseconds: answer.lease_ms
            )
        }
    }
}
