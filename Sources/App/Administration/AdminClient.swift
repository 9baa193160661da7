import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// Calls the admin API, for a shell or another node: one request a connection, with a limit on size and time.
package struct AdminClient: Sendable {
    package enum Failure: Error, CustomStringConvertible, Sendable {
        case unreachable(authority: String, reason: String)
        case noAnswer(authority: String)
        /// The answer of a server that is not this API.
        case foreign(authority: String)
        /// What the server refused, in its words.
        case refused(status: Int, detail: String)

        package var description: String {
            switch self {
            case .unreachable(let authority, let reason): "cannot reach http://\(authority): \(reason)"
            case .noAnswer(let authority): "no answer of http://\(authority) in time; a change may still take effect"
            case .foreign(let authority): "http://\(authority) does not answer like the admin API"
            case .refused(let status, let detail): "\(detail) (\(status))"
            }
        }
    }

    private let endpoint: AdminEndpoint
    private let limit: TimeAmount

    /// - Parameter limit: For the whole of one call.
    package init(_ endpoint: AdminEndpoint, limit: Duration = .seconds(30)) {
        self.endpoint = endpoint
        self.limit = .nanoseconds(Int64(limit / .nanoseconds(1)))
    }

    /// Sends a request and returns the body of its answer.
    ///
    /// - Parameters:
    ///   - path: Percent-encoded, with its query.
    ///   - authorization: In place of the key.
    /// - Throws: ``Failure``; a problem document becomes its detail.
    package func call(
        _ method: String,
        _ path: String,
        body: [UInt8]? = nil,
        authorization: String? = nil
    ) async throws -> [UInt8] {
        let authorization = authorization ?? self.endpoint.key.map { "Bearer \($0)" }
        let (status, answer) = try await self.exchange(method, path, body: body, authorization)
        if (200..<300).contains(status) { return answer }
        guard let problem = try? JSONDecoder().decode(ProblemAnswer.self, from: Data(answer)) else {
            throw Failure.foreign(authority: self.endpoint.authority)
        }
        throw Failure.refused(status: status, detail: problem.detail)
    }

    /// As ``call(_:_:body:)``, with a document.
    package func call(_ method: String, _ path: String, _ document: (any Encodable)?) async throws -> [UInt8] {
        try await self.call(method, path, body: try document.map { Array(try JSONEncoder().encode($0)) })
    }

    /// What an answer says.
    package func decode<Value: Decodable>(_ answer: [UInt8], as type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(answer))
        } catch {
            throw Failure.foreign(authority: self.endpoint.authority)
        }
    }

    private func exchange(
        _ method: String,
        _ path: String,
        body: [UInt8]?,
        _ authorization: String?
    ) async throws -> (Int, [UInt8]) {
        let authority = self.endpoint.authority
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let promise = loop.makePromise(of: ExchangeHandler.Reply.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: loop)
                .connectTimeout(min(.seconds(5), self.limit))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(ExchangeHandler(promise))
                    }
                }
                .connect(host: self.endpoint.host, port: self.endpoint.port).get()
        } catch {
            promise.fail(Failure.noAnswer(authority: authority))
            let reason = (error as? IOError).map { "error \($0.errnoCode)" } ?? "no connection"
            throw Failure.unreachable(authority: authority, reason: Self.reason(error) ?? reason)
        }
        let expiry = loop.scheduleTask(in: self.limit) { promise.fail(Failure.noAnswer(authority: authority)) }
        defer {
            expiry.cancel()
            channel.close(promise: nil)
        }
        var head = HTTPRequestHead(version: .http1_1, method: .RAW(value: method), uri: path)
        head.headers.add(name: "Host", value: authority)
        head.headers.add(name: "Connection", value: "close")
        if let authorization { head.headers.add(name: "Authorization", value: authorization) }
        if let body {
            head.headers.add(name: "Content-Type", value: "application/json")
            head.headers.add(name: "Content-Length", value: String(body.count))
        }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let body { channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil) }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        do {
            let reply = try await promise.futureResult.get()
            return (reply.status, reply.body)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure.foreign(authority: authority)
        }
    }

    /// What went wrong with a connection, for a person.
    private static func reason(_ error: any Error) -> String? {
        switch error {
        case let error as NIOConnectionError:
            if error.connectionErrors.isEmpty { return "no such host" }
            return error.connectionErrors.compactMap { Self.reason($0.error) }.first
        case let error as IOError: return error.errnoCode == ECONNREFUSED ? "connection refused" : nil
        case ChannelError.connectTimeout: return "connection timed out"
        default: return nil
        }
    }
}

/// The part of a problem document that a person reads.
private struct ProblemAnswer: Decodable {
    let detail: String
}

/// Gathers one answer.
private final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    struct Reply: Sendable {
        var status: Int
        var body: [UInt8] = []
    }

    private struct TooLarge: Error {}

    /// Lists of a thousand entries are far from it.
    private static let maximumBody = 16 << 20

    private let promise: EventLoopPromise<Reply>
    private var reply: Reply?

    init(_ promise: EventLoopPromise<Reply>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head): self.reply = Reply(status: Int(head.status.code))
        case .body(let part):
            self.reply?.body += part.readableBytesView
            if let reply, reply.body.count > Self.maximumBody { self.promise.fail(TooLarge()) }
        case .end:
            guard let reply else { return }
            self.promise.succeed(reply)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.promise.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.promise.fail(ChannelError.eof)
    }
}
