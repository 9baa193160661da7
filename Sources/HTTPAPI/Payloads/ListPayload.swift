import NIOCore
import RecommendationCore
import Serving

extension JSONWriter {
    /// A list: a recommendation without `user_id`, and without an id where its places carry no tokens.
    static func document(_ list: ItemList) -> ByteBuffer {
        var json = JSONWriter(capacity: 512 + 256 * list.items.count)
        json.raw("{")
        if let id = list.id {
            json.raw(#""recommendation_id":"#)
            json.string(id.string)
            json.raw(",")
        }
        json.raw(#""surface":"#)
        json.string(list.surface)
        json.raw(#","generated_at":"#)
        json.string(list.generatedAt.rfc3339)
        json.raw(#","items":"#)
        json.list(list.items) { json, item in json.item(item, explain: .reason) }
        json.raw(#","next_cursor":null,"model_version":"#)
        json.string(list.modelVersion)
        json.raw(#","policy_version":"#)
        json.string(list.policyVersion)
        json.raw(#","experiments":[],"served_from":{"tier":"computed","age_ms":0,"stale":false},"fallback":"#)
        json.string(list.fallback?.rawValue)
        json.raw(#","fallback_reason":"#)
        json.string(list.fallbackReason)
        json.raw(#","degraded":"#)
        json.list(list.degraded) { json, part in json.string(part.rawValue) }
        json.raw(#","filtered":"#)
        json.filtered(list.filtered)
        json.raw(#","user_version":"#)
        json.integer(list.userVersion)
        json.raw("}")
        return json.buffer
    }
}
