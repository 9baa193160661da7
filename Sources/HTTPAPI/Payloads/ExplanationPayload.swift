import NIOCore
import RecommendationCore
import Serving

extension JSONWriter {
    /// Why an item is in a list, or why not.
    static func document(_ explanation: ItemExplanation) -> ByteBuffer {
        var json = JSONWriter(capacity: 1_024)
        let list = explanation.list
        json.raw(#"{"item_id":"#)
        json.string(explanation.item.string)
        json.raw(#","user_id":"#)
        json.string(list.user?.string)
        json.raw(#","surface":"#)
        json.string(list.surface)
        json.raw(#","shown":"#)
        json.bool(explanation.rank != nil)
        json.raw(#","rank":"#)
        json.integer(orNull: explanation.rank)
        json.raw(#","removed_by":"#)
        json.string(explanation.removedBy?.rawValue)
        json.raw(#","rank_before_filters":"#)
        json.integer(orNull: explanation.candidacy?.rank)
        json.raw(#","candidates":"#)
        json.integer(explanation.candidates)
        if let candidacy = explanation.candidacy {
            json.raw(#","score":"#)
            json.fixed(candidacy.score)
            json.raw(#","components":{"collaborative":"#)
            json.fixed(candidacy.collaborative)
            json.raw(#","content":"#)
            json.fixed(candidacy.content)
            json.raw(#","popularity":"#)
            json.fixed(candidacy.popularity)
            json.raw(#"},"seed_items":["#)
            if let seed = candidacy.seed { json.string(seed.string) }
            json.raw("]")
        } else {
            json.raw(#","score":null,"components":null,"seed_items":[]"#)
        }
        json.raw(#","model_version":"#)
        json.string(list.modelVersion)
        json.raw(#","policy_version":"#)
        json.string(list.policyVersion)
        json.standing(of: list)
        json.raw("}")
        return json.buffer
    }
}

extension JSONWriter {
    fileprivate mutating func integer(orNull value: Int?) {
        if let value { self.integer(value) } else { self.null() }
    }
}
