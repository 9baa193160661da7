package import Caching
import Synchronization

/// The versions of owners, as a test sets them.
package final class StubVersions: VersionSource {
    private struct State {
        var versions: [CacheKey: Int64] = [:]
        var isDown = false
        var batches: [Int] = []
    }

    private let state = Mutex(State())

    package init() {}

    package subscript(key: CacheKey) -> Int64 {
        get { self.state.withLock { $0.versions[key] ?? 0 } }
        set { self.state.withLock { $0.versions[key] = newValue } }
    }

    package var isDown: Bool {
        get { self.state.withLock { $0.isDown } }
        set { self.state.withLock { $0.isDown = newValue } }
    }

    /// How many keys each call asked for.
    package var batches: [Int] { self.state.withLock { $0.batches } }

    package func versions(of keys: [CacheKey]) async throws(VersionSourceError) -> [Int64] {
        let versions: [Int64]? = self.state.withLock { state in
            state.batches.append(keys.count)
            return state.isDown ? nil : keys.map { state.versions[$0] ?? 0 }
        }
        guard let versions else { throw .unavailable }
        return versions
    }
}
