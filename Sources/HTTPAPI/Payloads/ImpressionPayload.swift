import NIOCore
import RecommendationCore
import Serving

/// `{"recommendation_id":"01J…","items":[{"item_id":"i7","tracking_token":"v2.k3…"}]}`: what was shown of one recommendation.
/// What is wrong with one item rejects that one alone.
struct ImpressionPayload {
    private static let itemFields = ["item_id", "tracking_token"]
    private static let idForm = "the recommendation_id of an answer, 26 characters"

    /// Of the items that can be read.
    let request: ImpressionRequest
    private var places: [Int] = []
    private var rejected = Rejections()

    init(_ value: JSONValue) throws(Problem) {
        var reader = try FieldReader(value, fields: ["recommendation_id", "items"], document: "one object of items")
        var id: RecommendationID?
        if let text = reader.text("recommendation_id", required: true, maximum: RecommendationID.length) {
            id = RecommendationID(text)
            if id == nil { reader.add("recommendation_id", "invalid", allowed: Self.idForm) }
        }
        let elements = reader.elements("items", maximum: ImpressionRequest.maximumItems, of: "impressions")
        try reader.check()
        guard let id else { throw .internalError("an invalid id was not noticed") }
        var items: [ImpressionRequest.Shown] = []
        for (index, element) in elements.enumerated() {
            do throws(Problem) {
                items.append(try Self.shown(element))
                self.places.append(index)
            } catch {
                self.rejected.add(index, error, at: "#/items/\(index)")
            }
        }
        self.request = ImpressionRequest(id: id, items: items)
    }

    private static func shown(_ value: JSONValue) throws(Problem) -> ImpressionRequest.Shown {
        var reader = try FieldReader(value, fields: Self.itemFields, document: "one impression")
        let item: Item.ID? = reader.identifier("item_id", required: true)
        let token = reader.text("tracking_token", required: true, maximum: 1_024)
        try reader.check()
        guard let item, let token else { throw .internalError("a required field is neither there nor missed") }
        return ImpressionRequest.Shown(item: item, trackingToken: token)
    }

    /// - Parameter answer: To ``request``.
    func document(_ answer: ImpressionAnswer) -> ByteBuffer {
        var rejected = self.rejected
        for rejection in answer.rejected {
            let index = self.places[rejection.index]
            rejected.add(index, rejection, at: "#/items/\(index)")
        }
        var json = JSONWriter(capacity: 128 + 64 * rejected.count)
        json.raw("{")
        rejected.write(accepted: answer.accepted, duplicates: answer.duplicates, to: &json)
        json.raw(#","counted":"#)
        json.bool(answer.isCounted)
        json.raw("}")
        return json.buffer
    }
}
