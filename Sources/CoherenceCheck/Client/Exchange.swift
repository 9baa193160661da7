package import LoadClient
package import NIOCore

/// What became of a request, with times of the run's clock.
package struct Exchange: Sendable {
    package enum Outcome: Sendable {
        case answer(status: Int, body: ByteBuffer)
        case none(Failure)
    }

    /// Before its first byte was sent.
    package var begin: Duration
    /// When its answer was there to its last byte, or was given up.
    package var end: Duration
    package var outcome: Outcome

    /// The body of an answer that did what was asked.
    package var body: ByteBuffer? {
        if case .answer(let status, let body) = self.outcome, status == 200 || status == 202 { body } else { nil }
    }

    /// The status, or why there is none.
    package var word: String {
        switch self.outcome {
        case .answer(let status, _): String(status)
        case .none(let failure): failure.rawValue
        }
    }
}
