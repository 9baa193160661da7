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

    /// The body of an answer of status 200.
    package var body: ByteBuffer? {
        if case .answer(200, let body) = self.outcome { body } else { nil }
    }

    /// The status, or why there is none.
    package var word: String {
        switch self.outcome {
        case .answer(let status, _): String(status)
        case .none(let failure): failure.rawValue
        }
    }
}
