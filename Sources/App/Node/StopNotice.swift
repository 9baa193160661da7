import HTTPAPI
import ServiceLifecycle

/// The first thing of a shutdown: the node says that it is not ready any more, and closes connections after their answers,
/// while it still takes new ones, until balancers and clients have had the time to hear it. Then nobody new is let in, and who
/// is in the queue or on the way has the time to send a request, before the port is closed.
struct StopNotice: Service {
    let status: NodeStatusReporter
    let server: HTTPServer

    func run() async throws {
        try? await gracefulShutdown()
        self.status.stopping()
        try? await Task.sleep(for: .milliseconds(1_500))
        await self.server.refuseNew()
        try? await Task.sleep(for: .milliseconds(300))
    }
}
