import HTTPTypes
import RecommendationCore
import Serving

/// Who calls, and whether they may.
struct Authentication: Sendable {
    /// False: every call is by ``Principal/everyone``.
    let isOn: Bool
    /// Finds the principal of a presented key.
    let look: @Sendable (String) async throws(ServingError) -> Principal?

    /// No key is longer.
    private static let maximumKeyLength = 512

    /// - Parameter scope: What the key must allow; nil: no key is asked for.
    func principal(of headers: HTTPFields, scope: Scope?) async throws(Problem) -> Principal {
        guard let scope else { return Principal(tenant: .default, scopes: []) }
        guard self.isOn else { return .everyone }
        guard let header = headers[.authorization], let key = Self.bearerKey(header),
            let principal = try await mapped({ () async throws(ServingError) in try await self.look(key) })
        else { throw .unauthenticated }
        guard principal.scopes.contains(scope) else { throw .missingScope(scope) }
        return principal
    }

    /// Whether a caller may name other tenants and see nodes.
    func isFleet(_ principal: Principal) -> Bool {
        !self.isOn || principal.tenant == .fleet
    }

    /// The key of a header `Bearer KEY`, RFC 6750 section 2.1; the scheme in any case, the key visible ASCII without commas,
    /// so that two headers that were joined are no key.
    static func bearerKey(_ header: String) -> String? {
        let scheme = header.utf8.prefix(7)
        guard String(Substring(scheme)).lowercased() == "bearer " else { return nil }
        let key = Substring(header.utf8.dropFirst(7)).trimmingSpaces
        guard (1...Self.maximumKeyLength).contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ",") })
        else { return nil }
        return String(key)
    }
}
