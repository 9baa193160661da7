package import NIOCore
import NIOHTTP1

package enum RequestMethod: String, Sendable, CaseIterable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case patch = "PATCH"
}

/// A request without what all requests of a client have in common.
package struct OutgoingRequest: Sendable, Equatable {
    package var method: RequestMethod
    /// Percent-encoded, with its query.
    package var target: String
    /// JSON.
    package var body: String?

    package init(method: RequestMethod = .get, target: String, body: String? = nil) {
        self.method = method
        self.target = target
        self.body = body
    }

    /// Sends it over a connection with HTTP handlers.
    ///
    /// - Parameter headers: After the `Host`.
    package func write(to channel: any Channel, _ address: Address, headers: [(name: String, value: String)]) {
        var fields = HTTPHeaders([("Host", address.authority)] + headers)
        if let body {
            fields.add(name: "Content-Type", value: "application/json")
            fields.add(name: "Content-Length", value: String(body.utf8.count))
        }
        let head = HTTPRequestHead(
            version: .http1_1,
            method: HTTPMethod(rawValue: self.method.rawValue),
            uri: address.prefix + self.target,
            headers: fields
        )
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let body {
            channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(string: body))), promise: nil)
        }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }
}
