package import LoadClient

/// What a run asks for: which users in which order, which requests with which weights, and what happens beside them.
///
/// Every scenario is a JSON document, the built-in ones too (`Scenarios/`, shown by `vireo load --show NAME`).
package struct Scenario: Sendable {
    package enum Order: String, Sendable, CaseIterable {
        /// Each user as likely as any other.
        case uniform
        /// User k with the probability of k^-exponent.
        case zipf
        /// One after the other.
        case sequential
        /// Only the first one.
        case first
    }

    package struct Request: Sendable {
        package var weight: Double
        package var method: RequestMethod
        package var path: Template
        package var body: Template?
    }

    /// What happens before the clock starts.
    package struct Preparation: Sendable {
        package enum Place: String, Sendable, CaseIterable {
            /// At every address.
            case every
            /// At the first address alone; the run then asks the others, if there are any.
            case first
        }

        /// A surface whose cached lists are purged; needs the administration's address.
        package var purge: String?
        /// How often each user is asked for.
        package var passes = 0
        package var at = Place.every
    }

    /// A list of values, one of which is drawn for each request.
    package struct Choice: Sendable {
        package var name: String
        package var values: [String]
    }

    package struct Extra: Sendable {
        package var period: Duration
        package var request: Request
    }

    package var name: String
    package var description: String
    package var order: Order
    package var exponent: Double
    /// Whether each user is asked for once at most: the run ends with the last.
    package var once: Bool
    package var preparation: Preparation
    package var choices: [Choice]
    package var requests: [Request]
    /// Requests with a clock of their own, for example invalidations.
    package var every: [Extra]
}
