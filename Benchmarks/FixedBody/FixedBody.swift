import Hummingbird
import NIOCore

/// Hummingbird answering with a fixed body: what the HTTP layer costs by itself. `fixed-body PORT BYTES`.
@main
struct FixedBody {
    static func main() async throws {
        let arguments = CommandLine.arguments
        let port = arguments.count > 1 ? Int(arguments[1]) ?? 18_099 : 18_099
        let size = arguments.count > 2 ? Int(arguments[2]) ?? 1_024 : 1_024
        let body = ByteBuffer(repeating: UInt8(ascii: "x"), count: size)
        let router = Router()
        router.get("/**") { _, _ in
            Response(status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: body))
        }
        let application = Application(
            router: router,
            configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: port))
        )
        try await application.runService()
    }
}
