import HTTPTypes
import NIOCore
import RecommendationCore
import Serving

/// `GET /v1/admin/cache/{user_id}`: what the caches hold of a user of the key's tenant.
struct CacheRoutes {
    let useCases: CatalogueUseCases

    var routes: [Route] {
        [Route(.get, "/v1/admin/cache/{user_id}", scope: .admin, answer: self.entries)]
    }

    @Sendable
    private func entries(_ call: Call) async throws(Problem) -> Answer {
        let id: User.ID = try call.identifier(0, "user_id")
        return .json(JSONWriter.document(of: id, await self.useCases.cacheEntries(id, call.principal.tenant)))
    }
}

extension JSONWriter {
    fileprivate static func document(of id: User.ID, _ user: InspectedUser) -> ByteBuffer {
        var json = JSONWriter(capacity: 256 + 256 * user.entries.count)
        json.raw(#"{"user_id":"#)
        json.string(id.string)
        json.raw(#","floor":"#)
        if let floor = user.floor { json.integer(floor) } else { json.null() }
        json.raw(#","entries":"#)
        json.list(user.entries) { json, pool in
            json.raw(#"{"tier":"#)
            json.string(pool.tier.rawValue)
            json.raw(#","field":"#)
            json.string(pool.field)
            json.raw(#","bytes":"#)
            json.integer(pool.bytes)
            json.raw(#","readable":"#)
            json.bool(pool.entry != nil)
            if let entry = pool.entry {
                json.raw(#","age_ms":"#)
                json.integer(entry.ageMilliseconds)
                json.raw(#","user_version":"#)
                json.integer(entry.userVersion)
                json.raw(#","fresh_for_ms":"#)
                json.integer(entry.freshForMilliseconds)
                json.raw(#","servable_for_ms":"#)
                json.integer(entry.servableForMilliseconds)
            }
            json.raw("}")
        }
        json.raw(#","degraded":"#)
        json.list(user.hasAskedRedis ? [] : [Degradation.redis]) { json, part in json.string(part.rawValue) }
        json.raw("}")
        return json.buffer
    }
}
