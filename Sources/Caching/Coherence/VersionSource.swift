/// Why versions could not be read where they are written.
public enum VersionSourceError: Error, Sendable, Equatable {
    case unavailable
}

/// The versions of owners where they are written: what decides while L2 cannot be asked, or cannot be believed.
public protocol VersionSource: Sendable {
    /// The version of each key's owner on the primary, in the order of the keys, 0 where there is no such owner; by one
    /// statement that begins after the call.
    func versions(of keys: [CacheKey]) async throws(VersionSourceError) -> [Int64]
}
