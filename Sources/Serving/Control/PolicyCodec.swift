package import RecommendationCore

/// Between policies and the documents they are stored as, whose format is the API's.
package struct PolicyCodec: Sendable {
    /// The whole document of a policy, without its version.
    package let encode: @Sendable (Policy) -> String
    package let decode: @Sendable (StoredPolicy) throws(UnreadablePolicy) -> Policy

    package init(
        encode: @escaping @Sendable (Policy) -> String,
        decode: @escaping @Sendable (StoredPolicy) throws(UnreadablePolicy) -> Policy
    ) {
        self.encode = encode
        self.decode = decode
    }
}

/// A stored document that this program cannot read, most likely because a newer one wrote it.
package struct UnreadablePolicy: Error, Sendable, Equatable {
    package let version: String
    /// What is wrong with it, for the log.
    package let reason: String

    package init(version: String, reason: String) {
        self.version = version
        self.reason = reason
    }
}
