/// A policy that serves a share of the users beside the active one.
public struct PolicyCanary: Sendable, Equatable {
    /// The version.
    public var version: String
    /// Of the users, in hundredths of a percent: 1 to 9,999.
    public var share: Int

    /// A canary of these parts.
    public init(version: String, share: Int) {
        self.version = version
        self.share = share
    }

    /// In percent.
    public var percent: Double { Double(self.share) / 100 }

    /// Whether a user is of the share: always the same for a version, on every node, and independent of other versions and of
    /// models. A larger share keeps the users of a smaller one.
    public func takes(_ user: User.ID) -> Bool {
        UserShare.takes(user, salt: UserShare.salt(self.version), share: self.share)
    }
}
