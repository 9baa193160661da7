import RecommendationCore
import Serving

/// Who calls over one connection. What was learnt of the last key holds until anything of the control state changes: a key
/// that is revoked is looked up again, within the lease.
struct LaneCaller {
    private var header: [UInt8] = []
    private var changes: UInt64?
    private var tenant: Tenant.ID?
    /// What is held of the limit of the key that ``tenant(_:changes:look:limited:)`` was asked of last; nil: it has none.
    private(set) var limited: LimitedKey?

    /// The tenant that a header `Authorization` may read for; nil: it may not, or that is not known.
    mutating func tenant(
        _ header: UnsafeRawBufferPointer,
        changes: UInt64,
        look: (String) -> Principal?,
        limited: (KeyLimit) -> LimitedKey?
    ) -> Tenant.ID? {
        if changes == self.changes, let tenant, self.isSame(header) { return tenant }
        self.tenant = nil
        guard let key = Authentication.bearerKey(String(decoding: header, as: UTF8.self)), let principal = look(key),
            principal.scopes.contains(.read)
        else { return nil }
        self.header = Array(header)
        self.changes = changes
        self.tenant = principal.tenant
        self.limited = principal.limit.flatMap(limited)
        return principal.tenant
    }

    /// Compares in a time that says nothing of where bytes differ: a proxy may carry several callers over one connection.
    private func isSame(_ header: UnsafeRawBufferPointer) -> Bool {
        guard header.count == self.header.count else { return false }
        var difference: UInt8 = 0
        for index in 0..<header.count { difference |= header[index] ^ self.header[index] }
        return difference == 0
    }
}
