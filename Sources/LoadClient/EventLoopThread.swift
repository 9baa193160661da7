package import NIOCore
import NIOPosix

/// Runs a body with an event loop on a thread of its own, which ends before it returns.
package func withEventLoopThread<Value: Sendable>(
    _ body: (any EventLoop) async throws -> Value
) async throws -> Value {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let outcome: Result<Value, any Error>
    do {
        outcome = .success(try await body(group.next()))
    } catch {
        outcome = .failure(error)
    }
    try await group.shutdownGracefully()
    return try outcome.get()
}
