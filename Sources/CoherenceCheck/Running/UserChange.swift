import LoadClient

/// A write of one user, and what takes it back.
struct UserChange {
    /// What the user must not be shown afterwards.
    let item: OpaqueID?
    let request: OutgoingRequest
    let undo: OutgoingRequest?

    /// - Parameters:
    ///   - item: For a purchase or a suppression.
    ///   - event: An id that no other event has.
    init(_ kind: WriteKind, _ user: OpaqueID, _ item: OpaqueID?, event: String) {
        let path = "/v1/users/\(user.text.percentEncoded)"
        switch kind {
        case .suppression:
            let target = "\(path)/suppressions/item/\((item?.text ?? "").percentEncoded)"
            self.item = item
            self.request = OutgoingRequest(method: .put, target: target)
            self.undo = OutgoingRequest(method: .delete, target: target)
        case .consent:
            self.item = nil
            self.request = OutgoingRequest(
                method: .put,
                target: "\(path)/consent",
                body: #"{"personalization":false}"#
            )
            self.undo = OutgoingRequest(method: .put, target: "\(path)/consent", body: #"{"personalization":true}"#)
        case .reset:
            self.item = nil
            self.request = OutgoingRequest(method: .post, target: "\(path):reset")
            self.undo = nil
        case .erasure:
            self.item = nil
            self.request = OutgoingRequest(method: .delete, target: path)
            self.undo = nil
        case .purchase, .tombstone, .hidden, .stock, .purge:
            self.item = item
            self.request = OutgoingRequest(
                method: .post,
                target: "/v1/feedback",
                body: #"{"event_id":\#(JSONWriter.quoted(event)),"user_id":\#(JSONWriter.quoted(user.text)),"#
                    + #""item_id":\#(JSONWriter.quoted(item?.text ?? "")),"type":"purchase"}"#
            )
            self.undo = nil
        }
    }
}
