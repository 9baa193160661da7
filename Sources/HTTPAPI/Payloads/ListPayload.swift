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
        json.beginItems(list)
        json.items(list.items, explain: .reason)
        json.endItems(list)
        return json.buffer
    }
}

/// A list is made for each answer: it is no one's own, and of no age.
extension ItemList: SlateAnswer {
    var tier: Tier { .computed }
    var ageMilliseconds: Int64 { 0 }
    var nextCursor: String? { nil }
}
